package sentrykey_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest"
	"rekey/commands/issue"
	"rekey/commands/issue/sentrykey"
	"rekey/commands/secret"
)

// world is a Sentry and an order to rotate the key its project began with.
type world struct {
	sentry *audittest.Sentry
	old    audittest.ClientKey
	token  string // file
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := audittest.StartSentry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Grant("project:read", "project:write", "project:admin", "event:read")
	w := &world{sentry: s, old: s.Keys()[0], token: filepath.Join(t.TempDir(), "token")}
	if err := os.WriteFile(w.token, []byte(s.Token()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) order(run string) issue.Order {
	return issue.Order{
		Run:         run,
		Secret:      secret.Secret{Name: "SENTRY_DSN", Procedure: secret.SentryKey},
		Environment: secret.Environment{Name: "production", Sentry: secret.Sentry{URL: w.sentry.URL(), Organization: w.sentry.Org, Project: w.sentry.Project}},
		Place:       secret.Place{Issuer: secret.Issuer{Sentry: &secret.SentryIssuer{Token: secret.Source{File: w.token}}}},
		Old:         secret.NewValue(w.sentry.DSNOf(w.old, false)),
		Still:       func(context.Context) error { return nil },
	}
}

// guarded is a client behind a guard that knows values: the one client that must not
// be given to an Issuer.
func guarded(t *testing.T, values ...secret.Value) *http.Client {
	t.Helper()
	key, err := secret.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := secret.NewGuard(key)
	for _, v := range values {
		g.Add(secret.Fingerprints(key, "SENTRY_DSN", "production", secret.RoleLive, v))
	}
	return &http.Client{Transport: g.Transport(nil)}
}

func newIssuer(change func(*sentrykey.Config)) *sentrykey.Issuer {
	cfg := sentrykey.Config{Arrival: 20 * time.Second}
	if change != nil {
		change(&cfg)
	}
	return sentrykey.New(cfg)
}

// started is a run whose key was made.
func started(t *testing.T, i *sentrykey.Issuer, o issue.Order) issue.Order {
	t.Helper()
	v, _, err := i.Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.New = v
	if _, err := i.Set(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func publicOf(t *testing.T, v secret.Value) string {
	t.Helper()
	u, err := url.Parse(v.Reveal())
	if err != nil {
		t.Fatal("the value is no URL")
	}
	return u.User.Username()
}

func (w *world) keys(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(w.sentry.Keys())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *world) names() string {
	var names []string
	for _, k := range w.sentry.Keys() {
		names = append(names, k.Name)
	}
	return strings.Join(names, "|")
}

// wantFault checks for a definite failure that says want.
func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	var fault *issue.Fault
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want a fault that says %q", err, want)
	}
}
