package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strconv"

	"rekey/audit/ledger"
)

const (
	// MinFingerprint is the shortest text, in bytes, that is fingerprinted. A
	// shorter value would also be found inside honest words and numbers.
	MinFingerprint = 8
	// blockSize is how much of a form one fingerprint covers. Longer forms are cut
	// into blocks, the last one ending with the form, so that a text that was cut
	// off or wrapped is still recognised by the blocks it has whole, and so that
	// nearly all fingerprints have one length and are found in one pass.
	blockSize = 32
	// headSize is how much of the beginning of a long random value is fingerprinted by
	// itself: people and programs write "6b1f0c2d9e8a…", and whoever reads that knows
	// which value it is. Of fewer than headBits it would be found where nobody wrote it.
	headSize = 12
	headBits = 96
)

// formHead is the name of that form.
const formHead = "head"

// The roles of a fingerprinted value.
const (
	RoleLive    = "live"
	RolePending = "pending"
	RoleRetired = "retired"
)

// Fingerprints answers what recognises v in outgoing text: as it is, and as hex,
// base64 (wherever in a larger text), percent-encoded, and escaped for JSON, HTML,
// shells and env files; of a long random one the first 12 bytes alone, too. Of a URL it is the credentials. A value shorter than
// MinFingerprint has none.
//
// MAC is HMAC-SHA256 under a key derived from key; Roll is 24 bits of a keyed
// rolling hash. Neither helps anybody who lacks the key. key is rekey's root key,
// from which Fingerprints and NewGuard derive their own; it must not be zero.
// At is left zero for the store to set.
func Fingerprints(key Key, name, environment, role string, v Value) []ledger.Fingerprint {
	if v.Len() < MinFingerprint {
		return nil
	}
	p := newPrinter(key)
	var out []ledger.Fingerprint
	seen := map[string]bool{}
	for n, kernel := range kernels(v.Reveal()) {
		part := ""
		if n > 0 {
			part = "part" + strconv.Itoa(n) + "/"
		}
		ways := forms(kernel)
		if len(kernel) >= 2*headSize && Strength(NewValue(kernel)) >= headBits {
			ways = append(ways, form{formHead, kernel[:headSize]})
		}
		for _, f := range ways {
			for i, b := range blocks(f.text) {
				if seen[b] {
					continue
				}
				seen[b] = true
				out = append(out, ledger.Fingerprint{
					Secret: name, Environment: environment, Role: role,
					Form:   part + f.name + "/" + strconv.Itoa(i) + markOf(b),
					Length: len(b),
					Roll:   p.roll([]byte(b)),
					MAC:    p.mac([]byte(b)),
				})
			}
		}
	}
	return out
}

// tokenMark ends the Form of a block without a separator. Nearly all are; what is looked for
// in a text is then looked for in its long words alone.
const tokenMark = "/token"

func markOf(block string) string {
	for i := range len(block) {
		if separates[block[i]] {
			return ""
		}
	}
	return tokenMark
}

// separates are the bytes between words: those of text, of JSON and of lines.
var separates = [256]bool{' ': true, '"': true, '\n': true, '\r': true, '\t': true}

// blocks cuts text into pieces of blockSize, the last one ending with the text.
func blocks(text string) []string {
	if len(text) < MinFingerprint {
		return nil
	}
	if len(text) <= blockSize {
		return []string{text}
	}
	var out []string
	for i := 0; i+blockSize <= len(text); i += blockSize {
		out = append(out, text[i:i+blockSize])
	}
	if len(text)%blockSize != 0 {
		out = append(out, text[len(text)-blockSize:])
	}
	return out
}

// printer computes fingerprints under one key.
type printer struct {
	key   []byte
	table [256]uint64
}

func newPrinter(key Key) *printer {
	p := &printer{key: key.Derive(labelMAC).Bytes()}
	table := key.expand(labelRoll, 8*len(p.table))
	for i := range p.table {
		p.table[i] = binary.BigEndian.Uint64(table[8*i:])
	}
	return p
}

func (p *printer) mac(b []byte) []byte {
	h := hmac.New(sha256.New, p.key)
	h.Write(b)
	return h.Sum(nil)
}

// roll hashes all of b: a cyclic polynomial (buzhash) over the keyed table.
func (p *printer) roll(b []byte) uint32 {
	var h uint64
	for _, c := range b {
		h = bits.RotateLeft64(h, 1) ^ p.table[c]
	}
	return short(h)
}

// short keeps 24 bits: enough that few false candidates reach the MAC, few enough
// to tell little about the value to somebody who has the key.
func short(h uint64) uint32 { return uint32(h >> 40) }
