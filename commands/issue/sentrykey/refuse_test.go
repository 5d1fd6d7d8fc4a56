package sentrykey_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest"
	"rekey/commands/issue"
	"rekey/commands/issue/sentrykey"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

func TestCheckFindsWhatWouldStopTheRotation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*world, *issue.Order)
		want  string
	}{
		{"not a DSN", func(_ *world, o *issue.Order) { o.Old = secret.NewValue("changeme") }, "not a Sentry DSN"},
		{"another project's", func(w *world, o *issue.Order) {
			o.Old = secret.NewValue(strings.TrimSuffix(w.sentry.DSN(), w.sentry.ProjectID) + "77")
		}, "another Sentry project"},
		{"no token", func(w *world, _ *issue.Order) { _ = os.WriteFile(w.token, []byte("\n"), 0o600) }, "no Sentry token"},
		{"a revoked token", func(w *world, _ *issue.Order) { w.sentry.Behave(audittest.Revoked) }, "refused the token"},
		{"a token that may not delete", func(w *world, _ *issue.Order) { w.sentry.Grant("project:write", "event:read") }, "lacks project:admin"},
		{"a token that may not see events", func(w *world, _ *issue.Order) { w.sentry.Grant("project:admin") }, "lacks event:read"},
		{"an unknown project", func(_ *world, o *issue.Order) { o.Environment.Sentry.Project = "nope" }, "no project leather/nope"},
		{"no project in the catalogue", func(_ *world, o *issue.Order) { o.Environment.Sentry = secret.Sentry{} }, "catalogue does not say"},
		{"an address with a user", func(_ *world, o *issue.Order) { o.Environment.Sentry.URL = "https://me:pw@sentry.io" }, "address in the catalogue"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.order("r1")
			tt.spoil(w, &o)
			_, err := newIssuer(nil).Check(t.Context(), o)
			wantFault(t, err, tt.want)
			if err != nil && (strings.Contains(err.Error(), w.old.Public) || strings.Contains(err.Error(), "me:pw")) {
				t.Error("the sentence holds a value")
			}
		})
	}
}

// A key that somebody switched off or deleted in a hurry must not stop its rotation.
func TestARotationMendsAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(*world, *sentrykey.Issuer) string{
		"switched off": func(w *world, _ *sentrykey.Issuer) string {
			w.sentry.ChangeKey(w.old.Public, func(k *audittest.ClientKey) { k.Active = false })
			return "switched off already"
		},
		"deleted": func(w *world, _ *sentrykey.Issuer) string {
			w.sentry.ChangeKey(w.old.Public, func(k *audittest.ClientKey) { k.Public = strings.Repeat("ab", 16) })
			return "no longer among the client keys"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := newIssuer(nil)
			want := gone(w, i)
			o := w.order("r1")
			note, err := i.Check(t.Context(), o)
			if err != nil || !strings.Contains(note, want) {
				t.Fatalf("%q, %v: want a note that says %q", note, err, want)
			}
			o = started(t, i, o)
			for _, step := range []func(context.Context, issue.Order) (string, error){i.Retire, i.Finish} {
				if _, err := step(t.Context(), o); err != nil {
					t.Error(err)
				}
			}
			if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
				t.Error(try.Why)
			}
		})
	}
}

// The old key outlives everything as long as the new one does not work.
func TestTheOldKeyIsNeverEndedWithoutANewOne(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*world, *issue.Order)
		want  string
	}{
		"the new one is off": {func(w *world, _ *issue.Order) {
			w.sentry.ChangeKey(w.sentry.Keys()[1].Public, func(k *audittest.ClientKey) { k.Active = false })
		}, "is switched off"},
		"the new one is the old one": {func(_ *world, o *issue.Order) { o.New = o.Old }, "client key of the old one"},
		"the new one is deleted": {func(w *world, _ *issue.Order) {
			w.sentry.ChangeKey(w.sentry.Keys()[1].Public, func(k *audittest.ClientKey) { k.Public = strings.Repeat("ab", 16) })
		}, "somebody deleted it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := newIssuer(nil)
			o := started(t, i, w.order("r1"))
			tt.spoil(w, &o)
			for _, step := range []func(context.Context, issue.Order) (string, error){i.Retire, i.Finish} {
				_, err := step(t.Context(), o)
				wantFault(t, err, tt.want)
			}
			if k := w.sentry.Keys()[0]; k.Public != w.old.Public || !k.Active {
				t.Error("the old key was touched")
			}
		})
	}
}

// A rate limit is waited for, a failing Sentry is no failure of the rotation.
func TestPatience(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := w.order("r1")
	w.sentry.Limit(2, 0)
	if _, err := i.Check(t.Context(), o); err != nil {
		t.Errorf("a short rate limit: %v", err)
	}
	w.sentry.Limit(1, 10*time.Minute)
	var wait *issue.Wait
	if _, err := i.Check(t.Context(), o); !errors.As(err, &wait) || wait.Again != 10*time.Minute {
		t.Errorf("a long rate limit: %v, want a wait of 10 minutes", err)
	}
	w.sentry.Behave(audittest.Down)
	var fault *issue.Fault
	if _, _, err := i.Create(t.Context(), o); err == nil || errors.As(err, &fault) || errors.As(err, &wait) {
		t.Errorf("Sentry is down: %v, want an error that nothing is known from", err)
	}
}

// An outbound guard would scrub the key's id out of the address, and the key would look
// deleted. That must not pass for an answer.
func TestAGuardInBetweenIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.order("r1")
	i := newIssuer(func(c *sentrykey.Config) { c.HTTPClient = guarded(t, o.Old) })
	_, err := i.Check(t.Context(), o)
	wantFault(t, err, "changes what is sent")
}
