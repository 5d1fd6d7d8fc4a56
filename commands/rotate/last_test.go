package rotate_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/issue"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// witness is the estate's account of who uses the old value, look by look; the last one
// stands for all that follow.
type witness struct {
	says  []sighting
	asked []time.Time // since when
}

type sighting struct {
	usage issue.Usage
	err   error
}

func (w *witness) Usage(_ context.Context, _ []secret.UsageSource, since time.Time) (issue.Usage, error) {
	w.asked = append(w.asked, since)
	s := w.says[min(len(w.asked), len(w.says))-1]
	return s.usage, s.err
}

func (*witness) Run(context.Context, rotate.Subject, secret.Value, time.Time) (seen, failed []string) {
	return nil, nil
}
func (*witness) Count(context.Context, *secret.Sessions) (string, error) { return "", nil }
func (*witness) End(context.Context, *secret.Sessions) (string, error)   { return "", nil }
func (*witness) Tidy(context.Context, *secret.Sessions) (string, error)  { return "", nil }

func by(perMinute float64, names ...string) sighting {
	u := issue.Usage{}
	for _, n := range names {
		u.Users = append(u.Users, n+" (3 times)")
		u.Callers = append(u.Callers, issue.Caller{Name: n, Says: n + " (3 times)", PerMinute: perMinute})
		u.PerMinute += perMinute
	}
	return sighting{usage: u}
}

var early = sighting{err: &issue.Wait{Sentence: "nobody was seen using the old value for 2 s, and 5 min are called for"}}

// lastLook is a compromised run that has come to the last look before the old value ends,
// a minute after the switch.
func lastLook(t *testing.T, says ...sighting) (*world, *witness, func(d commands.Respite) rotate.Result) {
	t.Helper()
	w := newWorld(t)
	p := &w.cat.Secrets[0].Places[0]
	p.Usage = []secret.UsageSource{{Log: "rekey.log", Pattern: "old"}}
	p.Endpoints = []secret.Endpoint{{Path: "/hook", Callers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}}
	saw := &witness{says: says}
	w.cfg.Checks, w.cfg.Glance = saw, time.Millisecond
	w.build()
	s := w.subject("r-1", commands.Compromised)
	w.before(s, "retire/drain")
	s.Switched = w.now.Add(-time.Minute)
	return w, saw, func(d commands.Respite) rotate.Result {
		t.Helper()
		memo, err := d.Memo()
		must(t, err)
		s.Run.Memo = memo
		return w.do(s, step(t, s, "retire/drain"))
	}
}

// What a first look makes of who was seen.
func TestTheLastLook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says   []sighting
		stands bool
		words  []string
		not    string
	}{
		"one of ours": {
			[]sighting{by(6, "10.0.0.7")},
			true,
			[]string{"still used by 10.0.0.7 (3 times), 6 times a minute.", "ends by itself at 12:00:30 UTC", "/rotate kill r-1 to end", "/rotate hold r-1 for 10"},
			"strangers",
		},
		"a stranger decides nothing":           {[]sighting{by(6, "203.0.113.66")}, false, []string{"No caller of ours", "203.0.113.66"}, "a minute"},
		"the stranger's share is not the cost": {[]sighting{by(6, "10.0.0.7", "203.0.113.66")}, true, []string{"10.0.0.7 (3 times), 6 times a minute, and by 203.0.113.66"}, "12 times"},
		"nobody":                               {[]sighting{{}}, false, []string{"Nobody uses the old value any more."}, ""},
		"nobody for too short a time":          {[]sighting{early}, false, []string{"so far", "5 min are called for"}, ""},
		"a log that cannot be read":            {[]sighting{{err: errors.New("rekey may not read rekey.log")}}, false, []string{"could not be read: rekey may not read rekey.log."}, ""},
		"a name that is no address":            {[]sighting{by(6, "uses on 10.0.0.9:9100")}, true, []string{"does not tell callers of ours from strangers"}, ""},
		"somebody who cannot be told apart": {
			[]sighting{{usage: issue.Usage{PerMinute: 2}}}, true, []string{"still used by somebody, 2 times a minute (the catalogue does not tell"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, look := lastLook(t, c.says...)
			res := look(commands.Respite{})
			stands := !res.Wait.IsZero()
			if stands != c.stands || stands != (res.Respite != nil && res.Respite.Open) {
				t.Fatalf("it stands: %v, want %v: %+v", stands, c.stands, res)
			}
			for _, word := range c.words {
				if !strings.Contains(res.Note, word) {
					t.Errorf("it does not say %q: %s", word, res.Note)
				}
			}
			if c.not != "" && strings.Contains(res.Note, c.not) {
				t.Errorf("it says %q: %s", c.not, res.Note)
			}
		})
	}
}

// A look right after the switch is made again before anybody is asked: services let go of
// what they had in hand, and logs are written.
func TestALookRightAfterTheSwitchIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says   []sighting
		looks  int
		stands bool
	}{
		"a session that ends":   {[]sighting{by(0, "10.0.0.7"), {}}, 2, false},
		"one that stays":        {[]sighting{by(0, "10.0.0.7")}, 2, true},
		"a use that comes late": {[]sighting{early, by(6, "10.0.0.7")}, 2, true},
		"nobody at all":         {[]sighting{{}, by(6, "10.0.0.7")}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, saw, _ := lastLook(t, c.says...)
			w.cfg.Glance = 20 * time.Millisecond
			w.build()
			s := w.subject("r-1", commands.Compromised)
			s.Switched = w.now
			res := w.do(s, step(t, s, "retire/drain"))
			if len(saw.asked) != c.looks || !res.Wait.IsZero() != c.stands {
				t.Errorf("%d looks and it stands: %v; want %d and %v", len(saw.asked), !res.Wait.IsZero(), c.looks, c.stands)
			}
			if strings.Contains(res.Note, "a minute") {
				t.Errorf("a rate was made from less than ten seconds: %s", res.Note)
			}
			if since := saw.asked[0]; !since.After(s.Switched) || since.Sub(s.Switched) > time.Second {
				t.Errorf("asked since %s, switched at %s: what was signed before in that second counts", since, s.Switched)
			}
		})
	}
}

// rekey's own questions with the old value are no use of it; whoever shares its address
// is seen again after them.
func TestOwnQuestionsAreNoUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr   string
		after  time.Duration // of the last question
		stands bool
	}{
		"rekey itself": {"127.0.0.1", 900 * time.Millisecond, false}, "a neighbour": {"127.0.0.1", 2 * time.Second, true}, "a caller": {"10.0.0.7", 0, true},
	} {
		saw := by(6, c.addr)
		w, _, _ := lastLook(t, saw)
		w.cat.Environments[0].Own = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s := w.subject("r-1", commands.Compromised)
		s.Switched, s.Asked = w.now.Add(-time.Hour), w.now.Add(-4*time.Second)
		saw.usage.Callers[0].Last = s.Asked.Add(c.after)
		if res := w.do(s, step(t, s, "retire/drain")); !res.Wait.IsZero() != c.stands {
			t.Errorf("%s: %s", name, res.Note)
		}
	}
}

// What becomes of a run that stands.
func TestAStandingRun(t *testing.T) {
	t.Parallel()
	ours, gone := by(6, "10.0.0.7"), sighting{}
	for name, c := range map[string]struct {
		says   sighting
		amend  func(d *commands.Respite, now time.Time)
		stands bool
		words  string
	}{
		"in its time":             {ours, func(*commands.Respite, time.Time) {}, true, "ends by itself at 12:00:20 UTC"},
		"nobody chose":            {ours, func(d *commands.Respite, now time.Time) { d.Until = now }, false, "Ended at a cost: it was still used by 10.0.0.7 (9 times), as of 11:59:50 UTC. Nobody chose otherwise until 12:00:00 UTC."},
		"killed":                  {ours, func(d *commands.Respite, _ time.Time) { d.Kill, d.By = true, "cli:root" }, false, "Ended at a cost: it was still used by 10.0.0.7 (9 times), as of 11:59:50 UTC. cli:root chose to end it now."},
		"put off, then killed":    {ours, func(d *commands.Respite, _ time.Time) { d.Kill, d.Times, d.By = true, 1, "cli:root" }, false, "9 times), as of 11:59:59 UTC. Its end had been put off (1 of 3). cli:root chose to end it now."},
		"nobody uses it any more": {gone, func(*commands.Respite, time.Time) {}, false, "Nobody uses the old value any more."},
		"put off, not seen once": {gone, func(d *commands.Respite, now time.Time) {
			d.Times, d.By, d.Until, d.LastSeen = 1, "slack:U1 (alice)", now.Add(9*time.Minute), now.Add(-50*time.Second)
		}, true, "alice put its end off (1 of 3)"},
		"put off, not seen for a minute": {gone, func(d *commands.Respite, now time.Time) {
			d.Times, d.Until, d.LastSeen = 1, now.Add(9*time.Minute), now.Add(-time.Minute)
		}, false, "Nobody uses the old value any more."},
		"put off for the last time": {ours, func(d *commands.Respite, now time.Time) {
			d.Times, d.By, d.Until = 3, "cli:root", now.Add(9*time.Minute)
		}, true, "Type /rotate kill r-1 to end it now."},
		"put off, and the time is up": {ours, func(d *commands.Respite, now time.Time) {
			d.Times, d.By, d.Until = 2, "slack:U1 (alice)", now
		}, false, "The time that alice had asked for (2 of 3) was up at 12:00:00 UTC."},
		"what tells cannot be read any more": {sighting{err: errors.New("the disk is gone")}, func(*commands.Respite, time.Time) {}, true, "10.0.0.7 (9 times)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, look := lastLook(t, c.says)
			d := commands.Respite{Open: true, Until: w.now.Add(20 * time.Second), Seen: "10.0.0.7 (9 times)", SeenAt: w.now.Add(-10 * time.Second), LastSeen: w.now}
			if c.amend(&d, w.now); d.Times > 0 {
				d.SeenAt = w.now.Add(-time.Second)
			}
			res := look(d)
			if stands := !res.Wait.IsZero(); stands != c.stands || res.Respite == nil || res.Respite.Open != stands {
				t.Fatalf("it stands: %v, want %v: %+v", stands, c.stands, res)
			}
			if !strings.Contains(res.Note, c.words) {
				t.Errorf("it does not say %q: %s", c.words, res.Note)
			}
			if c.stands && (res.Wait.After(res.Respite.Until) || res.Wait.Sub(w.now) > 5*time.Second) {
				t.Errorf("it looks again at %s, and ends at %s", res.Wait, res.Respite.Until)
			}
		})
	}
}

// A measure that people have read is not changed under their eyes each time: every ten
// seconds at first, every minute once the end was put off, and at once after a choice.
func TestAMeasureIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		times int
		ago   time.Duration // 0: somebody has chosen since
		fresh bool
	}{
		"at first": {0, 9 * time.Second, false}, "after ten seconds": {0, 10 * time.Second, true},
		"put off": {1, 59 * time.Second, false}, "after a minute": {1, time.Minute, true}, "just put off": {2, 0, true},
	} {
		w, _, look := lastLook(t, by(6, "10.0.0.7"))
		d := commands.Respite{Open: true, Times: c.times, By: "cli:root", Until: w.now.Add(time.Minute), Seen: "before", LastSeen: w.now}
		if c.ago > 0 {
			d.SeenAt = w.now.Add(-c.ago)
		}
		res := look(d)
		if fresh := res.Respite.Seen != "before"; fresh != c.fresh || !res.Respite.LastSeen.Equal(w.now) {
			t.Errorf("%s: told anew: %v, want %v", name, fresh, c.fresh)
		}
	}
}

// A memo that cannot be read decides nothing: the run stands once more.
func TestAMemoThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w, _, _ := lastLook(t, by(6, "10.0.0.7"))
	s := w.subject("r-1", commands.Compromised)
	s.Run.Memo, s.Switched = []byte("{"), w.now.Add(-time.Minute)
	if res := w.do(s, step(t, s, "retire/drain")); res.Wait.IsZero() || res.Respite.Times != 0 {
		t.Errorf("got %+v", res)
	}
}

// What can be chosen when, and the reason where it cannot.
func TestChoice(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const drained, next = 0, 1
	for name, c := range map[string]struct {
		wish  ledger.Wish
		amend func(r *ledger.Run, d *commands.Respite, steps []ledger.Step)
		why   string
		until time.Time
	}{
		"hold":                   {ledger.WishHold, nil, "", noon.Add(10 * time.Minute)},
		"kill":                   {ledger.WishKill, nil, "", noon.Add(20 * time.Second)},
		"second hold":            {ledger.WishHold, func(_ *ledger.Run, d *commands.Respite, _ []ledger.Step) { d.Times = 1 }, "", noon.Add(10 * time.Minute)},
		"fourth hold":            {ledger.WishHold, func(_ *ledger.Run, d *commands.Respite, _ []ledger.Step) { d.Times = 3 }, "3 times already, which is the most; it ends at 12:00:20 UTC", time.Time{}},
		"kill after three holds": {ledger.WishKill, func(_ *ledger.Run, d *commands.Respite, _ []ledger.Step) { d.Times = 3 }, "", noon.Add(20 * time.Second)},
		"two click in the same minute": {ledger.WishHold, func(_ *ledger.Run, d *commands.Respite, _ []ledger.Step) {
			d.Times, d.By, d.Until = 1, "slack:U1 (bob)", noon.Add(9*time.Minute+30*time.Second)
		}, "bob has just put its end off until 12:09:30 UTC (1 of 3)", time.Time{}},
		"hold after kill": {ledger.WishHold, func(_ *ledger.Run, d *commands.Respite, _ []ledger.Step) { d.Kill = true }, "being ended now", time.Time{}},
		"just about to go on": {ledger.WishHold, func(r *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			r.State, d.Open, steps[drained].State = ledger.Running, false, ledger.StepDone
		}, "", noon.Add(10 * time.Minute)},
		"kill of one that goes on": {ledger.WishKill, func(r *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			r.State, d.Open, steps[drained].State = ledger.Running, false, ledger.StepDone
		}, "being ended now", time.Time{}},
		"too late": {ledger.WishHold, func(r *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			r.State, d.Open, steps[drained].State, steps[next].State = ledger.Running, false, ledger.StepDone, ledger.StepRunning
		}, "too late", time.Time{}},
		"not there yet": {ledger.WishHold, func(r *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			r.State, *d, steps[drained].State = ledger.Running, commands.Respite{}, ledger.StepPending
		}, "has not come to the end", time.Time{}},
		"nobody was seen": {ledger.WishHold, func(r *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			r.State, *d, steps[drained].State = ledger.Running, commands.Respite{}, ledger.StepDone
		}, "nobody of ours was seen", time.Time{}},
		"nothing tells": {ledger.WishHold, func(_ *ledger.Run, d *commands.Respite, steps []ledger.Step) {
			*d, steps[drained].Kind = commands.Respite{}, rotate.KindTest
		}, "nothing tells who", time.Time{}},
		"routine":     {ledger.WishKill, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.Mode = "routine" }, "type: /rotate X compromised", time.Time{}},
		"succeeded":   {ledger.WishHold, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.State = ledger.Succeeded }, "has ended, and the old value with it", time.Time{}},
		"failed":      {ledger.WishHold, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.State = ledger.Failed }, "has failed", time.Time{}},
		"rolled back": {ledger.WishKill, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.State = ledger.RolledBack }, "went back", time.Time{}},
		"going back":  {ledger.WishKill, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.State = ledger.RollingBack }, "on its way back", time.Time{}},
		"asked to go back": {ledger.WishKill, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) {
			r.Asked = ledger.WishRollback
		}, "on its way back", time.Time{}},
		"an audit": {ledger.WishKill, func(r *ledger.Run, _ *commands.Respite, _ []ledger.Step) { r.Kind = ledger.KindAudit }, "no rotation", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ledger.Run{ID: "r-1", Kind: ledger.KindRotate, Secret: "X", Mode: "compromised", State: ledger.Waiting}
			d := commands.Respite{Open: true, Until: noon.Add(20 * time.Second), Seen: "10.0.0.7", SeenAt: noon}
			steps := []ledger.Step{{Index: 0, Kind: rotate.KindDrain, State: ledger.StepRunning}, {Index: 1, Kind: rotate.KindSet, State: ledger.StepPending}}
			if c.amend != nil {
				c.amend(&r, &d, steps)
			}
			var err error
			r.Memo, err = d.Memo()
			must(t, err)
			got, at, err := rotate.Choice(r, steps, c.wish, "cli:root", noon)
			if c.why != "" {
				var fault *rotate.Fault
				if !errors.As(err, &fault) || !strings.Contains(fault.Sentence, c.why) {
					t.Errorf("got %v, want %q", err, c.why)
				}
				return
			}
			must(t, err)
			times := d.Times
			if c.wish == ledger.WishHold {
				times++
			}
			if at.Kind != rotate.KindDrain || !got.Open || got.By != "cli:root" || got.Times != times || !got.Until.Equal(c.until) ||
				got.Kill != (c.wish == ledger.WishKill) || !got.SeenAt.IsZero() {
				t.Errorf("got %+v", got)
			}
		})
	}
}
