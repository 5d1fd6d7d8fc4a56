package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readByReflection reads a line's fields with encoding/json. It shares the table and what
// is made of the fields, and nothing of how they are found.
func readByReflection(f *fields, line []byte) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var value func(path string, depth, index int)
	next := func() json.Token {
		t, err := dec.Token()
		if err != nil {
			panic(err)
		}
		return t
	}
	object := func(path string, depth int) {
		for dec.More() {
			key := next().(string)
			if depth > 0 {
				key = path + "." + key
			}
			value(key, depth, 0)
		}
		next()
	}
	skip := func(depth int) { // passes over a value that is nested too deeply
		for depth > 0 {
			if d, ok := next().(json.Delim); ok && (d == '{' || d == '[') {
				depth++
			} else if ok {
				depth--
			}
		}
	}
	value = func(path string, depth, index int) {
		switch t := next().(type) {
		case json.Delim:
			switch {
			case depth >= maxDepth:
				skip(1)
			case t == '{':
				object(path, depth+1)
			default:
				// Containers in a list go by another name than the list.
				for i := 0; dec.More(); i++ {
					inner := path
					if c := peek(dec, line); c == '{' || c == '[' {
						inner += "[]"
					}
					value(inner, depth+1, i)
				}
				next()
			}
		case string:
			f.member([]byte(path), []byte(t), false, index)
		case json.Number:
			if isDigit(t[0]) {
				f.member([]byte(path), []byte(t), false, index)
			}
		}
	}
	next()
	object("", 0)
}

// peek is the first byte of the decoder's next value.
func peek(dec *json.Decoder, line []byte) byte {
	rest := bytes.TrimLeft(line[dec.InputOffset():], " \t\r\n,")
	return rest[0]
}

// FuzzReadJSON holds the tokenizer against encoding/json on every line that this takes:
// the same findings, always.
func FuzzReadJSON(f *testing.F) {
	for _, line := range seeds(f, JSON) {
		f.Add(line)
	}
	f.Add([]byte(`{"status":401,"status":200,"path":"/api/track-view/","path":"/","ip":"::1","ip":"::2","a":[[{"status":403}],"x"]}`))
	f.Add([]byte(`{"` + "\\u0073tatus" + `":4.01e2,"path":"\ud83d\ude00\ud83d","ip":null,"msg":true,"ts":1.795376118e9}`))
	f.Add([]byte(strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] != '{' || !json.Valid(line) {
			return
		}
		ours, theirs := newDialect(JSON, query(JSON), written), newDialect(JSON, query(JSON), written)
		ours.fields().readJSON(line)
		readByReflection(theirs.fields(), line)
		got, ok1 := ours.scratch.record()
		want, ok2 := theirs.scratch.record()
		if d := cmp.Diff(want, got, compare); ok1 != ok2 || d != "" {
			t.Errorf("%v and %v (-encoding/json +ours):\n%s", ok2, ok1, d)
		}
	})
}

// TestContradictions: a properly written line says each thing once, and where two fields
// differ, one may be a visitor's.
func TestContradictions(t *testing.T) {
	t.Parallel()
	const line = `{"time":"2026-11-22T19:35:18Z","ip":"203.0.113.66","method":"POST","path":"/api/track-view/","status":404`
	for _, tt := range []struct {
		name, more string
		want       string // what the record says; "" for none
	}{
		{"nothing more", ``, ""},
		{"another status that gives more away", `,"status":200`, "used 203.0.113.66 POST /api/track-view/ 200 19:35:18"},
		{"another status under another name", `,"status_code":401`, "denied 203.0.113.66 POST /api/track-view/ 401 19:35:18"},
		{"another address", `,"status":401,"ip":"192.0.2.5"`, "denied invalid IP POST /api/track-view/ 401 19:35:18"},
		{"the same address in other clothes", `,"status":401,"remote_addr":"[::ffff:203.0.113.66]:80"`, "denied 203.0.113.66 POST /api/track-view/ 401 19:35:18"},
		{"another address and the first one again", `,"status":401,"ip":"192.0.2.5","ip":"203.0.113.66"`, "denied invalid IP POST /api/track-view/ 401 19:35:18"},
		{"another path, not guarded", `,"status":200,"path":"/"`, "used 203.0.113.66 POST /api/track-view/ 200 19:35:18"},
		{"another time", `,"status":401,"timestamp":"2020-01-01T00:00:00Z"`, "denied 203.0.113.66 POST /api/track-view/ 401 00:00:00"},
		{"a time a moment later", `,"status":401,"ts":1795376119`, "denied 203.0.113.66 POST /api/track-view/ 401 19:35:18"},
		{"another method", `,"status":200,"method":"OPTIONS"`, "used 203.0.113.66  /api/track-view/ 200 19:35:18"},
		{"a message of the same meaning", `,"msg":"x","event":"Invalid signature"`, "invalid_signature 203.0.113.66 POST /api/track-view/ 0 19:35:18"},
		{"an address in a message beside one of its own", `,"msg":"Invalid signature from 192.0.2.5"`, "invalid_signature 203.0.113.66 POST /api/track-view/ 0 19:35:18"},
		{"an address in a message beside two", `,"ip":"::1","msg":"Invalid signature from 192.0.2.5"`, "invalid_signature invalid IP POST /api/track-view/ 0 19:35:18"},
	} {
		d := newDialect(JSON, query(JSON), written)
		r, ok := d.parse([]byte(line + tt.more + "}"))
		got := ""
		if ok {
			got = fmt.Sprint(r.Kind, " ", r.Addr, " ", r.Method, " ", r.Path, " ", r.Status, " ", r.At.Format(time.TimeOnly))
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
