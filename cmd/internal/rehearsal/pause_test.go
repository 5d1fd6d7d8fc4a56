package rehearsal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// A rekey that is paused in the middle of a step is taken for dead, and another one
// finishes the run. When the paused one wakes up it believes to be at work still: it
// may neither commit nor act, and goes on as a good replica.
func TestAPausedRekeyNeitherCommitsNorActsWhenItWakesUp(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"create intended", "publish/set/api intended", "switch/set/web acted", "retire/set/api intended"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
			w := s.watcher()
			first := s.spawn("pause at " + point)
			s.Slack.ExpectConnected(t, 1)
			s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised paused at "+strings.ReplaceAll(point, "/", " "))
			s.stopped(first)
			s.takenOver(w, first)
		})
	}
}

// The worst moment: the new file lies prepared beside the old one, the database has
// answered that the run is still ours, and the process is paused before it reads
// that. The answer is out of date when it does.
func TestPausedBetweenTheLastQuestionAndTheRename(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
	w := s.watcher()
	first := s.spawn("pause at publish/set/api intended")
	s.Slack.ExpectConnected(t, 1)
	s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised paused before the rename")
	s.stopped(first)

	// While nobody can read the runs, the question stays open.
	release := s.lock("LOCK TABLE rekey_runs IN ACCESS EXCLUSIVE MODE")
	first.signal(t, syscall.SIGCONT)
	s.within("the new file is prepared", func() bool { return len(s.prepared()) == 1 })
	s.within("the question is asked", s.fenceAsked)
	first.signal(t, syscall.SIGSTOP)
	s.within("it is paused again", func() bool { return first.state(t) == 'T' })
	release()
	if len(s.prepared()) != 1 {
		t.Fatal("the file was renamed before its owner was known")
	}
	s.takenOver(w, first)
	if !strings.Contains(first.err.String(), "this process was taken for dead") {
		t.Error("the paused rekey did not notice that it was taken for dead")
	}
}

// The paused rekey was about to publish the new value beside the old one. It wakes up
// when another has removed the old one, but has not ended the run, so that all values
// are still at hand. Then that one is told to end, and the first goes on in its turn.
func TestAPausedRekeyDoesNotBringTheOldValueBack(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
	w := s.watcher()
	first := s.spawn("pause at publish/set/api intended")
	s.Slack.ExpectConnected(t, 1)
	s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised paused for long")
	s.stopped(first)
	second := s.spawn("end at retire/test/api intended")
	select {
	case <-second.held:
	case <-time.After(patience):
		t.Fatal("the old value was never removed")
	}
	run := s.runs(w)[0]
	before := s.picture(w, run).Files

	first.signal(t, syscall.SIGCONT)
	s.within("the paused rekey is back", func() bool { return strings.Contains(first.err.String(), "this process is back") })
	second.signal(t, syscall.SIGTERM)
	<-second.gone
	run = s.ends(w)
	mustEnd(t, run, ledger.Succeeded)
	if diff := cmp.Diff(before, s.picture(w, run).Files); diff != "" {
		t.Errorf("the paused rekey touched the env files (-before +after):\n%s", diff)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	s.mustHaveLeftNothing("after it woke up")
	s.mustHaveDoneEachStepOnce(w, "paused", run.ID)
	s.mustHaveStopped(w, run)
	s.mustBeToldOnce(run)
	s.mustVerify(w)
}

// takenOver lets a second rekey finish the run of the paused first one, wakes that up
// and holds what it does against what it may.
func (s *stage) takenOver(w *app.App, first *process) {
	t := s.t
	t.Helper()
	second := s.spawn()
	run := s.ends(w)
	mustEnd(t, run, ledger.Succeeded)
	if run.Fence < 2 {
		t.Errorf("the run ended under fence %d: nobody took it over", run.Fence)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	s.mustHaveLeftNothing("while it is paused")
	before := s.picture(w, run)

	first.signal(t, syscall.SIGCONT)
	s.within("the paused rekey is back", func() bool { return strings.Contains(first.err.String(), "this process is back") })
	// What it sent late is put right.
	s.within("the board tells the end", func() bool { return cmp.Equal(before.Board, s.picture(w, run).Board) })
	if diff := cmp.Diff(before, s.picture(w, run)); diff != "" {
		t.Errorf("the paused rekey did something (-before +after):\n%s", diff)
	}
	second.signal(t, syscall.SIGTERM)
	<-second.gone

	// It is alone now, and good for the next run.
	s.within("the next command is taken", func() bool {
		a, err := s.Alice.Type(t.Context(), s.Alerts, "/rotate ANALYTICS_SECRET compromised the next one")
		return err == nil && a.Err == "" && strings.Contains(a.Text, "Rotating ANALYTICS_SECRET")
	})
	s.within("a second run begins", func() bool { return len(s.runs(w)) == 2 })
	next := s.ends(w)
	mustEnd(t, next, ledger.Succeeded)
	s.mustServeOnOneNewValue("ANALYTICS_SECRET")

	after := s.picture(w, run)
	after.Files = before.Files // the next run has rewritten them
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the paused rekey did something (-before +after):\n%s", diff)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	s.mustHaveLeftNothing("after it woke up")
	s.mustHaveDoneEachStepOnce(w, "paused", run.ID)
	s.mustHaveStopped(w, run)
	s.mustVerify(w)
	s.Slack.ExpectNoErrors(t)
}

// picture is everything the run has left in the world.
type picture struct {
	Files    []string // of each env file: which, since when, what it holds of the secret
	Values   []string
	Acts     []string // entries of the security log that are not about telling people
	Board    []string
	Thread   []string
	Incident bottest.Incident
}

func (s *stage) picture(w *app.App, run ledger.Run) picture {
	s.t.Helper()
	var p picture
	for _, service := range []string{estatetest.API, estatetest.Web} {
		info, err := os.Stat(s.Estate.EnvFile(service))
		if err != nil {
			s.t.Fatal(err)
		}
		inode := uint64(0)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = st.Ino
		}
		p.Files = append(p.Files, fmt.Sprintf("%s: inode %d of %s", service, inode, info.ModTime()))
		v, err := s.Estate.InFile(service, "REVALIDATE_SECRET")
		if err != nil {
			s.t.Fatal(err)
		}
		p.Values = append(p.Values, service+": the first value: "+fmt.Sprint(v.Equal(s.Estate.Values()["REVALIDATE_SECRET"])))
	}
	for _, e := range s.entries(w, run.ID) {
		if !strings.HasPrefix(e.Action, "told.") {
			p.Acts = append(p.Acts, fmt.Sprint(e.Seq, " ", e.Action, " ", e.Detail["step"], " ", e.Detail["fence"]))
		}
	}
	for _, m := range s.Alerts.Messages() {
		if strings.Contains(m.Plain(), run.ID) {
			p.Board = append(p.Board, m.Plain())
			for _, r := range s.Alerts.Thread(m.TS) {
				p.Thread = append(p.Thread, r.Plain())
			}
		}
	}
	p.Incident, _ = s.PagerDuty.Incident("rekey/" + run.Incident)
	return p
}

func (s *stage) entries(a *app.App, run string) []ledger.Entry {
	s.t.Helper()
	var all []ledger.Entry
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		all, err = tx.Entries(ctx, run)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// mustHaveStopped holds the security log against the fences: none but the newest
// owner begins a step.
func (s *stage) mustHaveStopped(w *app.App, run ledger.Run) {
	s.t.Helper()
	newest := 0
	for _, e := range s.entries(w, run.ID) {
		if e.Action != "step.started" {
			continue
		}
		var fence int
		if _, err := fmt.Sscan(e.Detail["fence"], &fence); err != nil {
			s.t.Fatal(err)
		}
		if fence < newest {
			s.t.Errorf("entry %d: %s began under fence %d after a step under fence %d", e.Seq, e.Detail["step"], fence, newest)
		}
		newest = max(newest, fence)
	}
	if newest < 2 {
		s.t.Errorf("every step was begun under fence %d", newest)
	}
}

// stopped waits until a rekey has paused itself.
func (s *stage) stopped(p *process) {
	s.t.Helper()
	select {
	case <-p.held:
	case <-time.After(patience):
		s.t.Fatal("the moment to pause at was never reached")
	}
	s.within("it is paused", func() bool { return p.state(s.t) == 'T' })
}

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", sig, err)
	}
}

// state is the kernel's word for what a process does; T is stopped.
func (p *process) state(t *testing.T) byte {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[0]
}

// prepared are the copies of api's env file that are ready to be renamed.
func (s *stage) prepared() []string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(s.Estate.EnvFile(estatetest.API)), "*.rekey-*.tmp"))
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}
