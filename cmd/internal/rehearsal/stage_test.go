package rehearsal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
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

// runs answers the runs in the database, newest first.
func (s *stage) runs(a *app.App) []ledger.Run {
	s.t.Helper()
	var runs []ledger.Run
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		runs, err = tx.Runs(ctx, ledger.RunFilter{})
		// What keeps watch afterwards is nobody's request.
		runs = slices.DeleteFunc(runs, func(r ledger.Run) bool { return r.Kind == ledger.KindWatch })
		return err
	})
	if err != nil {
		s.t.Fatalf("reading the runs: %v", err)
	}
	return runs
}

// ends waits until the newest run of the App has ended and everything was told, and
// answers it.
func (s *stage) ends(a *app.App) ledger.Run {
	s.t.Helper()
	var run ledger.Run
	s.within("the run ends", func() bool {
		runs := s.runs(a)
		if len(runs) == 0 || !runs[0].State.Final() {
			return false
		}
		run = runs[0]
		return true
	})
	s.within("everything is told", func() bool { return s.untold(a, run.ID) == 0 })
	return run
}

func (s *stage) untold(a *app.App, run string) int {
	s.t.Helper()
	left := 0
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		ds, err := tx.Deliveries(ctx, run)
		left = 0
		for _, d := range ds {
			if d.Sent < d.Wanted {
				left++
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatalf("reading the deliveries: %v", err)
	}
	return left
}

func report(t *testing.T, run ledger.Run) audit.Report {
	t.Helper()
	var r audit.Report
	if err := json.Unmarshal(run.Report, &r); err != nil {
		t.Fatalf("the run has no report: %v", err)
	}
	return r
}

// mustVerify checks the security log.
func (s *stage) mustVerify(a *app.App) {
	s.t.Helper()
	v, err := a.Store().Verify(s.t.Context())
	if err != nil || !v.OK {
		s.t.Errorf("the security log does not hold: %+v, %v", v, err)
	}
}

// boards answers the top-level messages of #devops-alerts that name a run.
func (s *stage) boards(run string) int {
	n := 0
	for _, m := range s.Alerts.Messages() {
		if strings.Contains(m.Plain(), run) {
			n++
		}
	}
	return n
}

// mustServeOnOneNewValue checks the end of a good rotation in the files.
func (s *stage) mustServeOnOneNewValue(name string) {
	s.t.Helper()
	s.mustServe(name, false)
}

// mustServeOnTheOldValue checks the end of a rollback in the files.
func (s *stage) mustServeOnTheOldValue(name string) {
	s.t.Helper()
	s.mustServe(name, true)
}

func (s *stage) mustServe(name string, old bool) {
	s.t.Helper()
	api, err := s.Estate.InFile(estatetest.API, name)
	if err != nil {
		s.t.Fatal(err)
	}
	web, err := s.Estate.InFile(estatetest.Web, name)
	if err != nil {
		s.t.Fatal(err)
	}
	before, err := s.Estate.InFile(estatetest.API, name+"_OLD")
	if err == nil && !before.IsZero() {
		s.t.Errorf("api still accepts a second value of %s", name)
	}
	if !api.Equal(web) || api.IsZero() {
		s.t.Errorf("api and web hold different values of %s", name)
	}
	if api.Equal(s.Estate.Values()[name]) != old {
		s.t.Errorf("the services hold the old value of %s: %v, want %v", name, !old, old)
	}
}

// mustHaveLeftNothing looks for prepared files and values of the run beside the env
// files.
func (s *stage) mustHaveLeftNothing(point string) {
	s.t.Helper()
	for _, service := range []string{estatetest.API, estatetest.Web} {
		dir := filepath.Dir(s.Estate.EnvFile(service))
		files, err := os.ReadDir(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range files {
			if strings.Contains(f.Name(), "rekey-") && (strings.HasSuffix(f.Name(), ".tmp") || strings.HasSuffix(f.Name(), ".escrow")) {
				s.t.Errorf("%s: %s was left behind in %s", point, f.Name(), dir)
			}
		}
	}
}

// mustHaveDoneEachStepOnce holds the security log against the run: every step that is
// done has exactly one result, and every step of a run that succeeded is done.
func (s *stage) mustHaveDoneEachStepOnce(a *app.App, point, run string) {
	s.t.Helper()
	r, steps, err := a.Look(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	results := map[string]int{}
	for _, e := range s.entries(a, run) {
		if e.Action == "step.done" {
			results[e.Detail["step"]]++
		}
	}
	for _, st := range steps {
		want := 0
		if st.State == ledger.StepDone {
			want = 1
		} else if r.State == ledger.Succeeded {
			s.t.Errorf("%s: step %s is %s", point, st.Key, st.State)
		}
		if n := results[st.Key]; n != want {
			s.t.Errorf("%s: step %s has %d results, want %d", point, st.Key, n, want)
		}
	}
}
