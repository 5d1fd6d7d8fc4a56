package awsrotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/awsrotation"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws/awstest"
)

// Guide: aws/lambda/create-secret, aws/lambda/set-secret, aws/lambda/test-secret, aws/lambda/finish-secret
func TestAnIssuedValueIsRotated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.srv.Rotate(name, token)
	for _, step := range steps {
		if w.current() != first {
			t.Fatalf("the value changed before %s", step)
		}
		w.must(step, token)
		w.must(step, token) // AWS calls again when it lost an answer
	}
	if d := cmp.Diff(`{"n": 1.0, "X": "`+w.current()+`", "z": "\u00e9"}`, w.srv.Text(name, "AWSCURRENT")); d != "" || w.current() == first {
		t.Error("more than the value changed, or not the value")
	}
	if !w.desk.valid[w.current()] || !w.desk.valid[first] || w.desk.did("set") != 1 || w.desk.did("create") != 1 {
		t.Errorf("the desk did %v", w.desk.acts)
	}
	if at := w.srv.Stages(name); at["AWSCURRENT"] != token || at["AWSPENDING"] != token {
		t.Errorf("labels: %v", at)
	}
}

// Each rotation ends the value before the one in use: two are valid at any time.
func TestOldValuesDoNotPileUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.desk.unknown = issue.ErrCannotTell
	for i, token := range tokens(5) {
		w.rotates(token)
		if got := w.desk.works(); got != 2 {
			t.Errorf("after rotation %d, %d values are valid", i+1, got)
		}
	}
	// One that is still used is not ended, and not lost out of sight either.
	w.desk.unknown = nil
	w.desk.used = map[string]bool{}
	for v := range w.desk.valid {
		w.desk.used[v] = v != w.current()
	}
	w.srv.Rotate(name, token)
	w.must("createSecret", token)
	err := w.do("setSecret", token)
	if err == nil || !strings.Contains(err.Error(), "10.0.0.7 (gunicorn)") || w.desk.works() != 3 {
		t.Errorf("got %v with %d valid values", err, w.desk.works())
	}
	clear(w.desk.used)
	for _, step := range steps[1:] {
		w.must(step, token)
	}
	if w.desk.works() != 2 {
		t.Errorf("%d values are valid", w.desk.works())
	}
}

// setSecret finds the value that works: somebody put the current one there by hand, and
// the issuer knows only the one before it.
//
// Guide: aws/lambda/set-secret
func TestThePreviousValueIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.srv.Edit(name, strings.Replace(w.srv.Text(name, "AWSCURRENT"), first, "canary-second-that-never-worked", 1))
	w.desk.unknown = issue.ErrCannotTell
	w.rotates(token)
	if !w.desk.valid[w.current()] || !w.desk.valid[first] {
		t.Error("the new value does not work, or the one it was made with was ended")
	}
}

func TestNothingWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.srv.Rotate(name, token)
	w.must("createSecret", token)
	w.desk.down = true
	if err := w.do("setSecret", token); err == nil || !strings.Contains(err.Error(), "AWSCURRENT: connection refused") {
		t.Errorf("with the desk closed: %v", err)
	}
	w.desk.down = false
	clear(w.desk.valid)
	if err := w.do("setSecret", token); err == nil || !strings.Contains(err.Error(), "no value of X_SECRET works") {
		t.Errorf("with no valid value: %v", err)
	}
	if err := w.do("testSecret", token); err == nil || !strings.Contains(err.Error(), "does not work: refused") {
		t.Errorf("testSecret: %v", err)
	}
	if w.current() != first {
		t.Error("the value changed")
	}
}

func TestASharedValueIsRotated(t *testing.T) {
	t.Parallel()
	for _, p := range []secret.Procedure{secret.HMACOverlap, secret.DjangoKey} {
		w := newWorld(t, p)
		// A second consumer has keys of its own in the same secret.
		w.cat.Secrets[0].Places[0].Uses = append(w.cat.Secrets[0].Places[0].Uses, secret.Use{Consumer: "worker", Variable: "W", Role: secret.Signs})
		w.srv.Edit(name, `{"W":"`+first+`","X": "`+first+`"}`)
		before := first
		for _, token := range tokens(2) {
			w.rotates(token)
			v := w.current()
			if d := cmp.Diff(fmt.Sprintf(`{"W":"%s","X": "%s","X_OLD": "%s"}`, v, v, before), w.srv.Text(name, "AWSCURRENT")); d != "" || v == before {
				t.Errorf("%s: the text is not as wanted", p)
			}
			before = v
		}
	}
}

func TestAWholeTextIsRotated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.cat.Secrets[0].Places[0].Uses[0].Variable = ""
	w.srv.Edit(name, first)
	w.rotates(token)
	if v := w.srv.Text(name, "AWSCURRENT"); v == first || !w.desk.valid[v] {
		t.Error("the text is not the new value")
	}
}

// Any request or answer may be lost: AWS calls the step again, and there is one end.
func TestAnyAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []awstest.Kind{awstest.DropRequest, awstest.DropAnswer, awstest.ServerError, awstest.Throttle} {
		for n, over := 0, false; !over; n++ {
			w := newWorld(t, secret.PostgresRole)
			w.srv.Rotate(name, token)
			w.srv.Inject(awstest.Fault{Kind: kind, Skip: n, Times: 4}) // more than a request is tried
			for _, step := range steps {
				if err := w.do(step, token); err != nil {
					w.srv.Heal()
					w.must(step, token)
				}
			}
			over = len(w.srv.Calls("")) < n
			if v := w.current(); v == first || !w.desk.valid[v] || w.srv.Versions(name) != 2 || w.desk.works() != 2 {
				t.Fatalf("fault %d at request %d: %d versions, %d valid values", kind, n, w.srv.Versions(name), w.desk.works())
			}
		}
	}
}

// Guide: aws/lambda/create-secret
func TestWhatAWSAsksToRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.HMACOverlap)
	if err := w.do("createSecret", token); !errors.Is(err, awsrotation.ErrRefused) || !strings.Contains(err.Error(), "turned off") {
		t.Errorf("rotation is off: %v", err)
	}
	w.srv.Rotate(name, token)
	if err := w.do("dropSecret", token); !errors.Is(err, awsrotation.ErrRefused) {
		t.Errorf("an unknown step: %v", err)
	}
	if err := w.do("createSecret", tokens(1)[0]); !errors.Is(err, awsrotation.ErrRefused) {
		t.Errorf("an unknown token: %v", err)
	}
	for _, step := range steps[1:] {
		if err := w.do(step, token); !errors.Is(err, awsrotation.ErrRefused) || !strings.Contains(err.Error(), "createSecret has kept no value") {
			t.Errorf("%s before createSecret: %v", step, err)
		}
	}
	w.must("createSecret", token)
	w.srv.Move(name, "theirs", token)
	w.srv.Move(name, "AWSPENDING", w.srv.Stages(name)["AWSCURRENT"])
	if err := w.do("finishSecret", token); !errors.Is(err, awsrotation.ErrRefused) || !strings.Contains(err.Error(), "not AWSPENDING") {
		t.Errorf("a rotation that was cancelled: %v", err)
	}
	if w.current() != first {
		t.Error("the value changed")
	}
	// What is done already is done quietly, whatever the catalogue says by now.
	w.srv.Move(name, "AWSCURRENT", token)
	w.cat.Secrets = nil
	for _, step := range steps {
		w.must(step, token)
	}
}

// Somebody changed another key between createSecret and finishSecret: finishing would
// undo that.
func TestOtherPeoplesChangesAreNotLost(t *testing.T) {
	t.Parallel()
	for _, after := range steps[:3] {
		w := newWorld(t, secret.PostgresRole)
		w.srv.Rotate(name, token)
		for _, step := range steps {
			err := w.do(step, token)
			if step == after {
				w.srv.Edit(name, strings.Replace(w.srv.Text(name, "AWSCURRENT"), "1.0", "2.0", 1))
				continue
			}
			if step == "finishSecret" && !errors.Is(err, store.ErrConflict) {
				t.Errorf("changed after %s: finishSecret: %v", after, err)
			}
		}
		if !strings.Contains(w.srv.Text(name, "AWSCURRENT"), "2.0") {
			t.Errorf("changed after %s: the change is lost", after)
		}
	}
}

// AWSCURRENT moves between the look and the move.
//
// Guide: aws/lambda/finish-secret
func TestFinishingIsACompareAndSwap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.PostgresRole)
	w.srv.Rotate(name, token)
	for _, step := range steps[:3] {
		w.must(step, token)
	}
	w.srv.Inject(awstest.Fault{Operation: "UpdateSecretVersionStage", Before: func() { w.srv.Edit(name, `{"X":"somebody else's"}`) }})
	if err := w.do("finishSecret", token); !errors.Is(err, store.ErrConflict) || w.srv.Text(name, "AWSCURRENT") != `{"X":"somebody else's"}` {
		t.Errorf("got %v, want %v and the other's text", err, store.ErrConflict)
	}
}

func TestWhatTheCatalogueDoesNotAllow(t *testing.T) {
	t.Parallel()
	for says, spoil := range map[string]func(w *world){
		"no secret of the catalogue": func(w *world) { w.cat.Environments[0].Consumers[0].Location = "staging/leather-api" },
		"no secret of":               func(w *world) { w.cat.Stores[0].Kind = secret.VaultKV },
		"/srv/web/.env": func(w *world) {
			w.cat.Secrets[0].Places[0].Uses = append(w.cat.Secrets[0].Places[0].Uses, secret.Use{Consumer: "web", Variable: "X"})
		},
		"not a consumer": func(w *world) {
			w.cat.Secrets[0].Places[0].Uses = append(w.cat.Secrets[0].Places[0].Uses, secret.Use{Consumer: "nobody", Variable: "X"})
		},
		"several of the catalogue's": func(w *world) {
			again := w.cat.Secrets[0]
			again.Name = "Z_SECRET"
			w.cat.Secrets = append(w.cat.Secrets, again)
		},
		"people rotate it": func(w *world) { w.cat.Secrets[0].Procedure = secret.Manual },
		"a person brings it": func(w *world) {
			w.cat.Secrets[0].Procedure, w.cat.Secrets[0].Generator = secret.SMTPPassword, secret.Supplied
		},
		"nobody who issues": func(w *world) { w.cat.Secrets[0].Procedure = secret.SentryKey },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, secret.PostgresRole)
			w.srv.Rotate(name, token)
			spoil(w)
			if err := w.do("createSecret", token); !errors.Is(err, awsrotation.ErrCatalogue) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v", err)
			}
			if w.srv.Text(name, "AWSPENDING") != "" || len(w.desk.acts) > 0 {
				t.Error("something was made all the same")
			}
		})
	}
	// One of several can be meant.
	w := newWorld(t, secret.PostgresRole)
	again := w.cat.Secrets[0]
	again.Name = "Z_SECRET"
	w.cat.Secrets = append(w.cat.Secrets, again)
	w.cfg.Secret, w.cfg.Environment, w.cfg.Store = "X_SECRET", "production", "aws"
	w.rotates(token)
}

// Keys that ought to hold one value and do not are not made to.
func TestKeysThatDisagree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.HMACOverlap)
	w.cat.Secrets[0].Places[0].Uses = append(w.cat.Secrets[0].Places[0].Uses, secret.Use{Consumer: "worker", Variable: "W", Role: secret.Signs})
	w.srv.Edit(name, `{"W":"another","X": "`+first+`"}`)
	w.srv.Rotate(name, token)
	if err := w.do("createSecret", token); err == nil || !strings.Contains(err.Error(), "make them agree first") {
		t.Errorf("got %v", err)
	}
}

// AWS calls twice at once: the value that was kept first counts for both.
func TestTwoCallsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, secret.HMACOverlap)
	w.srv.Rotate(name, token)
	kept := ""
	w.srv.Inject(awstest.Fault{Operation: "PutSecretValue", Before: func() {
		if err := w.do("createSecret", token); err != nil {
			w.Error(err)
		}
		kept = w.srv.Text(name, "AWSPENDING")
	}})
	w.must("createSecret", token)
	if kept == "" || w.srv.Text(name, "AWSPENDING") != kept {
		t.Error("the value that was kept first does not count")
	}
}
