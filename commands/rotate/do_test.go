package rotate_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store/dotenv"
)

// onNew checks the end of a good rotation: one new value everywhere, nothing else of
// the files changed, nothing left beside them.
func (w *world) onNew() string {
	w.t.Helper()
	fresh := w.services[0].env()[variable]
	for _, s := range w.services {
		env := s.env()
		if env[variable] == oldValue || env[variable] != fresh || len(fresh) < 44 {
			w.t.Errorf("%s is not on the new value", s.name)
		}
		if _, there := env[previous]; there {
			w.t.Errorf("%s still has a second value", s.name)
		}
		files, err := os.ReadDir(s.dir)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range files {
			if strings.Contains(f.Name(), "rekey") {
				w.t.Errorf("%s: %s was left behind", s.name, f.Name())
			}
		}
	}
	return fresh
}

// Whatever crashes, a step may be performed again: the second time sees the same and
// touches no file.
func TestEveryStepCanBePerformedTwice(t *testing.T) {
	t.Parallel()
	for _, mode := range []commands.Mode{commands.Compromised, commands.Routine} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.subject("r-1", mode)
			for _, st := range rotate.Plan(s) {
				st.Started = w.now
				first := w.do(s, st)
				if st.Kind == rotate.KindOverlap && mode == commands.Routine {
					if !first.Wait.Equal(w.now.Add(time.Hour)) {
						t.Errorf("the overlap ends at %v", first.Wait)
					}
					w.now = w.now.Add(time.Hour)
					first = w.do(s, st)
				}
				before := w.sight(st.Kind != rotate.KindSet)
				second := w.do(s, st)
				if after := w.sight(st.Kind != rotate.KindSet); after != before {
					t.Errorf("%s touched something the second time:\n%s", st.Key, cmp.Diff(before, after))
				}
				if st.Kind == rotate.KindFinish {
					if len(first.Fingerprints) == 0 || second.Note != "Nothing was left to forget." {
						t.Errorf("finish: first %d fingerprints, then %q", len(first.Fingerprints), second.Note)
					}
					continue
				}
				if diff := cmp.Diff(first, second); diff != "" {
					t.Errorf("%s saw something else the second time (-first +second):\n%s", st.Key, diff)
				}
			}
			w.onNew()
			api := w.service("api").text()
			if want := "# api\nDEBUG=0\n" + variable + "=" + w.service("api").env()[variable] + "\nOTHER=kept\n"; api != want {
				t.Error("the rest of api's env file was changed")
			}
			if web := w.service("web").text(); !strings.HasPrefix(web, "export "+variable+`="`) || !strings.HasSuffix(web, "\"\nPORT=3000\n") {
				t.Error("the rest of web's env file was changed")
			}
		})
	}
}

// After each stage, the services hold what the guide says.
//
// Guide: dual-secret/step-1-add-new, dual-secret/step-2-keep-old, dual-secret/step-4-update-signer, dual-secret/step-6-remove-old
func TestTheStagesInTheFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "create")
	e, ok := w.escrow(s)
	if !ok || e.Old.Reveal() != oldValue || e.New.Equal(e.Old) {
		t.Fatal("the values are not kept")
	}
	for _, c := range []struct{ key, api, apiOld, web string }{
		{"publish/test/api", e.New.Reveal(), oldValue, oldValue},
		{"switch/test/web", e.New.Reveal(), oldValue, e.New.Reveal()},
		{"retire/test/api", e.New.Reveal(), "", e.New.Reveal()},
		{"finish", e.New.Reveal(), "", e.New.Reveal()},
	} {
		w.until(s, c.key)
		api, web := w.service("api").env(), w.service("web").env()
		if api[variable] != c.api || api[previous] != c.apiOld || web[variable] != c.web {
			t.Errorf("after %s the files hold something else", c.key)
		}
	}
	if _, ok := w.escrow(s); ok {
		t.Error("the values were kept")
	}
}

// Services that both sign and accept never sign with what the others do not know.
func TestServicesThatSignAndAccept(t *testing.T) {
	t.Parallel()
	line := variable + "=" + oldValue + "\n"
	w := newWorld(
		t,
		newService(t, "api", secret.Accepts, 1, line),
		newService(t, "one", secret.Both, 1, line),
		newService(t, "two", secret.Both, 1, line),
		newService(t, "web", secret.Signs, 1, line),
	)
	s := w.subject("r-1", commands.Routine)
	for _, st := range rotate.Plan(s) {
		st.Started = w.now
		if st.Kind == rotate.KindOverlap {
			w.now = w.now.Add(time.Hour)
		}
		w.do(s, st)
		for _, signer := range w.services[1:] {
			for _, accepter := range w.services[:3] {
				with, takes := signer.env()[variable], accepter.env()
				if with != takes[variable] && with != takes[previous] {
					t.Fatalf("after %s, %s signs with what %s refuses", st.Key, signer.name, accepter.name)
				}
			}
		}
	}
	w.onNew()
}

// The catalogue may say less than a service that does both needs to be asked. That is
// a fault before anything is touched.
func TestAServiceThatCannotBeAskedIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		role secret.Role
		take func(*secret.Proof)
	}{
		"both without a challenge": {secret.Both, func(p *secret.Proof) { p.Challenge = nil }},
		"both without a request":   {secret.Both, func(p *secret.Proof) { p.Request = nil }},
		"accepts with a challenge": {secret.Accepts, func(p *secret.Proof) {
			p.Request, p.Challenge = nil, &secret.Challenge{URLs: []string{"http://127.0.0.1:1/"}}
		}},
		"addresses are missing": {secret.Both, func(p *secret.Proof) { p.Challenge = &secret.Challenge{} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := variable + "=" + oldValue + "\n"
			w := newWorld(t, newService(t, "api", c.role, 1, line), newService(t, "web", secret.Signs, 1, line))
			c.take(&w.cat.Secrets[0].Places[0].Uses[0].Proof)
			s := w.subject("r-1", commands.Compromised)
			w.fails(s, step(t, s, "check"), "api")
		})
	}
}

// All instances of a service must agree; the one that a reload does not reach is named.
//
// Guide: dual-secret/step-3-deploy-accepting, dual-secret/step-5-deploy-signer
func TestEveryInstanceMustAgree(t *testing.T) {
	t.Parallel()
	for stuck := range 3 {
		t.Run(fmt.Sprint("stuck ", stuck), func(t *testing.T) {
			t.Parallel()
			line := variable + "=" + oldValue + "\n"
			api := newService(t, "api", secret.Accepts, 2, line)
			api.stuck = stuck
			w := newWorld(t, api, newService(t, "web", secret.Signs, 2, line))
			s := w.subject("r-1", commands.Compromised)
			if stuck == 0 {
				w.until(s, "")
				w.onNew()
				return
			}
			w.until(s, "publish/set/api")
			w.fails(s, step(t, s, "publish/test/api"), fmt.Sprintf("instance %d of 2", stuck), "refuses the new value")
			if w.service("web").reloads() != 0 {
				t.Error("the signing service was touched all the same")
			}
		})
	}
}

// What an earlier overlap left accepted is said, and ends with the rotation.
func TestALeftoverEnds(t *testing.T) {
	t.Parallel()
	older := strings.Repeat("fedcba9876543210", 4)
	for name, env := range map[string]string{
		"an older value beside the present one": variable + "=" + oldValue + "\n" + previous + "=" + older + "\n",
		"the present one as the previous one":   variable + "=" + older + "\n" + previous + "=" + oldValue + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newService(t, "api", secret.Accepts, 1, env), newService(t, "web", secret.Signs, 1, variable+"="+oldValue+"\n"))
			s := w.subject("r-1", commands.Compromised)
			if res := w.do(s, step(t, s, "check")); !strings.Contains(res.Note, "A second value was still accepted by api; it ends now.") {
				t.Errorf("the check says %q", res.Note)
			}
			w.until(s, "")
			if w.onNew() == older {
				t.Error("the leftover became the value")
			}
			if strings.Contains(w.service("api").text(), older) {
				t.Error("the leftover is still in the file")
			}
		})
	}
}

// Before anything is touched, the copies must exist, be safe, and agree.
func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(w *world)
		says  []string
	}{
		"a signer without a value": {
			func(w *world) { w.service("web").write(variable + "=\n") }, []string{"has no value for " + variable, "put the value in use there first"},
		},
		"a signer without the variable": {
			func(w *world) { w.service("web").write("PORT=1\n") }, []string{"copy of web", "not found"},
		},
		"an accepting service with another value": {
			func(w *world) { w.service("api").write(variable + "=" + strings.Repeat("ab", 32) + "\n") }, []string{"does not hold the value", "web signs with", "make them agree first"},
		},
		"no env file": {
			func(w *world) { must(w.t, os.Remove(w.service("api").envFile())) }, []string{"copy of api", "not found"},
		},
		"an env file that the group may read": {
			func(w *world) { must(w.t, os.Chmod(w.service("api").envFile(), 0o640)) }, []string{"copy of api", "unsafe", "mode 0640", "chmod 600 "},
		},
		"a folder in which others may replace it": {
			func(w *world) { must(w.t, os.Chmod(w.service("web").dir, 0o777)) }, []string{"copy of web", "chmod go-w "},
		},
		"a service that answers 500": {
			func(w *world) { w.service("api").answers(status(http.StatusInternalServerError)) }, []string{"api could not be asked", "it answered 500"},
		},
		"a service that redirects": {
			func(w *world) {
				w.service("api").answers(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/login", http.StatusFound) })
			}, []string{"api could not be asked", "302"},
		},
		"a service that accepts anything": {
			func(w *world) { w.service("api").answers(status(http.StatusOK)) }, []string{"api accepts anything"},
		},
		"a signer that does not run on what its file holds": {
			func(w *world) {
				must(w.t, os.WriteFile(w.service("web").live(1), []byte(variable+"=stale\n"), 0o600))
			}, []string{"web is not proven", "old value"},
		},
		"a service that is not well": {
			func(w *world) { w.cat.Environments[0].Consumers[1].Health += "/nothing" }, []string{"web: not healthy", "404"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.spoil(w)
			s := w.subject("r-1", commands.Compromised)
			var before string
			if name != "no env file" {
				before = w.sight(true)
			}
			fault := w.fails(s, step(t, s, "check"), c.says...)
			if strings.Contains(fault.Sentence, oldValue) {
				t.Error("the fault holds the value")
			}
			if before != "" && w.sight(true) != before {
				t.Error("something was touched")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// Two signers with different values: rekey does not choose one.
func TestSignersThatDisagree(t *testing.T) {
	t.Parallel()
	line := variable + "=" + oldValue + "\n"
	w := newWorld(
		t,
		newService(t, "api", secret.Accepts, 1, line),
		newService(t, "web", secret.Signs, 1, line),
		newService(t, "cron", secret.Signs, 1, variable+"="+strings.Repeat("ab", 32)+"\n"),
	)
	s := w.subject("r-1", commands.Compromised)
	w.fails(s, step(t, s, "check"), "web and cron sign with different values")
}

// The old value is proven dead by trying it, at every consumer.
func TestProveTriesTheOldValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "retire/test/api")
	e, _ := w.escrow(s)
	// A worker that was restarted from a copy with both values.
	must(t, os.WriteFile(w.service("api").live(1), []byte(variable+"="+e.New.Reveal()+"\n"+previous+"="+oldValue+"\n"), 0o600))
	w.fails(s, step(t, s, "prove"), "api is not proven", "accepts the old value")
	if fault := w.fails(s, step(t, s, "retire/test/api"), "accepts the old value"); !fault.Serving {
		t.Error("a service that serves the new value was taken for one that does not")
	}
	must(t, os.WriteFile(w.service("api").live(1), []byte(variable+"="+oldValue+"\n"), 0o600))
	if fault := w.fails(s, step(t, s, "retire/test/api")); fault.Serving {
		t.Error("a service that refuses the new value was taken for one that serves")
	}
	// A signer that went back to the old value.
	must(t, os.WriteFile(w.service("api").live(1), []byte(variable+"="+e.New.Reveal()+"\n"), 0o600))
	must(t, os.WriteFile(w.service("web").live(1), []byte(variable+"="+oldValue+"\n"), 0o600))
	w.fails(s, step(t, s, "prove"), "web is not proven")
	must(t, os.WriteFile(w.service("web").live(1), []byte(variable+"="+e.New.Reveal()+"\n"), 0o600))
	if res := w.do(s, step(t, s, "prove")); !strings.Contains(res.Note, "tried and refused") {
		t.Errorf("proven, but: %s", res.Note)
	}
}

// Before the old value is retired rekey looks whether everybody still signs with the
// new one.
func TestNobodyHasGoneBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Routine)
	w.until(s, "overlap")
	must(t, os.WriteFile(w.service("web").live(1), []byte(variable+"="+oldValue+"\n"), 0o600))
	w.fails(s, step(t, s, "retire/check"), "web is not proven")
}

// When the new value is dead after a rollback, its fingerprints say so.
func TestFinishNamesTheDead(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		w := newWorld(t)
		s := w.subject("r-1", commands.Compromised)
		w.until(s, "create")
		e, _ := w.escrow(s)
		st, live, dead := step(t, s, "finish"), e.New, e.Old
		if back {
			st.Stage, live, dead = rotate.StageRollback, e.Old, e.New
		}
		want := map[string]bool{}
		for _, f := range secret.Fingerprints(w.cfg.Key, variable, "production", secret.RoleLive, live) {
			want[f.Role+string(f.MAC)] = true
		}
		for _, f := range secret.Fingerprints(w.cfg.Key, variable, "production", secret.RoleRetired, dead) {
			want[f.Role+string(f.MAC)] = true
		}
		got := map[string]bool{}
		for _, f := range w.do(s, st).Fingerprints {
			if !f.At.Equal(w.now) {
				t.Errorf("a fingerprint is dated %v", f.At)
			}
			got[f.Role+string(f.MAC)] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("back %v: other fingerprints", back)
		}
	}
}

// A step of a newer rekey is not guessed at.
func TestAnUnknownStepIsAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.fails(s, ledger.Step{Key: "teleport", Kind: "teleport"}, "teleport", "another version")
}

// A catalogue that lost a consumer between two steps: nothing is written for it.
func TestAConsumerThatIsGoneIsAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "switch/set/web")
	gone := s
	gone.Place.Uses = gone.Place.Uses[:1]
	w.fails(gone, step(t, s, "switch/test/web"), "web", "put it back")
	w.fails(gone, step(t, s, "switch/set/web"), "web", "put it back")
}

// A stop in the middle of a check is no verdict.
func TestAStoppedCheckIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Within = time.Minute
	w.build()
	ctx, cancel := context.WithCancelCause(t.Context())
	w.service("api").answers(func(rw http.ResponseWriter, _ *http.Request) {
		cancel(ledger.ErrFenced)
		rw.WriteHeader(http.StatusInternalServerError)
	})
	s := w.subject("r-1", commands.Compromised)
	_, err := w.rotator.Do(ctx, s, step(t, s, "check"))
	mustNotBeAFault(t, err, ledger.ErrFenced)
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := rotate.New(rotate.Config{}); err == nil {
		t.Error("a rotator without stores was built")
	}
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	s.Environment.Consumers = slices.Clone(s.Environment.Consumers)
	s.Environment.Consumers[0].Store = "vault"
	w.fails(s, step(t, s, "check"), `"vault"`)
	if dotenv.Portable(secret.NewValue(oldValue)) != nil {
		t.Error("the tests' value is not portable")
	}
}
