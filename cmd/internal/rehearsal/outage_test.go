package rehearsal_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/journal"
)

// atFirst is called once, when a run's first step has begun, before anything is done.
func (s *stage) atFirst(fn func()) func(*app.Config) {
	return s.at("check", journal.Intended, fn)
}

// at is called once at a moment of a step; the run goes on when fn returns.
func (s *stage) at(step string, moment journal.Moment, fn func()) func(*app.Config) {
	var once sync.Once
	return func(c *app.Config) {
		c.Observer = func(_ ledger.Run, st ledger.Step, m journal.Moment) {
			if st.Key == step && m == moment {
				once.Do(fn)
			}
		}
	}
}

// final waits until the newest run has ended, whoever was told.
func (s *stage) final() ledger.Run {
	s.t.Helper()
	s.within("the run ends", func() bool {
		runs := s.runs(s.app)
		return len(runs) > 0 && runs[0].State.Final()
	})
	return s.runs(s.app)[0]
}

// Slack's misbehaviour delays what is told, never the rotation: it ends while Slack is
// still unwell. When Slack is well again everything is told, once.
func TestSlackBeingUnwellNeitherDelaysTheRotationNorLosesOrDoublesAMessage(t *testing.T) {
	t.Parallel()
	const always = 1000
	for name, make := range map[string]func(*bottest.Slack){
		"down":              func(s *bottest.Slack) { s.Down(true) },
		"slow":              func(s *bottest.Slack) { s.Slow(time.Hour) },
		"limiting":          func(s *bottest.Slack) { s.RateLimit(always, time.Second) },
		"failing":           func(s *bottest.Slack) { s.Fail(http.StatusServiceUnavailable, always) },
		"talking nonsense":  func(s *bottest.Slack) { s.Garbage(always) },
		"losing its answer": func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(2); s.On("chat.update").LoseResponse(2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
				s.raise(s.atFirst(func() { make(s.Slack) }))
				s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
				run := s.final()
				mustEnd(t, run, ledger.Succeeded)
				s.mustServeOnOneNewValue("REVALIDATE_SECRET")
				t.Logf("ended %v after it was asked for", run.EndedAt.Sub(run.CreatedAt).Round(time.Millisecond))
				if name != "losing its answer" {
					if s.untold(s.app, run.ID) == 0 {
						t.Error("Slack was told everything: it was not unwell, and nothing is proven")
					}
					s.Slack.Heal()
				}
				s.Slack.Down(false)
				s.ends(s.app)
				s.mustBeToldOnce(run)
				s.mustVerify(s.app)
				s.Slack.ExpectNoErrors(t)
			})
		})
	}
}

// mustBeToldOnce wants one board that shows the end, and each reply below it once.
func (s *stage) mustBeToldOnce(run ledger.Run) {
	s.t.Helper()
	var boards []bottest.Message
	for _, m := range s.Alerts.Messages() {
		if strings.Contains(m.Plain(), run.ID) {
			boards = append(boards, m)
		}
	}
	if len(boards) != 1 {
		s.t.Fatalf("#devops-alerts has %d messages about the run, want one", len(boards))
	}
	end, least := "the old value is dead", 2
	if run.State == ledger.RolledBack {
		end, least = "the old value is still valid", 1 // nobody looked for misuse
	}
	if !strings.Contains(boards[0].Plain(), end) {
		s.t.Errorf("the board does not show the end:\n%s", boards[0].Plain())
	}
	var replies []string
	for _, m := range s.Alerts.Thread(boards[0].TS) {
		replies = append(replies, m.Plain())
	}
	slices.Sort(replies)
	if n := len(replies); n < least || len(slices.Compact(replies)) != n {
		s.t.Errorf("%d replies, want the proof and the evidence, each once:\n%s", n, strings.Join(replies, "\n"))
	}
}

// PagerDuty comes back after the incident is over: it learns of its beginning and of
// its end, in this order.
func TestPagerDutyBeingUnwellLearnsOfBothEndsInOrder(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*bottest.PagerDuty){
		"down":              func(p *bottest.PagerDuty) { p.Down(true) },
		"limiting":          func(p *bottest.PagerDuty) { p.RateLimit(1000, time.Second) },
		"failing":           func(p *bottest.PagerDuty) { p.Fail(http.StatusInternalServerError, 1000) },
		"losing its answer": func(p *bottest.PagerDuty) { p.LoseResponse(2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
				make(s.PagerDuty)
				s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
				run := s.final()
				mustEnd(t, run, ledger.Succeeded)
				if name != "losing its answer" {
					if n := len(s.PagerDuty.Incidents()); n != 0 {
						t.Errorf("PagerDuty has %d incidents: it was not unwell, and nothing is proven", n)
					}
					s.PagerDuty.Heal()
				}
				s.PagerDuty.Down(false)
				s.ends(s.app)
				incidents := s.PagerDuty.Incidents()
				if len(incidents) != 1 || incidents[0].Status != bottest.Resolved || !strings.Contains(incidents[0].Summary, "REVALIDATE_SECRET") {
					t.Errorf("PagerDuty has %+v, want one incident that is resolved", incidents)
				}
				if problems := s.PagerDuty.Errors(); len(problems) > 0 {
					t.Errorf("PagerDuty refused %v", problems)
				}
				s.mustVerify(s.app)
			})
		})
	}
}

// Without Sentry the rotation is the same, and the verdict says what is missing.
func TestSentryBeingUnwellIsAGapInTheReport(t *testing.T) {
	t.Parallel()
	for name, behaviour := range map[string]audittest.Behaviour{"down": audittest.Down, "garbage": audittest.Garbage, "revoked": audittest.Revoked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := curtain(t, rehearsal.Config{})
			s.Sentry.Behave(behaviour)
			s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
			run := s.ends(s.app)
			mustEnd(t, run, ledger.Succeeded)
			s.mustServeOnOneNewValue("REVALIDATE_SECRET")
			r := report(t, run)
			if !slices.ContainsFunc(r.Verdict.Missing, func(m string) bool { return strings.Contains(m, "Sentry") }) {
				t.Errorf("the verdict misses only %q, not Sentry", r.Verdict.Missing)
			}
			s.Alerts.ExpectMessage(t, run.ID, "Sentry")
			s.mustVerify(s.app)
		})
	}
}

// Whatever becomes of the connection during a rotation, it goes on, and what was
// acknowledged is carried out.
func TestALostConnectionLosesNoAcknowledgedCommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lose func(*bottest.Slack)
		safe bool // Slack gives time to change over: no command may be lost at all
	}{
		"warned":            {lose: func(s *bottest.Slack) { s.Disconnect(bottest.Warning) }, safe: true},
		"refresh requested": {lose: func(s *bottest.Slack) { s.Disconnect(bottest.RefreshRequested) }, safe: true},
		"dropped":           {lose: (*bottest.Slack).DropConnections},
		"gone for a while":  {lose: func(s *bottest.Slack) { s.Down(true); s.Down(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
				begun := s.Slack.Opened()
				s.raise(s.at("publish/set/api", journal.Acted, func() { test.lose(s.Slack) }))
				s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
				lost := s.typeUntil(func() bool {
					return s.runsOf(ledger.KindRotate)[0].State.Final() && s.Slack.Opened() >= begun+2
				})
				if test.safe && lost > 0 {
					t.Errorf("%d commands were lost although Slack had announced the end", lost)
				}
				s.within("all runs end well", func() bool {
					return !slices.ContainsFunc(s.runsOf(""), func(r ledger.Run) bool { return r.State != ledger.Succeeded })
				})
				s.mustServeOnOneNewValue("REVALIDATE_SECRET")
				s.mustVerify(s.app)
			})
		})
	}
}

// typeUntil types audits one after the other and wants each that Slack showed no error
// for to be a run. It answers how many Slack showed an error for.
func (s *stage) typeUntil(enough func() bool) (lost int) {
	s.t.Helper()
	for n := 0; !enough(); n++ {
		if n == 500 {
			s.t.Fatal("500 commands were typed, and still it is not over")
		}
		a := s.Bob.Types(s.t, s.Alerts, "/audit-secret ANALYTICS_SECRET since 1h")
		if a.Err != "" {
			lost++
			time.Sleep(20 * time.Millisecond)
			continue
		}
		// A machine under load may be late, and says so.
		late := strings.Contains(a.Text, "Nothing was started") || strings.Contains(a.Text, "not known yet")
		if !late && !slices.ContainsFunc(s.runsOf(ledger.KindAudit), func(r ledger.Run) bool { return strings.Contains(a.Text, r.ID) }) {
			s.t.Errorf("Bob was told %q, and there is no such run", a.Text)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return lost
}

func (s *stage) runsOf(kind string) []ledger.Run {
	s.t.Helper()
	var runs []ledger.Run
	err := s.app.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		runs, err = tx.Runs(ctx, ledger.RunFilter{Kind: kind, Limit: 1000})
		runs = slices.DeleteFunc(runs, func(r ledger.Run) bool { return r.Kind == ledger.KindWatch })
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return runs
}

// Socket Mode is switched off in the middle of a rotation: it goes on without a
// connection, and everybody is told.
func TestSocketModeBeingSwitchedOffDoesNotStopARotation(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	s.raise(s.at("publish/set/api", journal.Acted, func() { s.Slack.Disconnect(bottest.LinkDisabled) }))
	s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
	run := s.ends(s.app)
	mustEnd(t, run, ledger.Succeeded)
	s.mustBeToldOnce(run)
	s.Slack.ExpectDisconnected(t)
	s.within("somebody is told how to mend it", func() bool { return strings.Contains(s.log.String(), "Socket Mode is turned off") })
	s.within("Sentry is told as well", func() bool {
		return slices.ContainsFunc(s.Sentry.Traffic(), func(b []byte) bool { return bytes.Contains(b, []byte("Socket Mode is turned off")) })
	})
	if r := report(t, run); r.Verdict.Outcome == audit.Misused {
		t.Errorf("verdict %s", r.Verdict.Sentence)
	}
}
