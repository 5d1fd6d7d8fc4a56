package sentrykey_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/issue/sentrykey"
	"rekey/commands/verify"
)

// clock is a time that tests set forward.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func usage(t *testing.T, i *sentrykey.Issuer, o issue.Order) issue.Usage {
	t.Helper()
	u, err := i.Usage(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUsageEndsWhenTheCountStandsStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &clock{at: time.Now().Truncate(time.Hour).Add(20 * time.Minute)}
	i := newIssuer(func(cfg *sentrykey.Config) { cfg.Now = c.now })
	o := started(t, i, w.order("r1"))
	if u := usage(t, i, w.order("unused")); u.Any() {
		t.Errorf("nobody used it: %+v", u)
	}

	w.sentry.Use(w.old.Public, 240, c.now().Add(-time.Minute))
	w.sentry.Use(w.old.Public, 999, c.now().Add(-3*time.Hour)) // long ago
	u := usage(t, i, o)
	if len(u.Users) != 1 || !strings.Contains(u.Users[0], `"Default"`) || u.PerMinute < 2.9 || u.PerMinute > 3.1 || !u.Since.IsZero() {
		t.Errorf("at first: %+v, want 240 events over 80 minutes", u)
	}
	c.pass(2 * time.Minute)
	w.sentry.Use(w.old.Public, 20, c.now())
	if u = usage(t, i, o); u.PerMinute < 9.9 || u.PerMinute > 10.1 || !u.Since.Equal(c.now()) {
		t.Errorf("two minutes later: %+v, want 10 a minute", u)
	}
	c.pass(4 * time.Minute)
	if u = usage(t, i, o); !u.Any() {
		t.Error("four minutes of quiet are taken for five")
	}
	c.pass(time.Minute)
	if u = usage(t, i, o); u.Any() {
		t.Errorf("after five minutes of quiet: %+v", u)
	}
	c.pass(50 * time.Minute) // into the next hour
	w.sentry.Use(w.old.Public, 1, c.now())
	if u = usage(t, i, o); !u.Any() || !u.Since.Equal(c.now()) {
		t.Errorf("one more event: %+v", u)
	}
}

// In a compromised run only what comes after the switch counts, and Sentry's hours do not
// tell: the first reading is a mark.
func TestUsageOfACompromisedRunCountsFromTheSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &clock{at: time.Now().Truncate(time.Hour).Add(20 * time.Minute)}
	i := newIssuer(func(cfg *sentrykey.Config) { cfg.Now = c.now })
	o := started(t, i, w.order("r1"))
	o.Compromised = true
	w.sentry.Use(w.old.Public, 240, c.now().Add(-time.Minute))
	var wait *issue.Wait
	if u, err := i.Usage(t.Context(), o); !errors.As(err, &wait) || u.Any() {
		t.Fatalf("at first: %+v, %v; want to be asked for patience", u, err)
	}
	c.pass(3 * time.Second)
	if u := usage(t, i, o); u.Any() {
		t.Errorf("events of before count: %+v", u)
	}
	c.pass(3 * time.Second)
	w.sentry.Use(w.old.Public, 2, c.now())
	if u := usage(t, i, o); u.PerMinute < 19.9 || u.PerMinute > 20.1 || !u.Since.Equal(c.now()) {
		t.Errorf("two events in six seconds: %+v", u)
	}
}

func TestOwnTestEventsAreNoUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := started(t, i, w.order("r1"))
	for range 2 {
		if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Accepted {
			t.Fatal(try.Why)
		}
	}
	if u := usage(t, i, o); u.Any() {
		t.Errorf("got %+v", u)
	}
	if u := usage(t, newIssuer(nil), o); !u.Any() {
		t.Error("another process cannot know whose events they were, and must say that somebody uses the key")
	}
}

func TestUsageThatCannotBeTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := started(t, i, w.order("r1"))
	if _, err := i.Finish(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if u := usage(t, i, o); u.Any() {
		t.Errorf("a deleted key: %+v", u)
	}
	w.sentry.Grant()
	_, err := i.Usage(t.Context(), o)
	if err == nil {
		t.Error("a token that may read nothing: nobody uses it?")
	}
	o = w.order("r2")
	o.Old = o.New
	if _, err := i.Usage(t.Context(), o); !errors.Is(err, issue.ErrCannotTell) {
		t.Errorf("no DSN: %v, want %v", err, issue.ErrCannotTell)
	}
}
