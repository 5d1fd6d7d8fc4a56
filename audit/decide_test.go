package audit

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func at(clock string) time.Time {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 11, 22, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

func activity(n int, addrs ...string) Activity {
	a := Activity{Count: n, First: at("02:11"), Last: at("02:14"), Paths: []Tally{{Name: "/api/revalidate/", Count: n}}}
	for _, addr := range addrs {
		a.Addresses = append(a.Addresses, Tally{Name: addr, Count: n})
	}
	return a
}

// quiet is evidence in which everything was read and nothing was found.
func quiet(change func(*Evidence)) Evidence {
	e := Evidence{Endpoints: []string{"/api/revalidate/"}, Access: Whole, Refusals: Whole}
	change(&e)
	return e
}

// visited is one stranger at the endpoint.
func visited(addr string, refused, accepted int) []Visitor {
	v := Visitor{Addr: addr, Refused: refused, RefusedFirst: refused, Accepted: accepted, First: at("02:11"), Last: at("02:14")}
	if accepted > 0 {
		v.Entered, v.LastIn = at("02:12"), at("02:14")
	}
	return []Visitor{v}
}

// TestDecide reads as the table of rules. Each rule has the case in which it fires
// and, right after it, the nearest case in which it must not.
func TestDecide(t *testing.T) {
	t.Parallel()
	gap := []Gap{{Source: "Sentry", Why: "The token was refused."}}
	tests := []struct {
		name     string
		e        Evidence
		rule     string
		outcome  Outcome
		sentence string // a part of it
		missing  int
	}{
		{
			"used", quiet(func(e *Evidence) { e.Accepted = activity(12, "203.0.113.66") }),
			"a stranger's request was accepted", Misused,
			"Used by an address that is not ours: 203.0.113.66 made 12 accepted requests to /api/revalidate/ between 02:11 and 02:14 UTC", 0,
		},
		{
			"used, with gaps and refusals: still used, gaps listed", quiet(func(e *Evidence) {
				e.Accepted, e.Refused, e.Gaps, e.Access = activity(1, "203.0.113.66"), activity(9, "198.51.100.7"), gap, Partial
			}),
			"a stranger's request was accepted", Misused, "made 1 accepted request to", 1,
		},
		{
			"refused, then let in", quiet(func(e *Evidence) {
				e.Accepted, e.Visitors = activity(3, "203.0.113.66"), visited("203.0.113.66", 41, 3)
			}),
			"a stranger was refused and then let in", Misused,
			"Used by an address that is not ours: 203.0.113.66 was refused 41 times and then let in: it made 3 accepted requests to /api/revalidate/ between 02:11 and 02:14 UTC", 0,
		},
		{
			"refused, then let in, among others", quiet(func(e *Evidence) {
				e.Accepted, e.Visitors = activity(3, "203.0.113.66", "198.51.100.7"), visited("203.0.113.66", 2, 3)
			}),
			"a stranger was refused and then let in", Misused,
			"203.0.113.66 was refused twice and then let in at 02:12 UTC on 2026-11-22; in all, 203.0.113.66 and 198.51.100.7 made 3 accepted requests", 0,
		},
		{
			"let in, never refused", quiet(func(e *Evidence) {
				e.Accepted, e.Visitors = activity(3, "203.0.113.66"), visited("203.0.113.66", 0, 3)
			}),
			"a stranger's request was accepted", Misused, "made 3 accepted requests", 0,
		},
		{
			"one of ours was refused and then let in: a deployment", quiet(func(e *Evidence) {
				e.RefusedOurs, e.Visitors = 4, visited("192.0.2.5", 4, 30)
				e.Visitors[0].Ours = true
			}),
			"nothing was found", NoSign, "No sign of misuse", 0,
		},
		{
			"after the old value's death", quiet(func(e *Evidence) {
				e.Accepted, e.Late = activity(9, "203.0.113.66"), activity(2, "203.0.113.66")
				e.Visitors = visited("203.0.113.66", 5, 9)
			}),
			"a stranger was let in after the old value had died", Misused,
			"Used, and the new value as well: after the old one was dead 203.0.113.66 still made 2 accepted requests to /api/revalidate/ between 02:11 and 02:14 UTC on 2026-11-22. Rotate again", 0,
		},
		{
			"used by many", quiet(func(e *Evidence) { e.Accepted = activity(1234, "a", "b", "c", "d", "e") }),
			"a stranger's request was accepted", Misused, "Used by 5 addresses that are not ours: a, b, c and 2 more made 1,234 accepted requests", 0,
		},
		{
			"not used: strangers were only refused", quiet(func(e *Evidence) { e.Refused = activity(12, "203.0.113.66") }),
			"strangers were refused", Refused, "Tried and refused: 12 refused requests by 203.0.113.66 between 02:11 and 02:14 UTC", 0,
		},

		{
			"no endpoints", quiet(func(e *Evidence) { e.Endpoints = nil }),
			"nothing says where the secret is used", CannotTell, "names no endpoint", 1,
		},
		{
			"one endpoint", quiet(func(e *Evidence) { e.Endpoints = []string{"/x"} }),
			"nothing was found", NoSign, "every accepted request to /x", 0,
		},

		{
			"no access log", quiet(func(e *Evidence) { e.Access = Unseen }),
			"the log that would show a use is missing", CannotTell, "no access log could be read", 1,
		},
		{
			"no access log, strangers refused: misuse cannot be excluded", quiet(func(e *Evidence) {
				e.Access, e.Refused = Unseen, activity(3, "203.0.113.66")
			}),
			"the log that would show a use is missing", CannotTell, "as far as can be read, 3 requests by 203.0.113.66 were refused", 1,
		},
		{
			"access log read, security log not: uses would have been seen", quiet(func(e *Evidence) {
				e.Refusals = Unseen
				e.Gaps = []Gap{{Source: "security.log", Why: "It does not exist."}}
			}),
			"nothing was found", NoSign, "No sign of misuse", 1,
		},

		{
			"a hole in the access log", quiet(func(e *Evidence) { e.Access, e.Gaps = Partial, gap }),
			"the log that would show a use has a hole", CannotTell, "a use may be in it", 1,
		},
		{
			"an access log born inside the window has no hole", quiet(func(e *Evidence) { e.AccessSince = at("01:00") }),
			"nothing was found", NoSign, "since 2026-11-22 01:00 UTC, when the access log begins", 0,
		},

		{
			"unattributed", quiet(func(e *Evidence) { e.Unattributed = 40 }),
			"accepted requests whose sender is not known", CannotTell, "40 accepted requests to /api/revalidate/", 0,
		},
		{
			"unattributed beside a proven use", quiet(func(e *Evidence) {
				e.Unattributed, e.Accepted = 40, activity(1, "203.0.113.66")
			}),
			"a stranger's request was accepted", Misused, "Used by", 0,
		},

		{
			"refused, Sentry down", quiet(func(e *Evidence) { e.Refused, e.Gaps = activity(1, "203.0.113.66"), gap }),
			"strangers were refused", Refused, "1 refused request by 203.0.113.66", 1,
		},
		{
			"only we were refused", quiet(func(e *Evidence) { e.RefusedOurs = 2 }),
			"nothing was found", NoSign, "No sign of misuse", 0,
		},
		{
			"Sentry mentions a signature: shown, not a proof", quiet(func(e *Evidence) { e.Signals = 3 }),
			"nothing was found", NoSign, "No sign of misuse", 0,
		},
	}
	fired := map[string]bool{}
	for _, tt := range tests {
		for _, r := range rules {
			if r.fires(tt.e) {
				if r.name != tt.rule {
					t.Errorf("%s: rule %q fired, want %q", tt.name, r.name, tt.rule)
				}
				fired[r.name] = true
				break
			}
		}
		got := Decide(tt.e)
		if got.Outcome != tt.outcome {
			t.Errorf("%s: outcome %q, want %q", tt.name, got.Outcome, tt.outcome)
		}
		if !strings.Contains(got.Sentence, tt.sentence) {
			t.Errorf("%s: sentence %q lacks %q", tt.name, got.Sentence, tt.sentence)
		}
		if len(got.Missing) != tt.missing {
			t.Errorf("%s: missing %q, want %d entries", tt.name, got.Missing, tt.missing)
		}
		if len(got.Reasons) == 0 && got.Outcome != CannotTell {
			t.Errorf("%s: no reasons", tt.name)
		}
	}
	for _, r := range rules {
		if !fired[r.name] {
			t.Errorf("no case in which rule %q fires", r.name)
		}
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		first, last time.Time
		want        string
	}{
		{"one minute", at("02:11"), at("02:11").Add(30 * time.Second), "at 02:11 UTC on 2026-11-22"},
		{"one day", at("02:11"), at("02:14"), "between 02:11 and 02:14 UTC on 2026-11-22"},
		{"over midnight", at("02:11").Add(-24 * time.Hour), at("02:14"), "between 2026-11-21 02:11 and 2026-11-22 02:14 UTC"},
		{"another zone", at("02:11").In(time.FixedZone("", 3600)), at("02:14"), "between 02:11 and 02:14 UTC on 2026-11-22"},
		{"no time", time.Time{}, time.Time{}, "at a time that was not recorded"},
	}
	for _, tt := range tests {
		if got := between(Activity{First: tt.first, Last: tt.last}); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestDoubts reads as the table of doubts: each has the case in which it fires and the
// nearest in which it must not.
func TestDoubts(t *testing.T) {
	t.Parallel()
	used := func(change func(*Evidence)) Evidence {
		return quiet(func(e *Evidence) {
			e.Accepted, e.Visitors, e.Normal = activity(3, "203.0.113.66"), visited("203.0.113.66", 0, 3), 100
			e.Visitors[0].Unusual = []string{"the address made no accepted request before"}
			change(e)
		})
	}
	caller := func(unusual ...string) func(*Evidence) {
		return func(e *Evidence) {
			e.Visitors = visited("192.0.2.5", 0, 50)
			e.Visitors[0].Ours, e.Visitors[0].Unusual = true, unusual
		}
	}
	tests := []struct {
		name       string
		e          Evidence
		confidence Confidence
		changes    string // a part of one of them
		n          int    // how many there are
	}{
		{"a new stranger was let in", used(func(*Evidence) {}), High, "If 203.0.113.66 belongs to you, list it", 1},
		{"the stranger called before", used(func(e *Evidence) { e.Visitors[0].Unusual = nil }), Medium, "behaves as it did before", 1},
		{"nothing is known of before", used(func(e *Evidence) { e.Visitors[0].Unusual, e.Normal = nil, 0 }), High, "belongs to you", 1},
		{"the stranger called before but was refused first", used(func(e *Evidence) {
			e.Visitors[0].Unusual, e.Visitors[0].RefusedFirst = nil, 7
		}), High, "belongs to you", 1},

		{"nothing found", quiet(func(*Evidence) {}), High, "If it may have leaked before the window", 1},
		{"refused", quiet(func(e *Evidence) { e.Refused = activity(3, "203.0.113.66") }), High, "before the window", 1},
		{"callers are judged by before", quiet(func(e *Evidence) { e.AsBefore = 12 }), Medium, "12 accepted requests are taken for honest", 2},
		{"a caller unlike before", quiet(caller("up to 90 requests a minute, where the most before were 4")), Medium, "Ask who runs 192.0.2.5", 2},
		{"a caller as before", quiet(caller()), High, "before the window", 1},
		{"a young access log", quiet(func(e *Evidence) { e.AccessSince = at("01:00") }), Medium, "of before 2026-11-22 01:00 UTC", 2},
		{"refusals unread", quiet(func(e *Evidence) { e.Refusals = Partial }), Medium, "cannot hold a use", 2},
		{"a gap", quiet(func(e *Evidence) { e.Gaps = []Gap{{Source: "Sentry", Why: "down"}} }), Medium, "mend it", 2},
		{"the value in the logs", quiet(func(e *Evidence) { e.Exposed = 1 }), Medium, "looks like an honest use", 2},
		{"three doubts at once", quiet(func(e *Evidence) {
			e.AsBefore, e.Exposed, e.Refusals = 12, 1, Partial
		}), Low, "list the callers", 4},
		{"cannot tell", quiet(func(e *Evidence) { e.Access = Unseen }), Low, "Bring what is missing", 1},
	}
	fired := map[string]bool{}
	for _, tt := range tests {
		v := Decide(tt.e)
		for _, d := range doubts {
			if slices.Contains(d.about, v.Outcome) && d.fires(tt.e) {
				fired[d.name] = true
			}
		}
		if v.Confidence != tt.confidence {
			t.Errorf("%s: confidence %s, want %s (%q)", tt.name, v.Confidence, tt.confidence, v.Changes)
		}
		if len(v.Changes) != tt.n || !strings.Contains(strings.Join(v.Changes, "\n"), tt.changes) {
			t.Errorf("%s: changes %q, want %d with %q", tt.name, v.Changes, tt.n, tt.changes)
		}
		if len(v.Reasons) > maxReasons {
			t.Errorf("%s: %d reasons", tt.name, len(v.Reasons))
		}
	}
	for _, d := range doubts {
		if !fired[d.name] {
			t.Errorf("no case in which the doubt %q fires", d.name)
		}
	}
}
