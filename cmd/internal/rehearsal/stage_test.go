package rehearsal_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger/ledgertest"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/secret"
)

// patience is how long a test waits for what must happen. Only a failing test
// spends it.
const patience = 60 * time.Second

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, fn func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, ledgertest.Postgres(t))
	})
}

// stage is a world with, usually, an App in it.
type stage struct {
	*rehearsal.World
	t    *testing.T
	app  *app.App
	log  *logs
	stop func()
}

// logs keeps what a rekey logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world builds a world without an App. Reloads are quick in it.
func world(t *testing.T, cfg rehearsal.Config) *stage {
	t.Helper()
	cfg.Dir = t.TempDir()
	if cfg.Estate.SpreadTo == 0 {
		cfg.Estate.SpreadFrom, cfg.Estate.SpreadTo = 30*time.Millisecond, 150*time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := rehearsal.Build(ctx, cfg)
	if err != nil {
		t.Fatalf("building the world: %v", err)
	}
	s := &stage{World: w, t: t, log: &logs{}}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("ending the world: %v", err)
		}
		if t.Failed() {
			t.Logf("#devops-alerts:\n%s\nlog:\n%s", w.Alerts.Transcript(), s.log)
		}
	})
	return s
}

// curtain is world with an App on duty.
func curtain(t *testing.T, cfg rehearsal.Config) *stage {
	t.Helper()
	s := world(t, cfg)
	s.raise(nil)
	return s
}

func newLog(l *logs) slog.Handler { return slog.NewJSONHandler(l, nil) }

// raise puts an App on duty; it is lowered at the end of the test.
func (s *stage) raise(change func(*app.Config)) {
	s.t.Helper()
	cfg, err := rehearsal.AppConfig(s.Getenv, newLog(s.log))
	if err != nil {
		s.t.Fatalf("reading the configuration: %v", err)
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	a, err := app.Open(ctx, cfg, true)
	if err != nil {
		cancel()
		s.t.Fatalf("opening the App: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	s.app = a
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("serving: %v", err)
		}
		a.Close()
	})
	s.t.Cleanup(s.stop)
	s.Slack.ExpectConnected(s.t, 1)
}

// shorten makes overlaps as short as a test needs; a catalogue may not.
func shorten(cat *secret.Catalogue, overlap time.Duration) {
	for i := range cat.Secrets {
		cat.Secrets[i].Overlap = overlap
	}
}

// within waits for something to be so.
func (s *stage) within(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// asks lets alice type a line; see typed.
func (s *stage) asks(line string) bottest.Answer {
	s.t.Helper()
	return s.typed(s.Alice, line)
}

// typed types a line that Slack must not show an error for, and types it again where
// rekey says that nothing was started and does not ask back: on a machine under load the
// database may be late, and that is what a person does then.
func (s *stage) typed(who *bottest.User, line string) bottest.Answer {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		answer := who.Types(s.t, s.Alerts, line)
		if answer.Err != "" {
			s.t.Errorf("Slack shows %s %q", who.Name, answer.Err)
		}
		if !strings.Contains(answer.Text, "Nothing was started") || bytes.Contains(answer.Blocks, []byte(render.ActionConfirm)) {
			return answer
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not taken within %v: %s", line, patience, answer.Text)
		}
	}
}
