package logs

import (
	"bytes"
	"net/netip"
	"time"
)

// fields is what a structured line says, by meaning.
//
// A properly written line says each thing once. Where two fields of equal rank say
// different things, a visitor may have written one of them, and it cannot be known
// which. So an address or a time is then unknown; of two answers the one counts that
// gives more away, and of two paths the guarded one, so that nothing is hidden.
type fields struct {
	d    *dialect
	json jsonReader
	buf  []byte // decoded texts
	seen int    // members with a meaning

	time   time.Time
	addr   netip.Addr
	status int

	forwarded, method, path, request, agent, message, cause, logger, line []byte
	timeOf, addrOf, statusOf, forwardedOf, methodOf, pathOf, agentOf      told

	stream      bool
	refused     bool // said in words, not by a status
	addressless bool // the catalogue's pattern has no address
}

// told is what is known of a field: by whom it was written, and whether others disagree.
type told struct {
	is, torn bool
	writer   writer
	rank     uint8
}

// verdicts of offer.
type offer uint8

const (
	first   offer = iota // nothing was known
	better               // by the same writer, of higher rank
	worse                // of lower rank
	another              // of equal standing
)

// hears notes that a field of that name was read.
func (t *told) hears(n name) offer {
	switch {
	case !t.is:
		*t = told{is: true, writer: n.writer, rank: n.rank}
		return first
	case t.writer != n.writer || t.rank == n.rank:
		return another
	case n.rank > t.rank:
		t.rank = n.rank
		return better
	}
	return worse
}

func (d *dialect) fields() *fields {
	f := &d.scratch
	*f = fields{d: d, json: f.json, buf: f.buf[:0]}
	return f
}

// member takes a field of a line by its name; index is its place in a list.
func (f *fields) member(path, value []byte, escaped bool, index int) {
	n, ok := names[string(path)]
	if !ok {
		return
	}
	if escaped {
		from := len(f.buf)
		f.buf = unescape(f.buf, value)
		value = f.buf[from:len(f.buf):len(f.buf)]
	}
	if index > 0 && n.means != aForward {
		return
	}
	f.take(n, value, index)
}

func (f *fields) take(n name, value []byte, index int) {
	f.seen++
	switch n.means {
	case aTime:
		f.takeTime(n, value)
	case anAddr:
		f.takeAddr(n, value)
	case aForward:
		f.takeForwarded(n, value, index)
	case aStatus:
		f.takeStatus(n, value)
	case aPath:
		f.takePath(n, value)
	case aMethod:
		if f.methodOf.hears(n) == first {
			f.method = value
		} else if !bytes.Equal(f.method, value) {
			f.method = nil // belongs to every endpoint of the path
		}
	case aRequest:
		if len(value) > 0 && (f.request == nil || f.d.guard.names(requested(value))) {
			f.request = value
		}
	case anAgent:
		if f.agentOf.hears(n) == first {
			f.agent = value
		} else if !bytes.Equal(f.agent, value) {
			f.agent = nil
		}
	case aMessage:
		if f.message == nil || !evident(f.message) {
			f.message = value
		}
	case aCause:
		if f.cause == nil || startsPhrase(value) {
			f.cause = value
		}
	case aLogger:
		if f.logger == nil {
			f.logger = value
		}
	case aLine:
		if f.line == nil {
			f.line = value
		}
	case aStream:
		f.stream = true
	case aLogin:
		f.status, f.refused = 401, true
	case aRefusal:
		f.status, f.refused = 403, true
	}
}

// apart is how far two times of one line may differ: one is when a request began, the
// other when its line was written.
const apart = time.Minute

func (f *fields) takeTime(n name, value []byte) {
	at, ok := f.d.clock.value(value)
	if !ok {
		return
	}
	switch f.timeOf.hears(n) {
	case first, better:
		f.time = at
	case another:
		if f.timeOf.torn = f.timeOf.torn || at.Sub(f.time).Abs() > apart; f.timeOf.torn {
			f.time = time.Time{}
		}
	}
}

func (f *fields) takeAddr(n name, value []byte) {
	addr := parseAddr(value)
	switch f.addrOf.hears(n) {
	case first, better:
		f.addr = addr
	case another:
		if f.addrOf.torn = f.addrOf.torn || addr != f.addr; f.addrOf.torn {
			f.addr = netip.Addr{}
		}
	}
}

// takeForwarded joins what came in several headers, which are one list.
func (f *fields) takeForwarded(n name, value []byte, index int) {
	if index > 0 {
		f.forwarded = append(append(f.forwarded[:len(f.forwarded):len(f.forwarded)], ','), value...)
		return
	}
	if f.forwardedOf.hears(n) == first {
		f.forwarded = value
	} else if !bytes.Equal(f.forwarded, value) {
		f.forwardedOf.torn = true
	}
}

func (f *fields) takeStatus(n name, value []byte) {
	status, ok := number(value)
	if !ok || len(value) != 3 || status < 100 || status > 599 {
		return
	}
	switch f.statusOf.hears(n) {
	case first, better:
		f.status = status
	case another:
		if gravity(status) > gravity(f.status) {
			f.status = status
		}
	}
}

// gravity orders answers by what they give away.
func gravity(status int) int {
	switch {
	case status >= 200 && status <= 299:
		return 2
	case status == 401 || status == 403:
		return 1
	}
	return 0
}

func (f *fields) takePath(n name, value []byte) {
	switch f.pathOf.hears(n) {
	case first, better:
		f.path = value
	case another:
		if !f.d.guard.names(f.path) && f.d.guard.names(value) {
			f.path = value
		}
	}
}

// names reports whether target is a guarded path, whatever the method.
func (g guards) names(target []byte) bool {
	return len(target) > 0 && g.nearTarget(target) && g.find("", canonical(string(target))) >= 0
}

// requested is the target of a request line.
func requested(request []byte) []byte {
	_, target := splitRequest(request)
	return target
}
