package rehearsal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
)

// process is a whole rekey of its own.
type process struct {
	cmd  *exec.Cmd
	held chan struct{} // closed when it stands still where it was told to
	gone chan struct{} // closed when it has ended
	err  *logs
}

// spawn starts a rekey that stands still at a moment ("publish/set/api acted"), or
// nowhere when hold is "".
func (s *stage) spawn(hold string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command(os.Getenv(estatetest.ExecutableVariable)), held: make(chan struct{}), gone: make(chan struct{}), err: &logs{}}
	p.cmd.Env = append(s.Environ(), childVariable+"=1", holdVariable+"="+hold)
	p.cmd.Stderr = p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatalf("starting a rekey: %v", err)
	}
	go func() {
		defer close(p.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "held "+hold {
				close(p.held)
			}
		}
		_ = p.cmd.Wait() // it was killed
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of a rekey (held at %q):\n%s", hold, p.err)
		}
	})
	return p
}

// kill is SIGKILL: no handler runs, nothing is flushed.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// watcher opens the database beside whoever works on it.
func (s *stage) watcher() *app.App {
	s.t.Helper()
	cfg, err := rehearsal.AppConfig(s.Getenv, newLog(s.log))
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := app.Open(s.t.Context(), cfg, false)
	if err != nil {
		s.t.Fatalf("opening the database to look: %v", err)
	}
	s.t.Cleanup(a.Close)
	return a
}

// A rekey killed at any moment of any step is taken up by the next one, and the end
// is always the same. Several worlds share the moments, because most of the time is
// spent waiting: for leases to pass, and for Slack's one message a second.
func TestKilledAtAnyMomentTheRunStillEndsWell(t *testing.T) {
	t.Parallel()
	const worlds = 3
	onBoth(t, func(t *testing.T, databaseURL string) {
		for n := range worlds {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				url := databaseURL
				if url != "" {
					url = ledgertest.Postgres(t)
				}
				killAll(t, url, every(points(), worlds, n))
			})
		}
	})
}

func killAll(t *testing.T, databaseURL string, moments []string) {
	s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
	traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 20})
	w := s.watcher()
	for i, point := range moments {
		s.killAt(w, point, i+1)
	}
	counts := traffic.Stop().Honest
	if counts.Refusals() > 0 || counts.Errors > 0 {
		t.Errorf("honest requests were refused: %+v", counts)
	}
	if counts.Accepted < 100 {
		t.Errorf("only %d honest requests were made: nothing is proven", counts.Accepted)
	}
	s.mustVerify(w)
	s.Slack.ExpectNoErrors(t)
}

// every answers each nth of all, from the first on.
func every(all []string, n, first int) []string {
	var out []string
	for i := first; i < len(all); i += n {
		out = append(out, all[i])
	}
	return out
}

// points are all moments of all steps of a compromised rotation.
func points() []string {
	var out []string
	for _, step := range []string{
		"check", "create", "publish/set/api", "publish/test/api", "switch/set/web", "switch/test/web",
		"retire/set/api", "retire/test/api", "prove", "finish", "audit",
	} {
		for _, m := range []journal.Moment{journal.Intended, journal.Acted, journal.Settled} {
			out = append(out, step+" "+string(m))
		}
	}
	return out
}

// killAt rotates once, with a SIGKILL at point and another rekey to go on, and checks
// that the end is what it is without.
func (s *stage) killAt(w *app.App, point string, nth int) {
	s.t.Helper()
	before, err := s.Estate.InFile(estatetest.API, "REVALIDATE_SECRET")
	if err != nil {
		s.t.Fatal(err)
	}
	first := s.spawn(point)
	s.Slack.ExpectConnected(s.t, 1)
	answer := s.asks("/rotate REVALIDATE_SECRET compromised killed at " + strings.ReplaceAll(point, "/", " "))
	if answer.Err != "" {
		s.t.Fatalf("%s: Slack shows %q", point, answer.Text)
	}
	select {
	case <-first.held:
	case <-time.After(patience):
		s.t.Fatalf("%s: never reached", point)
	}
	first.kill()
	killed := time.Now()
	second := s.spawn("")
	var run ledger.Run
	s.within(point+": the run ends", func() bool {
		runs := s.runs(w)
		run = runs[0]
		return len(runs) == nth && run.State.Final()
	})
	s.t.Logf("%-28s ended %v after the kill", point, time.Since(killed).Round(10*time.Millisecond))
	s.within(point+": everything is told", func() bool { return s.untold(w, run.ID) == 0 })
	_ = second.cmd.Process.Signal(syscall.SIGTERM) // an orderly end, every time
	<-second.gone

	if run.State != ledger.Succeeded {
		s.t.Fatalf("%s: the run ended %s: %s", point, run.State, run.Problem)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	after, err := s.Estate.InFile(estatetest.API, "REVALIDATE_SECRET")
	if err != nil || after.Equal(before) {
		s.t.Errorf("%s: the value did not change (%v)", point, err)
	}
	s.mustHaveLeftNothing(point)
	s.mustHaveDoneEachStepOnce(w, point, run.ID)
	if n := s.boards(run.ID); n != 1 {
		s.t.Errorf("%s: #devops-alerts has %d messages about the run, want one", point, n)
	}
	for _, i := range s.PagerDuty.Incidents() {
		if strings.Contains(i.DedupKey, run.ID) && i.Status != "resolved" {
			s.t.Errorf("%s: the page is %s", point, i.Status)
		}
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

// mustHaveDoneEachStepOnce holds the security log against the plan: every step has
// exactly one result, and one new value was made.
func (s *stage) mustHaveDoneEachStepOnce(a *app.App, point, run string) {
	s.t.Helper()
	done := map[string]int{}
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		entries, err := tx.Entries(ctx, run)
		clear(done)
		for _, e := range entries {
			if e.Action == "step.done" {
				done[e.Detail["step"]]++
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for key, n := range done {
		if n != 1 {
			s.t.Errorf("%s: step %s has %d results", point, key, n)
		}
	}
	if want := len(points()) / 3; len(done) != want {
		s.t.Errorf("%s: %d steps have a result, want %d", point, len(done), want)
	}
}
