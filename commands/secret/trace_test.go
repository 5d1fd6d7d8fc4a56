package secret

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
)

func tracerOf(t testing.TB, values ...string) *Tracer {
	t.Helper()
	var fs []ledger.Fingerprint
	for _, v := range values {
		fs = append(fs, Fingerprints(testKey(t), "S", "production", RoleRetired, NewValue(v))...)
	}
	return NewTracer(testKey(t), fs)
}

func TestTracerTellsAValueFromItsBeginning(t *testing.T) {
	t.Parallel()
	long := awkward["hex"]
	for _, tc := range []struct {
		name, value, text string
		want              []Trace
	}{
		{"the value", long, "key=" + long + " ok", []Trace{{4, 68, true}}},
		{"in capitals", long, "key=" + strings.ToUpper(long), []Trace{{4, 68, true}}},
		{"its first half", long, "key=" + long[:32] + " ok", []Trace{{4, 36, false}}},
		{"its second half", long, "key=" + long[32:] + " ok", []Trace{{4, 36, false}}},
		{"its first 12 digits", long, "key=" + long[:12] + "… ok", []Trace{{4, 16, false}}},
		{"11 digits are anybody's", long, "key=" + long[:11] + "… ok", nil},
		{"twice", long, long + " " + long, []Trace{{0, 64, true}, {65, 129, true}}},
		{"escaped in a query", awkward["django"], "/?k=" + url.QueryEscape(awkward["django"]), []Trace{{4, 4 + len(url.QueryEscape(awkward["django"])), true}}},
		{"the password of a URL", "postgresql://app:p%40ssw0rd@localhost:5432/leather_api", "login with p@ssw0rd", []Trace{{11, 19, true}}},
		{"the URL's host is no secret", "postgresql://app:p%40ssw0rd@localhost:5432/leather_api", "localhost:5432/leather_api", nil},
		{"words have no beginning of their own", "correct horse battery staple again", "correct horse", nil},
		{"a short one", awkward["short"], "hunter2! and hunter2", []Trace{{0, 8, true}}},
		{"another value", long, "key=" + strings.Repeat("ab", 32), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, tracerOf(t, tc.value).Find([]byte(tc.text))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTracerFindsBase64InALargerText(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	found := tracerOf(t, v).Find([]byte("Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+v))))
	if len(found) != 1 || !found[0].Whole {
		t.Errorf("%+v", found)
	}
}

func TestTracerWithoutFingerprintsFindsNothing(t *testing.T) {
	t.Parallel()
	tr := NewTracer(testKey(t), nil)
	if !tr.Empty() || tr.Find([]byte(awkward["hex"])) != nil {
		t.Error("it finds what nobody told it of")
	}
}

// BenchmarkTracer reads log lines past the fingerprints of two values.
func BenchmarkTracer(b *testing.B) {
	tr := tracerOf(b, awkward["hex"], awkward["base64"])
	var text strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&text, "203.0.113.%d - - [22/Nov/2026:19:35:%02d +0000] \"POST /api/revalidate/?id=%d HTTP/1.1\" 200 29 \"-\" \"node\"\n", i%250, i%60, i)
	}
	data := []byte(text.String())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if tr.Find(data) != nil {
			b.Fatal("found something")
		}
	}
}

// Fingerprints that were recorded before blocks were marked are found all the same.
func TestUnmarkedFingerprintsAreFound(t *testing.T) {
	t.Parallel()
	for kind, v := range awkward {
		fs := Fingerprints(testKey(t), "S", "production", RoleRetired, NewValue(v))
		for i := range fs {
			fs[i].Form = strings.TrimSuffix(fs[i].Form, tokenMark)
		}
		g := NewGuard(testKey(t))
		g.Set(fs)
		text := "x " + v + " y"
		if got := g.ScrubString(text); got == text {
			t.Errorf("%s: the guard lets it pass", kind)
		}
		if found := NewTracer(testKey(t), fs).Find([]byte(text)); len(found) == 0 {
			t.Errorf("%s: the tracer does not find it", kind)
		}
	}
}
