package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rekey/audit/ledger"
)

func testKey(t testing.TB) Key {
	t.Helper()
	k, err := ParseKey(NewValue(strings.Repeat("5a", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// guardOf answers a guard that knows the values.
func guardOf(t testing.TB, values ...string) *Guard {
	t.Helper()
	g := NewGuard(testKey(t))
	for _, v := range values {
		g.Add(Fingerprints(testKey(t), "S", "production", RoleLive, NewValue(v)))
	}
	return g
}

var awkward = map[string]string{
	"hex":      "6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c",
	"base64":   "q83vEjRWeJq83vEjRWeJq7+/3vEjRWeJq83vEjRWeKs=",
	"django":   `x&4^k(1$3+@!e=z#_%0-)q*7w8r9t2y5u6i&o$p^a@s(d)f+g!h`,
	"url":      "postgresql://leather_api:p@ss/w0rd&<x>@localhost:5432/leather_api",
	"short":    "hunter2!",
	"quotes":   `it's a "dotenv" $VALUE with \ and ` + "`ticks`",
	"unicode":  "pässwörd-日本語-geheim-<&>",
	"two line": "first line of it\nsecond line of it",
}

func TestGuardFindsEveryEncoding(t *testing.T) {
	t.Parallel()
	for kind, v := range awkward {
		g := guardOf(t, v)
		js, _ := json.Marshal(map[string]string{"v": v})
		jsjs, _ := json.Marshal(string(js))
		ways := map[string]string{
			"raw":                v,
			"upper":              strings.ToUpper(v),
			"lower":              strings.ToLower(v),
			"hex":                hex.EncodeToString([]byte(v)),
			"HEX":                strings.ToUpper(hex.EncodeToString([]byte(v))),
			"base64":             base64.StdEncoding.EncodeToString([]byte(v)),
			"base64 unpadded":    base64.RawStdEncoding.EncodeToString([]byte(v)),
			"base64url":          base64.URLEncoding.EncodeToString([]byte(v)),
			"base64url unpadded": base64.RawURLEncoding.EncodeToString([]byte(v)),
			"basic auth":         base64.StdEncoding.EncodeToString([]byte("user:" + v)),
			"base64, one before": base64.StdEncoding.EncodeToString([]byte("x" + v + "y")),
			"base64, two before": base64.StdEncoding.EncodeToString([]byte("xy" + v + "yz")),
			"query":              url.QueryEscape(v),
			"path":               url.PathEscape(v),
			"query, lower":       lowerPercent(url.QueryEscape(v)),
			"json":               string(js),
			"json in json":       string(jsjs),
			"html":               html.EscapeString(v),
			"go":                 strconv.Quote(v),
			"shell":              "'" + strings.ReplaceAll(v, "'", `'\''`) + "'",
		}
		for way, text := range ways {
			for _, around := range []string{"%s", "key=%s; next", "\n\n%s\n", "é%sé"} {
				full := strings.Replace(around, "%s", text, 1)
				clean, found := g.Scrub([]byte(full))
				if found == 0 {
					t.Errorf("%s value as %s was not found", kind, way)
					continue
				}
				if bytes.Contains(clean, []byte(text)) || g.Holds(clean) {
					t.Errorf("%s value as %s is still there", kind, way)
				}
			}
		}
	}
}

func TestGuardLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t, v)
	if got, want := g.ScrubString("a "+v+" b "+v+"."), "a [redacted] b [redacted]."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	in := []byte("nothing to see here " + v[:11] + " " + v[12:43] + " " + v[44:])
	out, found := g.Scrub(in)
	if found != 0 || &out[0] != &in[0] {
		t.Error("a text without a whole block, or the beginning, comes back as it is")
	}
	if got, want := g.ScrubString("key "+v[:12]+"… of "+v[:8]), "key [redacted]… of "+v[:8]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := g.ScrubString("cut off: " + v[:40] + "…"); strings.Contains(got, v[:32]) {
		t.Error("a value cut off after 40 characters must still be found")
	}
	if Fingerprints(testKey(t), "S", "e", RoleLive, NewValue("seven77")) != nil {
		t.Error("a value of 7 bytes has no fingerprint")
	}
}

func TestGuardForgetsNothingByItself(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	live := Fingerprints(key, "S", "production", RoleLive, NewValue(awkward["hex"]))
	next := Fingerprints(key, "S", "production", RolePending, NewValue(awkward["base64"]))
	g := NewGuard(key)
	g.Set(live)
	g.Add(next)
	g.Add(Fingerprints(key, "S", "production", RoleRetired, NewValue(awkward["hex"]))) // the same, in another role
	if g.Len() != len(live)+len(next) {
		t.Errorf("%d fingerprints known, want %d", g.Len(), len(live)+len(next))
	}
	if !g.Holds([]byte(awkward["hex"])) || !g.Holds([]byte(awkward["base64"])) {
		t.Error("both values are known")
	}
	g.Set(next)
	if g.Holds([]byte(awkward["hex"])) {
		t.Error("Set replaces")
	}
	other, err := NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g = NewGuard(other)
	g.Set(live)
	if g.Holds([]byte(awkward["hex"])) {
		t.Error("fingerprints of another key recognise nothing")
	}
}

func TestFingerprintsShowNothing(t *testing.T) {
	t.Parallel()
	for kind, v := range awkward {
		b, err := json.Marshal(Fingerprints(testKey(t), "NAME", "production", RoleLive, NewValue(v)))
		if err != nil {
			t.Fatal(err)
		}
		if guardOf(t, v).Holds(b) {
			t.Errorf("the fingerprints of the %s value hold it", kind)
		}
	}
}

// TestFingerprintIsStable pins the format: fingerprints live in databases.
func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	fs := Fingerprints(testKey(t), "S", "e", RoleLive, NewValue("0123456789abcdef"))
	want := ledger.Fingerprint{Secret: "S", Environment: "e", Role: "live", Form: "raw/0/token", Length: 16}
	got := fs[0]
	mac, roll := hex.EncodeToString(got.MAC), got.Roll
	got.MAC, got.Roll = nil, 0
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if mac != "8b59785ccb10b36ae57114e987bab5750439b438490322e622c692c8856b0086" || roll != 14261950 {
		t.Errorf("mac %s, roll %d", mac, roll)
	}
}

func TestGuardAgainstANaiveSearch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringMatching(`[ -~]{8,80}`).Draw(t, "value")
		before := rapid.String().Draw(t, "before")
		after := rapid.String().Draw(t, "after")
		g := NewGuard(Key{NewValue(strings.Repeat("k", KeySize))})
		g.Set(Fingerprints(Key{NewValue(strings.Repeat("k", KeySize))}, "S", "e", RoleLive, NewValue(v)))
		got := g.ScrubString(before + v + after)
		if strings.Contains(got, v) {
			t.Fatal("the value is still there")
		}
		if !strings.HasPrefix(got, before[:max(0, len(before)-80)]) {
			t.Fatal("the text before the value changed")
		}
	})
}

func TestGuardedWriterAtEverySplit(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t, v)
	text := "before " + v + " after\nsecond line " + v
	want := "before [redacted] after\nsecond line [redacted]"
	for i := range len(text) {
		for j := i; j < len(text); j += 13 {
			var b bytes.Buffer
			w := g.Writer(&b)
			for _, part := range []string{text[:i], text[i:j], text[j:]} {
				if n, err := io.WriteString(w, part); n != len(part) || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if b.String() != want {
				t.Fatalf("split at %d and %d: %q", i, j, b.String())
			}
		}
	}
}

func TestGuardedWriterWithoutNewlines(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t, v)
	random := rand.New(rand.NewPCG(1, 2))
	var in, out bytes.Buffer
	w := g.Writer(&out)
	for in.Len() < 5*longestLine {
		part := strings.Repeat("-", random.IntN(300)) + v
		in.WriteString(part)
		for len(part) > 0 {
			n := min(len(part), 1+random.IntN(50))
			if _, err := io.WriteString(w, part[:n]); err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
	}
	if out.Len() == 0 {
		t.Error("a line without an end must not be kept for ever")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if g.Holds(out.Bytes()) {
		t.Error("the value came through")
	}
	want := strings.Count(in.String(), "-")
	if got := strings.Count(out.String(), "-"); got != want {
		t.Errorf("%d of %d other characters came through", got, want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestGuardedWriterKeepsItsError(t *testing.T) {
	t.Parallel()
	w := guardOf(t).Writer(brokenWriter{})
	for range 2 {
		if _, err := io.WriteString(w, "line\n"); err == nil {
			t.Error("Write must answer the error")
		}
	}
	if w.Close() == nil {
		t.Error("Close must answer the error")
	}
}

func TestGuardConcurrently(t *testing.T) {
	t.Parallel()
	g := guardOf(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			v := fmt.Sprintf("value number %02d of them", i)
			g.Add(Fingerprints(testKey(t), "S", "e", RoleLive, NewValue(v)))
			for range 50 {
				if strings.Contains(g.ScrubString("a "+v+" b"), v) {
					t.Error("a value that was added came through")
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkScrub reads text without a value past the fingerprints of 18 values:
// six secrets, live, pending and retired.
func BenchmarkScrub(b *testing.B) {
	g := NewGuard(testKey(b))
	for range 18 {
		v, err := Generate(Hex32, nil)
		if err != nil {
			b.Fatal(err)
		}
		g.Add(Fingerprints(testKey(b), "S", "e", RoleLive, v))
	}
	for _, size := range []int{200, 4 << 10, 1 << 20} {
		text := bytes.Repeat([]byte(`{"text":"Publish the new value to api: done in 1.2 s"} `), size/50+1)[:size]
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, found := g.Scrub(text); found != 0 {
					b.Fatal("found what is not there")
				}
			}
		})
	}
}
