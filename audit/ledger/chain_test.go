package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/audit/ledger"
)

func key(t testing.TB) ledger.Key {
	t.Helper()
	b := make([]byte, ledger.KeySize)
	for i := range b {
		b[i] = byte(i)
	}
	k, err := ledger.NewKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestGolden holds the encoding against values computed by another program (in
// Python, from the description in chain.go). If it fails, no log written so far can
// be verified any more.
func TestGolden(t *testing.T) {
	t.Parallel()
	e := ledger.Entry{
		Seq: 17, At: time.Date(2026, 11, 22, 19, 35, 18, 123456000, time.UTC),
		Actor: "slack:U012AB3CD (alice)", Action: "rotate.requested", Subject: "production/REVALIDATE_SECRET",
		Run: "r-1", Why: "found in a CI log", Result: "accepted",
		Detail: map[string]string{"mode": "compromised", "Ümlaut": "<&>", "": "empty"},
		Prev:   ledger.Hash(bytes.Repeat([]byte{0xab}, 32)),
		Hash:   ledger.Hash{1}, // not part of the encoding
	}
	h := ledger.Sum(key(t), e)
	if want := "05f85def491fad82ec5ae3cda8c008e6f6f5954171aae870b160e76ae7e44b9e"; h.String() != want {
		t.Errorf("hash is %s, want %s", h, want)
	}
	if got, want := ledger.HeadMAC(key(t), 17, h).String(), "1ef460e35a73d11b8845d60614ace2f7b18576957c5a9ace41a37c0195055aad"; got != want {
		t.Errorf("head's MAC is %s, want %s", got, want)
	}
}

// TestEveryFieldCounts: no two entries that differ anywhere have one hash.
func TestEveryFieldCounts(t *testing.T) {
	t.Parallel()
	k := key(t)
	base := ledger.Entry{
		Seq: 1, At: time.Unix(1, 0), Actor: "ab", Action: "cd", Subject: "ef", Run: "gh", Why: "ij", Result: "kl",
		Detail: map[string]string{"mn": "op", "qr": "st"},
	}
	seen := map[ledger.Hash]string{ledger.Sum(k, base): "base"}
	for name, change := range map[string]func(*ledger.Entry){
		"seq": func(e *ledger.Entry) { e.Seq++ }, "at": func(e *ledger.Entry) { e.At = e.At.Add(time.Microsecond) },
		"prev": func(e *ledger.Entry) { e.Prev[31] = 1 }, "actor": func(e *ledger.Entry) { e.Actor = "" },
		"action": func(e *ledger.Entry) { e.Action = "" }, "subject": func(e *ledger.Entry) { e.Subject = "" },
		"run": func(e *ledger.Entry) { e.Run = "" }, "why": func(e *ledger.Entry) { e.Why = "" },
		"result":           func(e *ledger.Entry) { e.Result = "" },
		"moved text":       func(e *ledger.Entry) { e.Actor, e.Action = "abc", "d" },
		"no detail":        func(e *ledger.Entry) { e.Detail = nil },
		"detail's value":   func(e *ledger.Entry) { e.Detail = map[string]string{"mn": "op", "qr": ""} },
		"detail moved":     func(e *ledger.Entry) { e.Detail = map[string]string{"mno": "p", "qr": "st"} },
		"detail exchanged": func(e *ledger.Entry) { e.Detail = map[string]string{"mn": "st", "qr": "op"} },
	} {
		e := base
		change(&e)
		h := ledger.Sum(k, e)
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q have one hash", name, other)
		}
		seen[h] = name
	}
}

func TestHashText(t *testing.T) {
	t.Parallel()
	h := ledger.Hash{0, 1, 0xff}
	b, err := json.Marshal(struct{ H ledger.Hash }{h})
	if want := `{"H":"0001ff` + strings.Repeat("00", 29) + `"}`; err != nil || string(b) != want {
		t.Errorf("as JSON: %s, %v", b, err)
	}
	var back struct{ H ledger.Hash }
	if err := json.Unmarshal(b, &back); err != nil || back.H != h {
		t.Errorf("read back: %v, %v", back.H, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("x", 64), strings.Repeat("0", 66)} {
		if err := back.H.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

func TestKeyNeverPrints(t *testing.T) {
	t.Parallel()
	k := key(t)
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%T"} {
		fmt.Fprintf(&b, verb+verb+verb+"\n", k, struct{ Key ledger.Key }{k}, struct{ key ledger.Key }{k})
	}
	j, err := json.Marshal(map[string]any{"k": k, "p": &k})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(j)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "k", k)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "k", k)
	for _, leak := range []string{"0001020304", "0 1 2 3", "0, 1, 2", "0x0, 0x1", `\x01`, "AAECAw"} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("a key was printed: %q occurs", leak)
		}
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := ledger.NewKey(bytes.Repeat([]byte{1}, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
	if _, err := ledger.NewKey(make([]byte, 32)); err == nil {
		t.Error("a key of zeros is taken")
	}
	if !(ledger.Key{}).IsZero() || k.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	a := ledger.Anchor{Seq: 17, Hash: ledger.Hash{0xab}}
	if got, err := ledger.ParseAnchor(" " + a.String() + "\n"); err != nil || got != a {
		t.Errorf("ParseAnchor(%q): %v, %v", a, got, err)
	}
	for _, bad := range []string{"", "17", ":" + a.Hash.String(), "0:" + a.Hash.String(), "-1:" + a.Hash.String(), "x:" + a.Hash.String(), "17:ab"} {
		if _, err := ledger.ParseAnchor(bad); err == nil {
			t.Errorf("%q is taken for an anchor", bad)
		}
	}
}

// written makes a chain of n entries and its head.
func written(k ledger.Key, n int) ([]ledger.Entry, ledger.Head) {
	var es []ledger.Entry
	var head ledger.Head
	for i := range n {
		e := ledger.Entry{Seq: int64(i) + 1, At: time.Unix(int64(i), 0), Action: fmt.Sprint("act ", i), Prev: head.Hash}
		e.Hash = ledger.Sum(k, e)
		es, head.Seq, head.Hash = append(es, e), e.Seq, e.Hash
	}
	head.MAC = ledger.HeadMAC(k, head.Seq, head.Hash)
	return es, head
}

func walk(k ledger.Key, es []ledger.Entry, head ledger.Head) ledger.Verification {
	w := ledger.NewWalk(k)
	for _, e := range es {
		if !w.Add(e) {
			break
		}
	}
	return w.End(&head)
}

// TestWalk: whatever is done to one place of a chain of any length, that place is
// named.
func TestWalk(t *testing.T) {
	t.Parallel()
	k := key(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "entries")
		es, head := written(k, n)
		if v := walk(k, es, head); !v.OK || v.Entries != int64(n) || v.Head != head.Hash {
			t.Fatalf("a true chain: %+v", v)
		}
		i := rapid.IntRange(0, n-1).Draw(t, "place")
		renumber := rapid.Bool().Draw(t, "renumber")
		switch op := rapid.SampledFrom([]string{"edit", "remove", "insert", "swap"}).Draw(t, "what"); op {
		case "edit":
			es[i].Why = "forged"
		case "remove":
			es = append(es[:i:i], es[i+1:]...)
		case "insert":
			forged := es[rapid.IntRange(0, n-1).Draw(t, "copy of")]
			forged.Seq = es[i].Seq
			if rapid.Bool().Draw(t, "with other text") {
				forged.Why = "forged"
			} else if forged.Hash == es[i].Hash {
				return // the same entry twice under one number: no database keeps that
			}
			es, renumber = append(es[:i:i], append([]ledger.Entry{forged}, es[i:]...)...), true
		case "swap":
			j := rapid.IntRange(0, n-1).Draw(t, "with")
			if i == j {
				return
			}
			es[i], es[j] = es[j], es[i]
			i, renumber = min(i, j), true
		}
		if renumber {
			for j := range es {
				es[j].Seq = int64(j) + 1
			}
		}
		if v := walk(k, es, head); v.OK || v.BadSeq != int64(i)+1 || v.Problem == "" {
			t.Fatalf("entry %d is bad, Walk says %+v", i+1, v)
		}
	})
}

// TestWalkIsBounded: after a bad entry only so many are looked at.
func TestWalkIsBounded(t *testing.T) {
	t.Parallel()
	k := key(t)
	es, head := written(k, 5000)
	es[0].Why = "forged"
	w := ledger.NewWalk(k)
	seen := 0
	for _, e := range es {
		if seen++; !w.Add(e) {
			break
		}
	}
	if seen > 2000 {
		t.Errorf("%d entries were taken after the bad one", seen)
	}
	if v := w.End(&head); v.OK || v.BadSeq != 1 {
		t.Errorf("End: %+v", v)
	}
}

// TestOtherHistory: a log that was restored from a backup and written on, both with
// the right key, does not fit together with what came after the backup.
func TestOtherHistory(t *testing.T) {
	t.Parallel()
	k := key(t)
	es, _ := written(k, 6)
	other := es[3]
	other.Why = "another history"
	other.Hash = ledger.Sum(k, other)
	tail, head := es[4:], ledger.Head{Seq: 6, Hash: es[5].Hash, MAC: ledger.HeadMAC(k, 6, es[5].Hash)}
	v := walk(k, append(append(es[:3:3], other), tail...), head)
	if v.OK || v.BadSeq != 5 || !strings.Contains(v.Problem, "another history") {
		t.Errorf("Walk: %+v", v)
	}
}
