package rehearsal_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
)

// impatient lets checks give up soon, for tests in which they must.
func impatient(c *app.Config) { c.Within = 8 * time.Second }

// broken builds a world with one fault in it and types the command.
func broken(t *testing.T, databaseURL, service string, f estatetest.Faults, line string) (*stage, ledger.Run) {
	t.Helper()
	s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
	s.raise(impatient)
	s.faults(service, f)
	traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 20})
	s.asks(line)
	run := s.ends(s.app)
	counts := traffic.Stop().Honest
	if counts.Refusals() > 0 || counts.Errors > 0 {
		t.Errorf("honest requests were refused: %+v", counts)
	}
	s.mustVerify(s.app)
	s.Slack.ExpectNoErrors(t)
	return s, run
}

func (s *stage) faults(service string, f estatetest.Faults) {
	s.t.Helper()
	if err := s.Estate.SetFaults(service, f); err != nil {
		s.t.Fatal(err)
	}
}

func mustEnd(t *testing.T, run ledger.Run, want ledger.RunState) {
	t.Helper()
	if run.State != want {
		t.Fatalf("the run ended %s, want %s: %s", run.State, want, run.Problem)
	}
}

// The signing service never takes the new value: everything goes back to the old one,
// on-call is woken, and nobody is told that all is well.
//
// Guide: practices/monitor
func TestASignerThatDoesNotSwitchIsRolledBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s, run := broken(t, databaseURL, estatetest.Web, estatetest.Faults{IgnoreReload: true}, "/rotate REVALIDATE_SECRET routine quarterly")
		mustEnd(t, run, ledger.RolledBack)
		s.mustServeOnTheOldValue("REVALIDATE_SECRET")
		page := s.PagerDuty.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET")
		if len(page.Links) != 1 || !strings.Contains(page.Links[0].Href, s.Alerts.ID) {
			t.Errorf("the page does not lead to the board: %+v", page.Links)
		}
		s.Alerts.ExpectMessage(t, run.ID, "old value")
		s.mustHaveLeftNothing("rollback")
	})
}

// One worker of the accepting service lags for ever: the signer is never switched.
func TestALaggingWorkerStopsTheRotationBeforeAnybodySigns(t *testing.T) {
	t.Parallel()
	s, run := broken(t, "", estatetest.API, estatetest.Faults{StuckWorker: 2}, "/rotate REVALIDATE_SECRET compromised ci log")
	mustEnd(t, run, ledger.RolledBack)
	s.mustServeOnTheOldValue("REVALIDATE_SECRET")
	if report(t, run).Verdict.Sentence == "" {
		t.Error("the evidence was not read after the rollback")
	}
}

// A service that accepts anything, or cannot be asked, is not verified: nothing is
// changed.
func TestWhatCannotBeVerifiedIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]estatetest.Faults{
		"accepts anything": {AcceptAnything: true},
		"answers 500":      {Answer500: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := world(t, rehearsal.Config{})
			s.raise(impatient)
			s.faults(estatetest.API, f)
			before := s.envFiles()
			s.asks("/rotate REVALIDATE_SECRET compromised ci log")
			run := s.ends(s.app)
			mustEnd(t, run, ledger.Failed)
			if after := s.envFiles(); after != before {
				t.Error("an env file was touched")
			}
			s.PagerDuty.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET")
			s.Alerts.ExpectMessage(t, run.ID, "Nothing was changed.")
		})
	}
}

func (s *stage) envFiles() string {
	s.t.Helper()
	all := ""
	for _, service := range []string{estatetest.API, estatetest.Web} {
		text, err := os.ReadFile(s.Estate.EnvFile(service))
		if err != nil {
			s.t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// A worker that goes on accepting the old value keeps the run from being green, and
// once it is mended a second rotation closes the same incident.
func TestTheOldValueIsNotDeadUntilEveryWorkerRefusesIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		s.raise(func(c *app.Config) {
			impatient(c)
			shorten(c.Catalogue, 4*time.Second)
		})
		s.asks("/rotate REVALIDATE_SECRET routine quarterly")
		s.within("the overlap begins", func() bool {
			runs := s.runs(s.app)
			return len(runs) == 1 && runs[0].State == ledger.Waiting
		})
		s.faults(estatetest.API, estatetest.Faults{StuckWorker: 1})
		run := s.ends(s.app)
		mustEnd(t, run, ledger.Failed)
		s.Alerts.ExpectMessage(t, run.ID, "not proven dead")
		incident := s.PagerDuty.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET")

		s.faults(estatetest.API, estatetest.Faults{})
		if err := s.Estate.Restart(t.Context(), estatetest.API); err != nil {
			t.Fatal(err)
		}
		s.asks("/rotate REVALIDATE_SECRET compromised second try")
		s.within("a second run begins", func() bool { return len(s.runs(s.app)) == 2 })
		mustEnd(t, s.ends(s.app), ledger.Succeeded)
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.within("the same page is resolved", func() bool {
			i, ok := s.PagerDuty.Incident(incident.DedupKey)
			return ok && i.Status == bottest.Resolved
		})
	})
}

// Typing compromised while a routine rotation waits ends the overlap at once.
func TestARoutineRotationCanTurnIntoAnEmergency(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
		s.asks("/rotate REVALIDATE_SECRET routine quarterly")
		s.within("the overlap begins", func() bool {
			runs := s.runs(s.app)
			return len(runs) == 1 && runs[0].State == ledger.Waiting
		})
		s.asks("/rotate REVALIDATE_SECRET compromised it was in a screenshot")
		run := s.ends(s.app)
		mustEnd(t, run, ledger.Succeeded)
		if len(s.runs(s.app)) != 1 {
			t.Error("a second run was started beside the first")
		}
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.PagerDuty.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")
		if report(t, run).Verdict.Sentence == "" {
			t.Error("the evidence was not read")
		}
	})
}

// Typing compromised in the middle of a step is answered before that step is over, and
// the same run then ends the old value.
func TestAnEmergencyIsTakenWhileARoutineRotationPublishes(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	answered := make(chan string, 1)
	s.raise(s.at("publish/set/api", journal.Acted, func() { // the step stands still until this returns
		answered <- s.Alice.Types(t, s.Alerts, "/rotate REVALIDATE_SECRET compromised it was in a screenshot").Text
	}))
	s.asks("/rotate REVALIDATE_SECRET routine quarterly")
	select {
	case text := <-answered:
		if !strings.Contains(text, "goes on as a compromised one") {
			t.Errorf("answered: %s", text)
		}
	case <-time.After(patience):
		t.Fatal("nothing was answered while the step was under way")
	}
	run := s.ends(s.app)
	mustEnd(t, run, ledger.Succeeded)
	if run.Mode != "compromised" || len(s.runs(s.app)) != 1 {
		t.Errorf("%d runs, the newest %s", len(s.runs(s.app)), run.Mode)
	}
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
}

// The accepting service dies when it is told to reload: the way back cannot be
// proven either, and that is said. Once it runs again, a second rotation succeeds.
func TestAServiceThatDiesIsReportedAndCanBeRotatedLater(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	s.raise(impatient)
	s.faults(estatetest.API, estatetest.Faults{DieOnReload: true})
	s.asks("/rotate REVALIDATE_SECRET compromised ci log")
	run := s.ends(s.app)
	mustEnd(t, run, ledger.Failed)
	s.PagerDuty.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET")

	s.faults(estatetest.API, estatetest.Faults{})
	if err := s.Estate.Restart(t.Context(), estatetest.API); err != nil {
		t.Fatal(err)
	}
	s.asks("/rotate REVALIDATE_SECRET compromised second try")
	s.within("a second run begins", func() bool { return len(s.runs(s.app)) == 2 })
	mustEnd(t, s.ends(s.app), ledger.Succeeded)
	s.mustServeOnOneNewValue("REVALIDATE_SECRET")
	s.mustHaveLeftNothing("second try")
}
