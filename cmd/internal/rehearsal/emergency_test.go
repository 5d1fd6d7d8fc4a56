package rehearsal_test

import (
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// The whole emergency: a responder types one command, and when rekey is done the old
// value is worthless, both services run on the new one, nobody honest was refused,
// the channel and on-call know, and the security log can prove it.
//
// Guide: emergency/rotate, emergency/audit-logs, emergency/notify, emergency/document
func TestOneCommandEndsTheEmergency(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
		traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 40, Attack: 4, Probe: 4})
		s.within("the attacker gets in", func() bool { return traffic.Counts().Attacker.Accepted > 2 })

		answer := s.asks("/rotate REVALIDATE_SECRET compromised found in a CI log")
		if answer.Err != "" || answer.Took >= 3*time.Second {
			t.Fatalf("Slack shows alice %q after %v", answer.Text, answer.Took)
		}
		typed := time.Now()
		s.PagerDuty.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET")
		run := s.ends(s.app)

		if run.State != ledger.Succeeded {
			t.Fatalf("the run ended %s: %s", run.State, run.Problem)
		}
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.PagerDuty.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")
		s.Alerts.ExpectMessage(t, "REVALIDATE_SECRET", run.ID, estatetest.AttackerAddr)
		if n := s.boards(run.ID); n != 1 {
			t.Errorf("#devops-alerts has %d messages about the run, want one that is edited", n)
		}

		counts := traffic.Stop()
		if counts.Honest.Refusals() > 0 || counts.Honest.Errors > 0 {
			t.Errorf("honest requests refused: %+v", counts.Honest)
		}
		if counts.Honest.Accepted < 20 {
			t.Errorf("only %d honest requests were made: nothing is proven", counts.Honest.Accepted)
		}
		if last := counts.Attacker.LastAccepted; last.After(run.EndedAt) {
			t.Errorf("the attacker was let in at %v, after the run had ended at %v", last, run.EndedAt)
		}
		if counts.Attacker.Refusals() == 0 {
			t.Error("the attacker was never refused")
		}
		t.Logf("the attacker was locked out %v after the command", counts.Attacker.LastAccepted.Sub(typed))

		r := report(t, run)
		if r.Verdict.Outcome != audit.Misused {
			t.Errorf("verdict %s (%s), want used: the attacker got in", r.Verdict.Outcome, r.Verdict.Sentence)
		}
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}

// A routine rotation keeps both values for the overlap and then retires the old one.
//
// Guide: practices/keep-old-24h, dual-secret/step-6-remove-old
func TestARoutineRotationKeepsTheOverlap(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		s.raise(func(c *app.Config) { shorten(c.Catalogue, 3*time.Second) })
		s.asks("/rotate ANALYTICS_SECRET routine quarterly")
		s.within("the run waits", func() bool {
			runs := s.runs(s.app)
			return len(runs) == 1 && runs[0].State == ledger.Waiting
		})
		old, err := s.Estate.InFile(estatetest.API, "ANALYTICS_SECRET_OLD")
		if err != nil || !old.Equal(s.Estate.Values()["ANALYTICS_SECRET"]) {
			t.Errorf("the old value is not accepted during the overlap: %v", err)
		}
		run := s.ends(s.app)
		if run.State != ledger.Succeeded {
			t.Fatalf("the run ended %s: %s", run.State, run.Problem)
		}
		s.mustServeOnOneNewValue("ANALYTICS_SECRET")
		if n := len(s.PagerDuty.Incidents()); n != 0 {
			t.Errorf("a routine rotation woke on-call %d times", n)
		}
		s.mustVerify(s.app)
	})
}
