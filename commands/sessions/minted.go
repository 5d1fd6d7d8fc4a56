package sessions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"rekey/audit"
	"rekey/commands/secret"
)

// Minted is how much of each kind there is, in the order the command printed it.
type Minted []Kind

// Kind is one kind of what a value has minted.
type Kind struct {
	Name string // plural, as people say it: "password reset links"
	N    int64
}

// Total is how much there is of all kinds.
func (m Minted) Total() int64 {
	var n int64
	for _, k := range m {
		n += k.N
	}
	return n
}

// String lists what there is: "120 sessions and 3 password reset links"; "nothing"
// where there is nothing.
func (m Minted) String() string {
	var parts []string
	for _, k := range m {
		if k.N > 0 {
			parts = append(parts, k.String())
		}
	}
	switch n := len(parts); n {
	case 0:
		return "nothing"
	case 1:
		return parts[0]
	default:
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}

// Sentence says what a rotation ends: "120 sessions and 3 password reset links end."
func (m Minted) Sentence() string {
	switch m.Total() {
	case 0:
		return "No sessions end."
	case 1:
		return m.String() + " ends."
	}
	return m.String() + " end."
}

// String is "1 session", "12,040 sessions".
func (k Kind) String() string {
	digits := fmt.Sprint(k.N)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	name := k.Name
	if k.N == 1 && !strings.HasSuffix(name, "ss") {
		name = strings.TrimSuffix(name, "s")
	}
	return digits + " " + name
}

// errNotCounts says what a counting command must print.
var errNotCounts = errors.New(`the command did not print a JSON object of whole numbers such as {"sessions": 120}`)

const (
	maxKinds  = 8
	nameRunes = 40
)

// parse reads a JSON object of counts in the order it was printed, and nothing else.
// Its errors do not quote what was printed.
func parse(stdout []byte, guard *secret.Guard) (Minted, error) {
	d := json.NewDecoder(bytes.NewReader(stdout))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errNotCounts
	}
	m := Minted{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errNotCounts
		}
		name, _ := key.(string) // a key is always one
		name = strings.TrimSpace(audit.Clean(secret.MaskTokens(guard.ScrubString(name)), nameRunes))
		value, err := d.Token()
		if err != nil {
			return nil, errNotCounts
		}
		number, ok := value.(json.Number)
		if !ok {
			return nil, errNotCounts
		}
		n, err := number.Int64()
		if err != nil || n < 0 || name == "" || len(m) == maxKinds {
			return nil, errNotCounts
		}
		m = append(m, Kind{Name: name, N: n})
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotCounts
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotCounts
	}
	return m, nil
}
