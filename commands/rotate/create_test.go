package rotate_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"rekey/commands"
	"rekey/commands/secret"
	"rekey/commands/store/dotenv"
)

// endless repeats what it holds.
type endless []byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

// What the generator answers is only used when it is new, strong enough, and when all
// loaders of the file read it alike.
//
// Guide: practices/strong-secrets
func TestANewValueThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	present, err := hex.DecodeString(oldValue)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		generator secret.Generator
		random    io.Reader
		says      []string
	}{
		"the present value again":       {secret.Hex32, endless(present), []string{"present value"}},
		"too weak":                      {secret.Hex32, endless{0}, []string{"hex32 is too weak"}},
		"no randomness":                 {secret.Hex32, bytes.NewReader([]byte("short")), []string{"no new value can be made", "random"}},
		"a value that a provider makes": {secret.Supplied, endless(present), []string{"made by its provider"}},
		"an unknown generator":          {"dice", endless(present), []string{`"dice"`}},
		// Every draw of it begins with a $, which Next.js would expand.
		"nothing but what cannot be written": {secret.Django, &dollars{}, []string{"makes no value that can be held everywhere", "ambiguous"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cat.Secrets[0].Generator = c.generator
			w.cfg.Rand = c.random
			w.build()
			s := w.subject("r-1", commands.Compromised)
			before := w.sight(true)
			w.fails(s, step(t, s, "create"), c.says...)
			if w.sight(true) != before {
				t.Error("something was kept all the same")
			}
		})
	}
}

// dollars draws values that differ, are strong, and all hold a "$" (index 39 of
// Django's alphabet).
type dollars struct{ n byte }

func (d *dollars) Read(p []byte) (int, error) {
	for i := range p {
		d.n = d.n*73 + 41
		p[i] = d.n % 250
	}
	p[0] = 39
	return len(p), nil
}

// Most of Django's values hold a "$", a "#" or the like; those that are used do not.
//
// Guide: procedures/secret-key/generate
func TestDjangosValuesAreWrittenSoThatAllReadThemAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cat.Secrets[0].Generator = secret.Django
	seen := map[string]bool{oldValue: true}
	for n := range 12 {
		s := w.subject(fmt.Sprint("r-", n), commands.Compromised)
		w.until(s, "create")
		e, ok := w.escrow(s)
		if !ok || seen[e.New.Reveal()] || e.New.Len() != 50 {
			t.Fatal("no fresh value of Django's was made")
		}
		seen[e.New.Reveal()] = true
		if err := dotenv.Portable(e.New); err != nil {
			t.Errorf("not portable: %v", err)
		}
		if err := secret.CheckHMAC(e.New); err != nil {
			t.Errorf("too weak: %v", err)
		}
		w.until(s, "")
		if w.service("api").env()[variable] != e.New.Reveal() || w.service("web").env()[variable] != e.New.Reveal() {
			t.Fatal("the services read something else than was made")
		}
	}
}

// Every value the run knows is known to the guard before it can leave the process.
func TestTheGuardKnowsEveryValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "check")
	if !w.guard.Holds([]byte("x " + oldValue)) {
		t.Error("the present value is not known after the check")
	}
	w.until(s, "create")
	e, _ := w.escrow(s)
	if !w.guard.Holds([]byte("x " + e.New.Reveal())) {
		t.Error("the new value is not known once it was made")
	}
	// A process that takes the run over learns both from what is kept.
	key := w.cfg.Key
	w.guard = secret.NewGuard(key)
	w.cfg.Guard = w.guard
	w.build()
	w.do(s, step(t, s, "publish/set/api"))
	if !w.guard.Holds([]byte("x "+e.New.Reveal())) || !w.guard.Holds([]byte("x "+oldValue)) {
		t.Error("the successor does not know the values")
	}
}

// What a failed run left beside the env file is replaced by the next one; what any
// other run left is not.
func TestTheValuesOfAFailedRunAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.subject("r-1", commands.Compromised)
	w.until(first, "create")
	kept, _ := w.escrow(first)

	second := w.subject("r-2", commands.Compromised)
	w.fails(second, step(t, second, "create"), "run r-1 left an escrow")
	if e, ok := w.escrow(first); !ok || !e.New.Equal(kept.New) {
		t.Fatal("the values of a run that may be alive were taken away")
	}

	w.ended = []string{"r-0", "r-1"}
	second = w.subject("r-2", commands.Compromised)
	w.until(second, "create")
	if _, ok := w.escrow(first); ok {
		t.Error("the values of the failed run are still there")
	}
	e, ok := w.escrow(second)
	if !ok || e.New.Equal(kept.New) || e.Old.Reveal() != oldValue {
		t.Error("the second run did not make a value of its own")
	}
	w.until(second, "")
	w.onNew()
}

// A run that failed after publishing leaves its value accepted. The next run begins
// from there.
func TestTheNextRunCleansUpAfterOneThatFailed(t *testing.T) {
	t.Parallel()
	for _, failed := range []string{"publish/test/api", "switch/test/web", "retire/set/api"} {
		t.Run(failed, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.subject("r-1", commands.Compromised)
			w.until(first, failed)
			left, _ := w.escrow(first)
			w.ended = []string{"r-1"}
			second := w.subject("r-2", commands.Compromised)
			w.until(second, "")
			if fresh := w.onNew(); fresh == left.New.Reveal() {
				t.Error("the value of the failed run is in use")
			}
			for _, s := range w.services {
				if strings.Contains(s.text(), left.New.Reveal()) || strings.Contains(s.text(), oldValue) {
					t.Errorf("%s still holds a value of the failed run", s.name)
				}
			}
		})
	}
}

// Without what was kept, nothing is written.
func TestWithoutItsValuesARunStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	before := w.sight(true)
	for _, key := range []string{"publish/set/api", "publish/test/api", "switch/set/web", "retire/set/api", "prove"} {
		w.fails(s, step(t, s, key), "values of this run cannot be read")
	}
	if w.sight(true) != before {
		t.Error("something was touched")
	}
	if _, err := os.Stat(w.service("api").envFile()); errors.Is(err, os.ErrNotExist) {
		t.Error("the env file is gone")
	}
}
