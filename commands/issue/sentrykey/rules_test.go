package sentrykey_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest"
	"rekey/audit/audittest/porttest"
	"rekey/audit/sentry"
	"rekey/commands/issue"
	"rekey/commands/issue/sentrykey"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// A key whose making was answered to nobody is found again, and what a careless retry
// left behind is removed.
func TestALostAnswerLeavesNoSecondKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := w.order("r1")
	w.sentry.LoseAnswer("POST")
	_, _, err := i.Create(t.Context(), o)
	var fault *issue.Fault
	if err == nil || errors.As(err, &fault) {
		t.Fatalf("a lost answer: got error %v, want one that nothing is known from", err)
	}
	made := w.sentry.Keys()[1]
	w.sentry.AddKey("rekey r1") // by a process that did not look
	o.New, _, err = i.Create(t.Context(), o)
	if err != nil || publicOf(t, o.New) != made.Public {
		t.Fatalf("the key was not found again (%v)", err)
	}
	note, err := i.Set(t.Context(), o)
	if err != nil || !strings.Contains(note, "second one") || w.names() != "Default|rekey r1" {
		t.Errorf("%q, %v: keys %s, want the second one gone", note, err, w.names())
	}

	for _, lost := range []struct {
		method string
		step   func(context.Context, issue.Order) (string, error)
	}{{"PUT", i.Retire}, {"PUT", i.Revive}, {"PUT", i.Retire}, {"DELETE", i.Finish}} {
		w.sentry.LoseAnswer(lost.method)
		if _, err := lost.step(t.Context(), o); err == nil || errors.As(err, &fault) {
			t.Errorf("a lost answer to %s: got error %v, want one that nothing is known from", lost.method, err)
		}
		if _, err := lost.step(t.Context(), o); err != nil {
			t.Errorf("%s again: %v", lost.method, err)
		}
	}
	if _, err := i.Finish(t.Context(), o); err != nil || w.names() != "rekey r1" {
		t.Errorf("%v: keys %s, want the new one alone", err, w.names())
	}
}

// A project may have more keys than one page.
func TestFindsTheRunsKeyOnALaterPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := started(t, i, w.order("r1"))
	for range 120 {
		w.sentry.AddKey("somebody's")
	}
	again, note, err := i.Create(t.Context(), o)
	if err != nil || !again.Equal(o.New) || !strings.HasPrefix(note, "Found") {
		t.Errorf("%q, %v: the key behind the first page was not found", note, err)
	}
}

func TestTheNewDSNHasTheShapeOfTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)

	t.Run("legacy, with a secret", func(t *testing.T) {
		o := w.order("legacy")
		o.Old = secret.NewValue(w.sentry.DSNOf(w.old, true))
		o = started(t, i, o)
		u, err := url.Parse(o.New.Reveal())
		if _, has := u.User.Password(); err != nil || !has {
			t.Error("an SDK that insists on a secret gets none")
		}
		for _, v := range []secret.Value{o.Old, o.New} {
			if try := i.Test(t.Context(), o, v); try.Answer != verify.Accepted {
				t.Errorf("not accepted: %s", try.Why)
			}
		}
	})
	t.Run("through an address of one's own", func(t *testing.T) {
		o := w.order("relay")
		o.Old = secret.NewValue(strings.Replace(w.sentry.DSN(), "@127.0.0.1", "@localhost", 1))
		v, note, err := i.Create(t.Context(), o)
		if err != nil || !strings.Contains(v.Reveal(), "@localhost:") || !strings.Contains(note, "another address") {
			t.Errorf("%q, %v: the new DSN does not go where the old one goes", note, err)
		}
		if publicOf(t, v) == w.old.Public {
			t.Error("the new DSN has the old key")
		}
	})
	t.Run("what people set on the key", func(t *testing.T) {
		w.sentry.ChangeKey(w.old.Public, func(k *audittest.ClientKey) {
			k.Limit, k.Loader = &audittest.KeyLimit{Window: 60, Count: 1000}, "7.x"
		})
		o := started(t, i, w.order("settings"))
		for _, k := range w.sentry.Keys() {
			if k.Public == publicOf(t, o.New) && (k.Limit == nil || k.Limit.Count != 1000) {
				t.Error("the new key lacks the old one's rate limit")
			}
		}
		if _, err := i.Retire(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if k := w.sentry.Keys()[0]; k.Active || k.Loader != "7.x" || k.Limit == nil {
			t.Errorf("switching the key off changed what people had set: %+v", k.Loader)
		}
	})
}

// Ingestion caches keys. It is asked until it agrees with the API.
func TestIngestionIsSlowToNotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	w.sentry.Lag(2)
	o := started(t, i, w.order("r1"))
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
		t.Errorf("a key that ingestion did not know at first: %s", try.Why)
	}
	w.sentry.Lag(2)
	if _, err := i.Retire(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Refused {
		t.Errorf("a key that ingestion still took at first: %+v", try)
	}
	if _, err := i.Finish(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.sentry.DelayEvents(3)
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
		t.Errorf("an event that was in a queue: %s", try.Why)
	}
}

// What ingestion takes and nobody ever sees is not accepted.
func TestATestThatTellsNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*world)
		want  string
	}{
		{"an event that never arrives", func(w *world) { w.sentry.DelayEvents(1 << 20) }, "did not arrive"},
		{"a quota is used up", func(w *world) { w.sentry.LimitIngestion(100, 30*time.Second) }, "another 30s"},
		{"Sentry is down", func(w *world) { w.sentry.Behave(audittest.Down) }, "503"},
		{"something else answers", func(w *world) { w.sentry.Behave(audittest.Garbage) }, "not"},
		{"nobody is there", func(w *world) { _ = w.sentry.Close(); porttest.Keep(t, w.sentry.URL()) }, "could not be reached"},
		{"no token", func(w *world) { _ = os.Remove(w.token) }, "token"},
		{"events may not be read", func(w *world) { w.sentry.Grant("project:admin") }, "could not be looked up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.order("r1")
			tt.spoil(w)
			try := newIssuer(func(c *sentrykey.Config) { c.Arrival = time.Second }).Test(t.Context(), o, o.Old)
			if try.Answer != verify.Unknown || !strings.Contains(try.Why, tt.want) || strings.Contains(try.Why, w.old.Public) {
				t.Errorf("answer %d, %q: want unknown, saying %q", try.Answer, try.Why, tt.want)
			}
		})
	}
}

func TestWhatIsNoDSNIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if try := newIssuer(nil).Test(t.Context(), w.order("r1"), secret.NewValue("postgres://a:b c@h/%zz")); try.Answer != verify.Refused {
		t.Errorf("got %+v", try)
	}
}

// The test event is one known issue, which the checklist can leave out, and tells
// nothing of this machine.
//
// Guide: procedures/sentry-dsn/rotate
func TestTheTestEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := newIssuer(nil)
	o := w.order("r1")
	for range 2 {
		if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Accepted {
			t.Fatal(try.Why)
		}
	}
	body := string(w.sentry.Envelopes()[0].Body)
	if !strings.Contains(body, sentry.OwnTitle) || !strings.Contains(body, `"level":"info"`) {
		t.Error("the event is not the one it should be")
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{host, `"modules"`, `"num_cpu"`} {
		if strings.Contains(body, leak) {
			t.Errorf("the event tells %s", leak)
		}
	}
}
