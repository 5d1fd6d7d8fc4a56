package rehearsal_test

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/bot/bottest"
	"rekey/cmd/internal/rehearsal"
)

// replicas is a world with several Apps on one database.
func replicas(t *testing.T, n int) *stage {
	t.Helper()
	s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
	for range n {
		s.raise(nil)
	}
	s.Slack.ExpectConnected(t, n)
	return s
}

// Two people type the same command at the same moment, and it reaches two replicas:
// one run begins, and everybody else is told who is at it.
func TestTheSameCommandTypedTwiceStartsOneRun(t *testing.T) {
	t.Parallel()
	s := replicas(t, 2)
	answers := make([]bottest.Answer, 4)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = s.Alice.Types(t, s.Alerts, "/rotate REVALIDATE_SECRET compromised found in a CI log")
		})
	}
	wg.Wait()
	run := s.ends(s.app)
	mustEnd(t, run, ledger.Succeeded)
	if n := len(s.runs(s.app)); n != 1 {
		t.Errorf("%d runs were started, want one", n)
	}
	taken := 0
	for _, a := range answers {
		switch {
		case a.Err != "" || !strings.Contains(a.Text, run.ID):
			t.Errorf("Slack shows %q %q, which does not name the run %s", a.Err, a.Text, run.ID)
		case strings.Contains(a.Text, "Rotating REVALIDATE_SECRET"):
			taken++
		case !strings.Contains(a.Text, "being rotated already") || !strings.Contains(a.Text, s.Alice.ID):
			t.Errorf("Slack shows %q, which does not say who is at it", a.Text)
		}
	}
	if taken != 1 {
		t.Errorf("%d people were told that their command began a run, want one", taken)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	s.mustHaveDoneEachStepOnce(s.app, "typed four times", run.ID)
	if n := s.boards(run.ID); n != 1 {
		t.Errorf("#devops-alerts has %d messages about the run, want one", n)
	}
	s.mustVerify(s.app)
	s.Slack.ExpectNoErrors(t)
}

// Slack delivers an envelope again, to the other replica, while the run is under way
// and after it has ended: nothing starts, and the answer is the first one.
func TestARedeliveredCommandStartsNothingAndIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	s := replicas(t, 2)
	lines := []string{
		"/rotate REVALIDATE_SECRET compromised found in a CI log", "/audit-secret ANALYTICS_SECRET since 1h",
		"/rotate NO_SUCH_SECRET compromised", "/rotate REVALIDATE_SECRET leaked",
	}
	var answers []bottest.Answer
	for _, line := range lines {
		answers = append(answers, s.Alice.Types(t, s.Alerts, line))
	}
	s.redeliver(answers)
	for _, r := range s.runs(s.app) {
		s.within(r.ID+" ends", func() bool { return s.run(r.ID).State.Final() && s.untold(s.app, r.ID) == 0 })
	}
	before, live := s.head(), s.inFile("REVALIDATE_SECRET")
	s.redeliver(answers)

	if n := len(s.runs(s.app)); n != 2 {
		t.Errorf("%d runs were started, want the rotation and the audit", n)
	}
	if after := s.head(); after != before {
		t.Errorf("commands that were delivered again added entries %d to %d to the security log", before+1, after)
	}
	if s.inFile("REVALIDATE_SECRET") != live {
		t.Error("the value was changed again")
	}
	s.mustVerify(s.app)
	s.Slack.ExpectNoErrors(t)
}

// redeliver has each envelope delivered once more and holds the acknowledgements
// against the first.
func (s *stage) redeliver(answers []bottest.Answer) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for _, a := range answers {
		e, err := s.Slack.Envelope(a.EnvelopeID)
		if err != nil {
			s.t.Fatal(err)
		}
		n := len(e.Acks)
		if err := s.Slack.Redeliver(ctx, a.EnvelopeID); err != nil {
			s.t.Fatal(err)
		}
		if e, err = s.Slack.WaitAcks(ctx, a.EnvelopeID, n+1); err != nil {
			s.t.Fatal(err)
		}
		if diff := cmp.Diff(string(e.Acks[0].Payload), string(e.Acks[n].Payload)); diff != "" {
			s.t.Errorf("answered differently when delivered again (-first +again):\n%s", diff)
		}
	}
}

func (s *stage) run(id string) ledger.Run {
	s.t.Helper()
	run, _, err := s.app.Look(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// head is the number of the newest entry of the security log.
func (s *stage) head() int64 {
	s.t.Helper()
	var seq int64
	err := s.app.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		seq, _, err = tx.Head(ctx)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// A rekey that is told to end in the middle of a step finishes that step, hands the
// run over and ends in order; the other replica goes on at once, and repeats nothing.
func TestARekeyThatIsToldToEndHandsItsRunOver(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"publish/set/api intended", "switch/set/web acted"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
			w := s.watcher()
			first := s.spawn("end at " + point)
			s.Slack.ExpectConnected(t, 1)
			s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
			select {
			case <-first.held:
			case <-time.After(patience):
				t.Fatal("the moment to end at was never reached")
			}
			s.spawn()
			s.Slack.ExpectConnected(t, 2)
			first.signal(t, syscall.SIGTERM)
			<-first.gone
			if code := first.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("it ended with code %d", code)
			}
			run := s.ends(w)
			mustEnd(t, run, ledger.Succeeded)
			s.mustServeOnOneNewValue("REVALIDATE_SECRET")
			s.mustHaveLeftNothing("handed over")
			s.mustHaveDoneEachStepOnce(w, "handed over", run.ID)
			s.mustHaveStopped(w, run)
			for _, e := range s.entries(w, run.ID) {
				if e.Action == "step.started" && e.Detail["attempt"] != "1" {
					t.Errorf("%s was begun again", e.Detail["step"])
				}
			}
			if n := s.boards(run.ID); n != 1 {
				t.Errorf("#devops-alerts has %d messages about the run, want one", n)
			}
			s.mustVerify(w)
			s.Slack.ExpectNoErrors(t)
		})
	}
}
