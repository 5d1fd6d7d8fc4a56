package audit

import (
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
