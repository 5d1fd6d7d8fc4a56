package rehearsal_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands"
	"rekey/commands/estatetest"
)

// A secret has leaked, and a job of ours was forgotten: it goes on with the old value. The
// channel is asked what is to become of it, with what it costs; a click puts the end off,
// another one makes it, and the thread says who chose what and what was measured.
//
// Guide: emergency/rotate
func TestACallerThatWasLeftBehindIsAskedAbout(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL, Usage: true})
		traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 10, Left: 4, Attack: 2})
		s.within("the job gets in", func() bool { return traffic.Counts().Left.Accepted > 2 })
		s.asks("/rotate REVALIDATE_SECRET compromised found in a CI log")

		asked := s.buttons("10 more minutes (1 of 3)", "still used by "+estatetest.LeftAddr, "times a minute", "It ends by itself at")
		if words := asked.Plain(); !strings.Contains(words, estatetest.AttackerAddr) || !strings.Contains(words, "does not know as a caller") {
			t.Errorf("a stranger uses it as well, and nobody is told: %s", words)
		}
		s.mustBeTheRate(asked.Plain(), 4*60)
		s.clicks(s.Bob, asked, "rekey-kill", "not rotate them")
		s.clicks(s.Alice, asked, "rekey-hold", "lives until")
		put := s.buttons("10 more minutes (2 of 3)", "alice put its end off (1 of 3)")
		s.clicks(s.Alice, asked, "rekey-hold", "alice has just put its end off") // what she sees may be old
		run := s.runs(s.app)[0]
		if d := commands.ReadRespite(run.Memo); d.Times != 1 || time.Until(d.Until) < 9*time.Minute {
			t.Errorf("put off %d times until %s", d.Times, d.Until)
		}
		before := traffic.Counts().Left
		s.within("the job is served meanwhile", func() bool { return traffic.Counts().Left.Accepted > before.Accepted+4 })
		if n := traffic.Counts().Left.Refusals(); n != 0 {
			t.Errorf("the job was refused %d times before anybody wanted that", n)
		}

		s.clicks(s.Alice, put, "rekey-kill", "ends now")
		run = s.ends(s.app)
		mustEnd(t, run, ledger.Succeeded)
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.within("the job is refused", func() bool { return traffic.Counts().Left.Refusals() > 2 })
		counts := traffic.Stop()
		if counts.Honest.Refusals() > 0 || counts.Honest.Errors > 0 || counts.Honest.Accepted < 20 {
			t.Errorf("honest requests: %+v", counts.Honest)
		}
		if last := counts.Left.LastAccepted; last.After(run.EndedAt) {
			t.Errorf("the old value was let in at %v, after the run had ended at %v", last, run.EndedAt)
		}

		s.Alerts.ExpectMessage(t, "See who still uses the old value", "alice put its end off (1 of 3)")
		ended := s.Alerts.ExpectMessage(t, "Ended at a cost: it was still used by", estatetest.LeftAddr, "alice chose to end it now")
		s.mustBeInTheLog(ended.Plain())
		for _, m := range s.Alerts.Messages() {
			if strings.Contains(string(m.Blocks), "rekey-kill") {
				t.Errorf("there is still something to choose: %s", m.Plain())
			}
		}
		s.clicks(s.Alice, put, "rekey-kill", "has ended, and the old value with it")
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}

// A member of a batch that stands holds up no other, and its buttons are on the batch's
// board.
func TestAMemberOfABatchIsAskedAbout(t *testing.T) {
	t.Parallel()
	s := curtain(t, rehearsal.Config{Usage: true})
	traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 10, Left: 4})
	s.within("the job gets in", func() bool { return traffic.Counts().Left.Accepted > 2 })
	s.asks("/rotate all compromised the env file leaked")
	s.clicks(s.Alice, s.buttons("10 more minutes (1 of 3)", "REVALIDATE_SECRET: The old value is still used by "+estatetest.LeftAddr), "rekey-hold", "lives until")
	put := s.buttons("10 more minutes (2 of 3)", "alice put its end off (1 of 3)")
	s.within("the other member is through", func() bool {
		for _, r := range s.runs(s.app) {
			if r.Secret == "ANALYTICS_SECRET" && r.State == ledger.Succeeded {
				return true
			}
		}
		return false
	})
	if n := traffic.Counts().Left.Refusals(); n != 0 {
		t.Errorf("the job was refused %d times before anybody wanted that", n)
	}
	s.clicks(s.Alice, put, "rekey-kill", "ends now")
	whole, members := s.batch(s.app)
	mustEnd(t, whole, ledger.Succeeded)
	for _, m := range members {
		mustEnd(t, m, ledger.Succeeded)
		s.mustServeOnOneNewValue(m.Secret)
	}
	if n := s.boards(whole.ID); n != 1 {
		t.Errorf("#devops-alerts has %d messages about the batch, want one", n)
	}
	if counts := traffic.Stop().Honest; counts.Refusals() > 0 || counts.Errors > 0 {
		t.Errorf("honest requests: %+v", counts)
	}
	s.mustVerify(s.app)
	s.Slack.ExpectNoErrors(t)
}

// buttons waits for a message of the channel with words and buttons in it.
func (s *stage) buttons(words ...string) (found bottest.Message) {
	s.t.Helper()
	s.within("the channel is asked: "+strings.Join(words, ", "), func() bool {
	next:
		for _, m := range s.Alerts.Messages() {
			all := m.Plain() + string(m.Blocks)
			for _, w := range append(words, "rekey-kill", "rekey-hold") {
				if !strings.Contains(all, w) {
					continue next
				}
			}
			found = m
			return true
		}
		return false
	})
	return found
}

// clicks lets somebody click, who is then told something that they alone see.
func (s *stage) clicks(who *bottest.User, m bottest.Message, action, told string) {
	s.t.Helper()
	before := len(who.Whispers())
	if answer, err := who.Click(s.t.Context(), m, action); err != nil || answer.Err != "" {
		s.t.Fatalf("clicking %s: %+v, %v", action, answer, err)
	}
	s.within(who.Name+" is told: "+told, func() bool {
		for _, w := range who.Whispers()[before:] {
			if strings.Contains(w.Plain(), told) {
				return true
			}
		}
		return false
	})
}

var rate = regexp.MustCompile(`([0-9.e+]+) times a minute`)

// mustBeTheRate holds what is told against what is sent. On a machine under load less is
// sent than was meant, and never more.
func (s *stage) mustBeTheRate(told string, sent float64) {
	s.t.Helper()
	m := rate.FindStringSubmatch(told)
	if m == nil {
		s.t.Fatalf("no rate is told: %s", told)
	}
	got, err := strconv.ParseFloat(m[1], 64)
	if err != nil || got < sent/2 || got > sent*1.2 {
		s.t.Errorf("told of %s a minute, sent are %g", m[1], sent)
	}
}

var uses = regexp.MustCompile(regexp.QuoteMeta(estatetest.LeftAddr) + ` \((\d+) times, last at (\d\d:\d\d:\d\d) UTC\)`)

// mustBeInTheLog holds the number of uses against the application's own log.
func (s *stage) mustBeInTheLog(told string) {
	s.t.Helper()
	m := uses.FindStringSubmatch(told)
	if m == nil {
		s.t.Fatalf("no number is told: %s", told)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := os.ReadFile(s.Estate.Log("rekey"))
	if err != nil {
		s.t.Fatal(err)
	}
	lines, last := 0, false
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "verified_with=previous variable=REVALIDATE_SECRET client="+estatetest.LeftAddr) {
			lines++
			last = last || strings.Contains(line, m[2])
		}
	}
	if n < 1 || n > lines || !last {
		s.t.Errorf("told of %d uses, the last at %s; the log has %d, at that time: %v", n, m[2], lines, last)
	}
}
