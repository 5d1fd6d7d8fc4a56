package rehearsal_test

import (
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// resumption is how soon after a death the next step has to begin: a lease lasts 3 s, and
// its end is seen within half a second. What is left is a busy machine's.
const resumption = 10 * time.Second

// A run whose rekey is killed stands still until its lease has passed, and is gone on
// with by the one that was on duty beside it. On SQLite the next one knows at its start
// that nobody else can be alive. Nobody is refused meanwhile.
func TestARekeyThatDiesIsReplacedInSeconds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 40})
		w := s.watcher()
		for _, point := range []string{"publish/set/api intended", "switch/set/web acted"} {
			first := s.spawn(point)
			s.Slack.ExpectConnected(t, 1)
			s.asks("/rotate REVALIDATE_SECRET compromised killed at " + strings.ReplaceAll(point, "/", " "))
			s.reaches(first, point, nil)
			replica := first
			if databaseURL != "" {
				replica = s.spawn()
				s.Slack.ExpectConnected(t, 2)
			}
			first.kill()
			killed := time.Now()
			if databaseURL == "" {
				replica = s.spawn()
			}
			run := s.ends(w)
			mustEnd(t, run, ledger.Succeeded)
			replica.end()
			s.Slack.ExpectDisconnected(t)

			took := s.resumed(w, run).Sub(killed)
			t.Logf("killed at %s, gone on with after %v", point, took.Round(10*time.Millisecond))
			if took > resumption {
				t.Errorf("killed at %s, the run was gone on with after %v, want %v at most", point, took, resumption)
			}
			s.mustServeOnOneNewValue("REVALIDATE_SECRET")
			s.mustHaveLeftNothing(point)
			s.mustHaveDoneEachStepOnce(w, point, run.ID)
			s.mustHaveStopped(w, run)
			s.mustBeToldOnce(run)
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
	})
}

// resumed is when the second owner of a run began its first step.
func (s *stage) resumed(w *app.App, run ledger.Run) time.Time {
	s.t.Helper()
	for _, e := range s.entries(w, run.ID) {
		if e.Action == "step.started" && e.Detail["fence"] != "1" {
			return e.At
		}
	}
	s.t.Fatal("nobody took the run over")
	return time.Time{}
}
