package inspect_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/commands/inspect"
)

// honest writes what the known caller does: one accepted request an hour.
func (e *estate) honest(from, to time.Time) {
	e.t.Helper()
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		e.access("192.0.2.5", at, "POST /api/revalidate/", 200)
	}
}

func (e *estate) asked(req inspect.Request) audit.Report {
	e.t.Helper()
	inspector, err := inspect.New(inspect.Config{
		Catalogue: e.cat, SentryToken: e.sentry.Token, Clock: func() time.Time { return now }, SentryTimeout: 5 * time.Second,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	req.Secret, req.Environment = "REVALIDATE_SECRET", "production"
	report, err := inspector.Audit(context.Background(), req)
	if err != nil {
		e.t.Fatal(err)
	}
	return report
}

func visitor(t *testing.T, r audit.Report, addr string) audit.Visitor {
	t.Helper()
	i := slices.IndexFunc(r.Visitors, func(v audit.Visitor) bool { return v.Addr == addr })
	if i < 0 {
		t.Fatalf("%s is not among the visitors %+v", addr, r.Visitors)
	}
	return r.Visitors[i]
}

// Failures, then a success: who did it is named first, with everything about them.
func TestWhoTriedAndThenGotIn(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.honest(now.Add(-10*24*time.Hour), now.Add(-time.Minute))
	attack := now.Add(-3 * time.Hour)
	for n := range 9 {
		e.refused("203.0.113.66", attack.Add(time.Duration(n)*time.Second))
	}
	for n := range 4 {
		e.access("203.0.113.66", attack.Add(time.Minute+time.Duration(n)*time.Second), "POST /api/revalidate/", 200)
	}
	e.access("203.0.113.66", attack.Add(2*time.Minute), "GET /admin/", 403)
	e.refused("198.51.100.7", attack)
	r := e.asked(inspect.Request{})

	expect(t, r, audit.Misused, "203.0.113.66 was refused 9 times and then let in")
	if r.Verdict.Confidence != audit.High {
		t.Errorf("confidence %s: %q", r.Verdict.Confidence, r.Verdict.Changes)
	}
	v := visitor(t, r, "203.0.113.66")
	if r.Visitors[0].Addr != v.Addr {
		t.Errorf("%s is named first", r.Visitors[0].Addr)
	}
	if v.Refused != 9 || v.RefusedFirst != 9 || v.Accepted != 4 || v.Elsewhere != 1 || v.Peak != 9 || v.Ours || !v.Entered.Equal(attack.Add(time.Minute)) {
		t.Errorf("the visitor is %+v", v)
	}
	if len(v.Unusual) != 2 || v.Unusual[0] != "the address made no accepted request before" || !strings.Contains(v.Unusual[1], "9 requests a minute") {
		t.Errorf("unusual: %q", v.Unusual)
	}
	if honest := visitor(t, r, "192.0.2.5"); !honest.Ours || len(honest.Unusual) != 0 || honest.Refused != 0 {
		t.Errorf("the known caller is %+v", honest)
	}
	if r.Before.Until != r.Window.Since || r.Before.Until.Sub(r.Before.Since) != 24*time.Hour {
		t.Errorf("compared with %+v", r.Before)
	}
}

// A known caller that behaves unlike before is not misuse, and is not passed over.
func TestAKnownCallerUnlikeBefore(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.honest(now.Add(-3*24*time.Hour), now.Add(-time.Minute))
	for n := range 30 {
		at := now.Add(-2*time.Hour + time.Duration(n)*time.Second)
		e.write(accessLog, fmt.Sprintf(`192.0.2.5 - - [%s] "POST /api/revalidate/ HTTP/1.1" 200 29 "-" "sqlmap/1.8"`, at.Format("02/Jan/2006:15:04:05 -0700")))
	}
	r := e.asked(inspect.Request{})
	expect(t, r, audit.NoSign)
	v := visitor(t, r, "192.0.2.5")
	if len(v.Unusual) != 2 || !strings.Contains(v.Unusual[0], "sqlmap") || !strings.Contains(v.Unusual[1], "31 requests a minute") {
		t.Errorf("unusual: %q", v.Unusual)
	}
	if r.Verdict.Confidence != audit.Medium || !strings.Contains(strings.Join(r.Verdict.Changes, " "), "Ask who runs 192.0.2.5") {
		t.Errorf("confidence %s: %q", r.Verdict.Confidence, r.Verdict.Changes)
	}
}

// Without callers in the catalogue, those of before are taken for honest, new ones are
// not, and one that was refused first is a stranger.
func TestWithoutCallersTheTimeBeforeTells(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		new     func(e *estate)
		outcome audit.Outcome
	}{
		{"only those of before", func(*estate) {}, audit.NoSign},
		{"a new address", func(e *estate) { e.access("203.0.113.66", now.Add(-time.Hour), "POST /api/revalidate/", 200) }, audit.CannotTell},
		{"a new address that was refused first", func(e *estate) {
			e.refused("203.0.113.66", now.Add(-2*time.Hour))
			e.access("203.0.113.66", now.Add(-time.Hour), "POST /api/revalidate/", 200)
		}, audit.Misused},
	} {
		e := newEstate(t)
		e.cat.Secrets[0].Places[0].Endpoints[0].Callers = nil
		e.cat.Environments[0].Own = []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")}
		e.honest(now.Add(-3*24*time.Hour), now.Add(-time.Minute))
		test.new(e)
		if r := e.asked(inspect.Request{}); r.Verdict.Outcome != test.outcome {
			t.Errorf("%s: %s: %s", test.name, r.Verdict.Outcome, r.Verdict.Sentence)
		}
	}
}

// An accepted request after the old value's death was made with the new one.
func TestUsedAfterTheDeathOfTheOldValue(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	died := now.Add(-30 * time.Minute)
	e.access("203.0.113.66", died.Add(-time.Hour), "POST /api/revalidate/", 200)
	e.access("203.0.113.66", died.Add(3*time.Second), "POST /api/revalidate/", 200) // let in before, logged after
	req := inspect.Request{Died: died, Marks: []audit.Mark{{At: died, What: "old value dead"}}}
	r := e.asked(req)
	expect(t, r, audit.Misused)
	if strings.Contains(r.Verdict.Sentence, "new value") {
		t.Errorf("a request in flight counts: %s", r.Verdict.Sentence)
	}
	if len(r.Timeline.Marks) != 1 {
		t.Errorf("the timeline's marks are %+v", r.Timeline.Marks)
	}
	e.access("203.0.113.66", died.Add(10*time.Minute), "POST /api/revalidate/", 200)
	expect(t, e.asked(req), audit.Misused, "and the new value as well")
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.refused("203.0.113.66", now.Add(-90*time.Minute))
	e.access("203.0.113.66", now.Add(-89*time.Minute), "POST /api/revalidate/", 200)
	for _, test := range []struct {
		window time.Duration
		step   time.Duration
	}{{2 * time.Hour, time.Minute}, {24 * time.Hour, 10 * time.Minute}, {30 * 24 * time.Hour, 6 * time.Hour}, {9 * 365 * 24 * time.Hour, 7 * 24 * time.Hour}} {
		line := e.asked(inspect.Request{Since: now.Add(-test.window)}).Timeline
		if line.Step != test.step || len(line.Slots) > audit.MaxSlots {
			t.Errorf("%v: %d slots of %v", test.window, len(line.Slots), line.Step)
		}
		var sum audit.Slot
		for i, s := range line.Slots {
			if i > 0 && s.At.Sub(line.Slots[i-1].At) != line.Step {
				t.Errorf("%v: a gap before %v", test.window, s.At)
			}
			sum.OursAccepted += s.OursAccepted
			sum.OursRefused += s.OursRefused
			sum.StrangersAccepted += s.StrangersAccepted
			sum.StrangersRefused += s.StrangersRefused
		}
		if sum.OursAccepted != 1 || sum.StrangersAccepted != 1 || sum.StrangersRefused != 1 || sum.OursRefused != 0 {
			t.Errorf("%v: the slots hold %+v", test.window, sum)
		}
		if last := line.Slots[len(line.Slots)-1].At; now.Sub(last) > line.Step {
			t.Errorf("%v: the last slot is %v", test.window, last)
		}
	}
}
