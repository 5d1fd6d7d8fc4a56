package rehearsal_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

// batch waits until the batch has ended and everything about it and its members was
// told, and answers it with its members in the order of their turns.
func (s *stage) batch(a *app.App) (ledger.Run, []ledger.Run) {
	s.t.Helper()
	var whole ledger.Run
	s.within("the batch ends", func() bool {
		for _, r := range s.runs(a) {
			if r.Kind == ledger.KindBatch {
				whole = r
			}
		}
		return whole.State.Final()
	})
	members := s.members(a, whole.ID)
	for _, r := range append(members, whole) {
		s.within("everything is told", func() bool { return s.untold(a, r.ID) == 0 })
	}
	return whole, members
}

func (s *stage) members(a *app.App, batch string) (members []ledger.Run) {
	s.t.Helper()
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) (err error) {
		members, err = tx.Runs(ctx, ledger.RunFilter{Batch: batch})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(members, func(a, b ledger.Run) int { return a.Turn - b.Turn })
	return members
}

// The whole .env has leaked: one command, one page, one board, one report, and every
// secret is rotated, one after the other.
//
// Guide: emergency/rotate
func TestTheWholeEstateIsRotatedByOneCommand(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
		traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 20, Attack: 4})
		s.within("the attacker gets in", func() bool { return traffic.Counts().Attacker.Accepted > 2 })

		answer := s.asks("/rotate all compromised the env file was pushed to a public repository")
		for _, want := range []string{"2 secrets", "REVALIDATE_SECRET", "ANALYTICS_SECRET", "one after the other"} {
			if !strings.Contains(answer.Text, want) {
				t.Errorf("the answer does not say %q: %s", want, answer.Text)
			}
		}
		whole, members := s.batch(s.app)
		mustEnd(t, whole, ledger.Succeeded)
		if len(members) != 2 {
			t.Fatalf("the batch has %d members, want 2", len(members))
		}
		for i, m := range members {
			mustEnd(t, m, ledger.Succeeded)
			s.mustServeOnOneNewValue(m.Secret)
			if i > 0 && m.StartedAt.Before(members[i-1].EndedAt) {
				t.Errorf("%s began before %s had ended", m.Secret, members[i-1].Secret)
			}
			if n := s.posts(m.ID + "/board"); n != 0 {
				t.Errorf("%s has a board of its own", m.Secret)
			}
		}
		if n := s.boards(whole.ID); n != 1 {
			t.Errorf("#devops-alerts has %d messages about the batch, want one that is edited", n)
		}
		if n := len(s.PagerDuty.Incidents()); n != 1 {
			t.Errorf("on-call was woken %d times, want once", n)
		}
		s.PagerDuty.ExpectIncident(t, bottest.Resolved, "2 secrets")
		s.Alerts.ExpectMessage(t, "Evidence", "REVALIDATE_SECRET", estatetest.AttackerAddr)
		if counts := traffic.Stop().Honest; counts.Refusals() > 0 || counts.Errors > 0 || counts.Accepted < 20 {
			t.Errorf("honest requests: %+v", counts)
		}
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}

// posts counts deliveries of an id.
func (s *stage) posts(id string) (n int) {
	s.t.Helper()
	_ = s.app.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		n = 0
		if _, err := tx.Delivery(ctx, id); err == nil {
			n = 1
		}
		return nil
	})
	return n
}

// A member that cannot be rotated does not stop the others, and is named first.
func TestOneOfABatchFailingDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	s.raise(func(c *app.Config) {
		impatient(c)
		lost, ok := c.Catalogue.Secret("REVALIDATE_SECRET")
		if !ok {
			t.Fatal("the catalogue has no REVALIDATE_SECRET")
		}
		lost.Name, lost.Risk = "LOST_SECRET", secret.High
		lost.Places = slices.Clone(lost.Places)
		for i := range lost.Places {
			lost.Places[i].Uses = slices.Clone(lost.Places[i].Uses)
			for u := range lost.Places[i].Uses {
				lost.Places[i].Uses[u].Variable = "LOST_SECRET"
			}
		}
		c.Catalogue.Secrets = append(c.Catalogue.Secrets, lost)
	})
	s.asks("/rotate all compromised the env file leaked")
	whole, members := s.batch(s.app)
	if whole.State == ledger.Succeeded || !strings.HasPrefix(whole.Problem, "LOST_SECRET: ") {
		t.Errorf("the batch ended %s: %s", whole.State, whole.Problem)
	}
	if len(members) != 3 || members[0].Secret != "LOST_SECRET" {
		t.Fatalf("the members are %+v, want the riskiest first", members)
	}
	for _, m := range members[1:] {
		mustEnd(t, m, ledger.Succeeded)
		s.mustServeOnOneNewValue(m.Secret)
	}
	page := s.PagerDuty.ExpectIncident(t, bottest.Triggered, "3 secrets")
	if len(s.PagerDuty.Incidents()) != 1 {
		t.Errorf("on-call was woken %d times, want once", len(s.PagerDuty.Incidents()))
	}
	if page.DedupKey != render.DedupKey(whole.ID) {
		t.Errorf("the page is about %q", page.DedupKey)
	}
	board := s.board(whole.ID)
	lost, fine := strings.Index(board, "LOST_SECRET"), strings.Index(board, "ANALYTICS_SECRET")
	if lost < 0 || fine < lost {
		t.Errorf("what failed is not named first:\n%s", board)
	}
	s.mustVerify(s.app)
	s.Slack.ExpectNoErrors(t)
}

// board is the text of the batch's one message.
func (s *stage) board(run string) string {
	for _, m := range s.Alerts.Messages() {
		if strings.Contains(m.Plain(), run) {
			return m.Plain()
		}
	}
	return ""
}

// A killed process loses no member, and none is rotated twice.
func TestABatchSurvivesBeingKilled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		w := s.watcher()
		first := s.spawn("switch/set/web acted")
		s.Slack.ExpectConnected(t, 1)
		s.asks("/rotate all compromised killed in the middle")
		select {
		case <-first.held:
		case <-time.After(patience):
			t.Fatal("the moment was never reached")
		}
		first.kill()
		second := s.spawn("finish settled")
		select {
		case <-second.held: // the first member is done, the batch does not know yet
		case <-time.After(patience):
			t.Fatal("the second moment was never reached")
		}
		second.kill()
		third := s.spawn()
		whole, members := s.batch(w)
		_ = third.cmd.Process.Signal(syscall.SIGTERM)
		<-third.gone
		mustEnd(t, whole, ledger.Succeeded)
		if len(members) != 2 || len(s.runs(w)) != 3 {
			t.Errorf("%d members of %d runs, want 2 of 3", len(members), len(s.runs(w)))
		}
		for _, m := range members {
			mustEnd(t, m, ledger.Succeeded)
			s.mustServeOnOneNewValue(m.Secret)
		}
		if n := s.boards(whole.ID); n != 1 {
			t.Errorf("#devops-alerts has %d messages about the batch, want one", n)
		}
		s.mustHaveLeftNothing("batch")
		s.mustVerify(w)
		s.Slack.ExpectNoErrors(t)
	})
}

// Every member that still can goes back by one command, the last one rotated first.
func TestABatchGoesBackAsAWhole(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	s.raise(func(c *app.Config) { shorten(c.Catalogue, 10*time.Minute) })
	s.asks("/rotate all routine quarterly")
	var batch string
	s.within("every member waits", func() bool {
		waiting := 0
		for _, r := range s.runs(s.app) {
			if r.Kind == ledger.KindBatch {
				batch = r.ID
			} else if r.State == ledger.Waiting {
				waiting++
			}
		}
		return waiting == 2
	})
	s.asks("/rotate rollback " + batch + " the site is slow since")
	whole, members := s.batch(s.app)
	mustEnd(t, whole, ledger.RolledBack)
	for _, m := range members {
		mustEnd(t, m, ledger.RolledBack)
		s.mustServeOnTheOldValue(m.Secret)
	}
	if !members[1].EndedAt.Before(members[0].EndedAt) {
		t.Errorf("%s went back before %s", members[0].Secret, members[1].Secret)
	}
	if n := len(s.PagerDuty.Incidents()); n != 0 {
		t.Errorf("going back on request woke on-call %d times", n)
	}
	s.mustHaveLeftNothing("batch")
	s.mustVerify(s.app)
}
