package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
)

func mustNotBeAFault(t *testing.T, err, want error) {
	t.Helper()
	var fault *rotate.Fault
	if errors.As(err, &fault) || !errors.Is(err, want) {
		t.Errorf("error %v, want %v and no fault", err, want)
	}
}

// Somebody saves another variable of the same file in the very moment rekey writes:
// both changes are kept.
func TestAnEditBesideTheSecretIsKept(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"publish/set/api", "switch/set/web", "retire/set/api"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.subject("r-1", commands.Compromised)
			w.before(s, key)
			st := step(t, s, key)
			svc := w.service(st.Consumer)
			asked := 0
			w.still = func(context.Context) error {
				if asked++; asked == 1 {
					svc.write(svc.text() + "ADDED=by hand\n")
				}
				return nil
			}
			w.do(s, st)
			if asked < 3 {
				t.Errorf("the fence was asked %d times: the edit met no write", asked)
			}
			w.until(s, "")
			w.onNew()
			if got := svc.env()["ADDED"]; got != "by hand" {
				t.Errorf("the edit was lost: %q", got)
			}
		})
	}
}

// Somebody sets the secret itself, in the same moment or before: rekey stops, keeps
// what they wrote, and keeps its own values too.
func TestAnEditOfTheSecretStopsTheRun(t *testing.T) {
	t.Parallel()
	theirs := strings.Repeat("abcdef0123456789", 4)
	for _, when := range []string{"before", "during"} {
		for _, key := range []string{"publish/set/api", "switch/set/web", "retire/set/api"} {
			t.Run(when+" "+key, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				s := w.subject("r-1", commands.Compromised)
				w.before(s, key)
				st := step(t, s, key)
				svc := w.service(st.Consumer)
				reloads := svc.reloads()
				now := svc.env()[variable]
				if when == "before" {
					svc.edit(now, theirs)
				} else {
					edited := false
					w.still = func(context.Context) error {
						if !edited {
							edited = true
							svc.edit(now, theirs)
						}
						return nil
					}
				}
				fault := w.fails(s, st, "neither the old nor the new", "somebody else is changing it")
				if strings.Contains(fault.Sentence, theirs) || strings.Contains(fault.Sentence, now) {
					t.Error("the fault holds a value")
				}
				if svc.env()[variable] != theirs {
					t.Error("what they wrote was overwritten")
				}
				if e, ok := w.escrow(s); !ok || e.Old.Reveal() != oldValue || e.New.IsZero() {
					t.Error("the values of the run are lost")
				}
				if svc.reloads() != reloads {
					t.Error("the service was reloaded all the same")
				}
			})
		}
	}
}

// A file that changes at every look ends in a fault, not in an endless race.
func TestAFileThatNeverRestsIsAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "create")
	n := 0
	w.still = func(context.Context) error {
		n++
		w.service("api").write(w.service("api").text() + fmt.Sprintf("N%d=1\n", n))
		return nil
	}
	w.fails(s, step(t, s, "publish/set/api"), "changed underneath")
	if env := w.service("api").env(); env[variable] != oldValue || env[fmt.Sprintf("N%d", n)] != "1" {
		t.Error("an edit was overwritten")
	}
}

// A process that has lost the run neither writes nor reloads.
func TestWhoLostTheRunTouchesNothing(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"create", "publish/set/api"} {
		w := newWorld(t)
		s := w.subject("r-1", commands.Compromised)
		w.until(s, "check")
		if key != "create" {
			w.until(s, "create")
		}
		before := w.sight(true)
		w.still = func(context.Context) error { return ledger.ErrFenced }
		_, err := w.rotator.Do(t.Context(), s, step(t, s, key))
		mustNotBeAFault(t, err, ledger.ErrFenced)
		if w.sight(true) != before {
			t.Errorf("%s touched something", key)
		}
	}
	// Lost between the write and the reload, and before the values are forgotten.
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "publish/set/api")
	reloads := w.service("api").reloads()
	w.still = func(context.Context) error { return ledger.ErrFenced }
	for _, key := range []string{"publish/set/api", "finish"} {
		_, err := w.rotator.Do(t.Context(), s, step(t, s, key))
		mustNotBeAFault(t, err, ledger.ErrFenced)
	}
	if _, ok := w.escrow(s); !ok || w.service("api").reloads() != reloads {
		t.Error("the service was reloaded or the values were forgotten")
	}
}

// After a sweep, what an earlier owner of the run prepared cannot become visible.
func TestSweepStopsTheEarlierOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "create")
	successor := s
	successor.Run.Fence = 2
	asked := 0
	w.still = func(context.Context) error {
		if asked++; asked == 1 { // the copy is prepared, and now we sleep
			return w.rotator.Sweep(t.Context(), successor)
		}
		return ledger.ErrFenced
	}
	_, err := w.rotator.Do(t.Context(), s, step(t, s, "publish/set/api"))
	mustNotBeAFault(t, err, ledger.ErrFenced)
	if w.service("api").env()[variable] != oldValue {
		t.Error("the earlier owner wrote")
	}
}

// A reload that fails says how it ended and what it said last, without any value.
func TestAReloadThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		reload []string // instead of a script
		says   []string
	}{
		"with a code": {
			`echo first; echo "cannot use $(sed -n 's/^REVALIDATE_SECRET=//p' .env) here"; exit 3`, nil,
			[]string{"api could not be reloaded", "exited with 3", "It said: cannot use [redacted] here"},
		},
		"with a token nobody knows": {
			"echo first; echo token is 5f3c9a7be18d4420c6e2b7a9d0f1843e5f3c9a7be18d4420; exit 1", nil,
			[]string{"exited with 1", "It said: token is [masked]"},
		},
		"silently":      {"", []string{"false"}, []string{"false exited with 1."}},
		"by a signal":   {"kill -9 $$", nil, []string{"signal"}},
		"not at all":    {"", []string{"/nonexistent/reload"}, []string{"could not be run"}},
		"not in time":   {"", []string{"sleep", "600"}, []string{"did not end within"}},
		"a long speech": {`i=0; while [ $i -lt 400 ]; do printf "word "; i=$((i+1)); done; exit 1`, nil, []string{"word …"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			svc := w.service("api")
			consumer := &w.cat.Environments[0].Consumers[0]
			consumer.Reload = c.reload
			if c.script != "" {
				path := filepath.Join(svc.dir, "reload")
				must(t, os.WriteFile(path, []byte("cd "+svc.dir+"\n"+c.script+"\n"), 0o600))
				consumer.Reload = []string{"sh", path}
			}
			if name == "not in time" {
				consumer.ReloadTimeout = 200 * time.Millisecond
			}
			s := w.subject("r-1", commands.Compromised)
			w.until(s, "create")
			e, _ := w.escrow(s)
			fault := w.fails(s, step(t, s, "publish/set/api"), c.says...)
			if strings.Contains(fault.Sentence, oldValue) || strings.Contains(fault.Sentence, e.New.Reveal()) || strings.Contains(fault.Sentence, "5f3c9a7b") {
				t.Error("the fault holds a value")
			}
			if strings.Contains(fault.Sentence, "first") || len([]rune(fault.Sentence)) > 600 {
				t.Errorf("the fault says too much: %s", fault.Sentence)
			}
		})
	}
}

// A stop during a reload is no verdict about the service.
func TestAStoppedReloadIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cat.Environments[0].Consumers[0].Reload = []string{"sleep", "600"}
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "create")
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := 0
	w.still = func(context.Context) error {
		if asked++; asked == 2 { // the file is written, the reload comes next
			time.AfterFunc(100*time.Millisecond, func() { cancel(ledger.ErrFenced) })
		}
		return nil
	}
	_, err := w.rotator.Do(ctx, s, step(t, s, "publish/set/api"))
	mustNotBeAFault(t, err, ledger.ErrFenced)
}

// The overlap is counted from when it began, whoever asks, and ends at once where the
// secret is compromised.
//
// Guide: dual-secret/step-6-remove-old, practices/keep-old-24h
func TestTheOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Routine)
	st := step(t, s, "overlap")
	st.Started = w.now
	for _, passed := range []time.Duration{0, time.Minute, time.Hour - time.Microsecond} {
		w.now = st.Started.Add(passed)
		if res := w.do(s, st); !res.Wait.Equal(st.Started.Add(time.Hour)) || !strings.Contains(res.Note, "22 Nov 13:00 UTC") {
			t.Errorf("after %v: until %v, %s", passed, res.Wait, res.Note)
		}
	}
	w.now = st.Started.Add(time.Hour)
	if res := w.do(s, st); !res.Wait.IsZero() {
		t.Errorf("the overlap does not end: %v", res.Wait)
	}
	w.now = st.Started
	s.Run.Mode = string(commands.Compromised)
	if res := w.do(s, st); !res.Wait.IsZero() || !strings.Contains(res.Note, "cut short") {
		t.Errorf("a compromised secret waits until %v: %s", res.Wait, res.Note)
	}
}
