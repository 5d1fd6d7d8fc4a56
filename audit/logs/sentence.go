package logs

import (
	"bytes"
	"net/netip"
)

// sentence remembers what an application's message says of a request where the next one
// differs in its address alone: "… from 203.0.113.66 on POST /api/revalidate/".
type sentence struct {
	before []byte           // the address, as the newest message has it; nil: nothing is known
	after  map[string]asked // by what follows the address
}

// recall answers what text says if it is known.
func (s *sentence) recall(text []byte) (netip.Addr, asked, bool) {
	if s.before == nil || !bytes.HasPrefix(text, s.before) {
		return netip.Addr{}, asked{}, false
	}
	from := len(s.before)
	to := addrEnd(text, from)
	known, ok := s.after[string(text[to:])]
	if !ok {
		return netip.Addr{}, asked{}, false
	}
	addr, ok := quad(text[from:to])
	return addr, known, ok
}

// learn takes in that text says known of a request by addr. The words before the address
// must be such as say the same with another one behind them: without digits there is no
// address among them, and without names and quotes none is a visitor's.
func (s *sentence) learn(text []byte, addr netip.Addr, known asked) {
	from := bytes.IndexAny(text, `0123456789="'<`)
	if from < 1 || !divides(text[from-1]) || len(text) > maxMemoBytes {
		return
	}
	to := addrEnd(text, from)
	if a, ok := quad(text[from:to]); !ok || a != addr || to < len(text) && !divides(text[to]) {
		return
	}
	if !bytes.Equal(s.before, text[:from]) {
		s.before = bytes.Clone(text[:from])
		clear(s.after)
	}
	s.after = remember(s.after, string(text[to:]), known)
}

// addrEnd is where the digits and full stops end that begin at from.
func addrEnd(text []byte, from int) int {
	for from < len(text) && (isDigit(text[from]) || text[from] == '.') {
		from++
	}
	return from
}
