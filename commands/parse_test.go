package commands

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// at is the moment of every test: a Sunday, 03:00 UTC.
var at = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func parser() Parser { return Parser{Now: func() time.Time { return at }} }

func TestParse(t *testing.T) {
	t.Parallel()
	rotate := func(mode Mode, env, reason string) Request {
		return Request{Verb: Rotate, Secret: "REVALIDATE_SECRET", Mode: mode, Environment: env, Reason: reason}
	}
	audit := func(env string, since time.Duration) Request {
		return Request{Verb: Audit, Secret: "REVALIDATE_SECRET", Environment: env, Since: since}
	}
	leaked := func(since time.Duration, env, reason string) Request {
		r := rotate(Compromised, env, reason)
		r.Since = since
		return r
	}
	const day = 24 * time.Hour
	for _, test := range []struct {
		command, text string
		want          Request
	}{
		{"/rotate", "REVALIDATE_SECRET compromised found in a CI log", rotate(Compromised, "", "found in a CI log")},
		{"/rotate", "REVALIDATE_SECRET compromised in a CI log", rotate(Compromised, "", "in a CI log")},
		{"/rotate", "REVALIDATE_SECRET routine", rotate(Routine, "", "")},
		{"/rotate", "  REVALIDATE_SECRET\tRoutine  ", rotate(Routine, "", "")},
		{"/rotate", "REVALIDATE_SECRET COMPROMISED in staging", rotate(Compromised, "staging", "")},
		{"/rotate", "REVALIDATE_SECRET in staging compromised leaked", rotate(Compromised, "staging", "leaked")},
		{"/rotate", "REVALIDATE_SECRET compromised env=staging leaked", rotate(Compromised, "staging", "leaked")},
		{"/rotate", "REVALIDATE_SECRET compromised --env staging leaked", rotate(Compromised, "staging", "leaked")},
		{"/rotate", "REVALIDATE_SECRET compromised --env=staging leaked", rotate(Compromised, "staging", "leaked")},
		{"/rotate", "REVALIDATE_SECRET compromised —env staging leaked", rotate(Compromised, "staging", "leaked")},
		{"/rotate", "REVALIDATE_SECRET --compromised", rotate(Compromised, "", "")},
		{"/rotate", "REVALIDATE_SECRET mode=compromised", rotate(Compromised, "", "")},
		{"/rotate", "compromised REVALIDATE_SECRET", rotate(Compromised, "", "")},
		{"/rotate", "REVALIDATE_SECRET compromised since 3d found in a CI log", leaked(3*24*time.Hour, "", "found in a CI log")},
		{"/rotate", "REVALIDATE_SECRET compromised in staging since 2026-11-20 10:00 pushed to a fork", leaked(41*time.Hour, "staging", "pushed to a fork")},
		{"/rotate", "REVALIDATE_SECRET compromised leaked-since=36h pushed", leaked(36*time.Hour, "", "pushed")},
		{"/rotate", "REVALIDATE_SECRET compromised since yesterday", leaked(27*time.Hour, "", "")},
		{"/rotate", "REVALIDATE_SECRET compromised since the last deploy", rotate(Compromised, "", "since the last deploy")},
		{"/rotate", "REVALIDATE_SECRET compromised leaked since 3d", rotate(Compromised, "", "leaked since 3d")},
		{"/rotate", "REVALIDATE_SECRET compromised since=nothing", rotate(Compromised, "", "since=nothing")},
		{"/rotate", "rotate REVALIDATE_SECRET compromised", rotate(Compromised, "", "")},
		{"/rotate", "REVALIDATE_SECRET compromised compromised", rotate(Compromised, "", "")},
		{"/rotate", "REVALIDATE_SECRET, compromised: found it", rotate(Compromised, "", "found it")},
		{"/rotate", "REVALIDATE_SECRET compromised - found it", rotate(Compromised, "", "found it")},
		{"/rotate", "REVALIDATE_SECRET compromised because in production it leaked", rotate(Compromised, "", "in production it leaked")},
		{"/rotate", "REVALIDATE_SECRET compromised --reason=leaked today", rotate(Compromised, "", "leaked today")},
		{"/rotate", "REVALIDATE_SECRET compromised reason: leaked", rotate(Compromised, "", "leaked")},
		{"/rotate", "`REVALIDATE_SECRET` compromised", rotate(Compromised, "", "")},
		{"/rotate", "*REVALIDATE_SECRET* _compromised_", rotate(Compromised, "", "")},
		{"/rotate", "“REVALIDATE_SECRET” compromised “found in a log”", rotate(Compromised, "", "found in a log")},
		{"/rotate", "REVALIDATE_\u200bSECRET\u00a0compromised\u2060", rotate(Compromised, "", "")},
		{"/rotate", "REVALIDATE_SECRET compromised mail from <mailto:eve@example.com|eve@example.com>", rotate(Compromised, "", "mail from eve@example.com")},
		{"/rotate", "REVALIDATE_SECRET compromised see <https://ci.example.com/1|ci.example.com/1>", rotate(Compromised, "", "see ci.example.com/1")},
		{"/rotate", "REVALIDATE_SECRET compromised told by <@U123|alice> in <#C1|general> &amp; &lt;b&gt;", rotate(Compromised, "", "told by @alice in #general & <b>")},
		{"/rotate", "REVALIDATE_SECRET compromised two\nlines", rotate(Compromised, "", "two lines")},
		{"/ROTATE", "REVALIDATE_SECRET routine", rotate(Routine, "", "")},
		{"rotate", "REVALIDATE_SECRET routine", rotate(Routine, "", "")},
		{"/rotate", "", Request{Verb: Help}},
		{"/rotate", " \u200b ", Request{Verb: Help}},
		{"/rotate", "help", Request{Verb: Help}},
		{"/rotate", "HELP me", Request{Verb: Help}},
		{"/audit-secret", "", Request{Verb: Help}},
		{"/audit-secret", "help", Request{Verb: Help}},
		{"/rotate", "list", Request{Verb: List}},
		{"/rotate", "schedule", Request{Verb: Schedule}},
		{"/rotate", "Digest, please", Request{Verb: Digest}},
		{"/rotate", "digest", Request{Verb: Digest}},
		{"/rotate", "rollback r-1 it broke", Request{Verb: Rollback, Run: "r-1", Reason: "it broke"}},
		{"/rotate", "rollback `r-1`", Request{Verb: Rollback, Run: "r-1"}},
		{"/rotate", "kill r-1", Request{Verb: Kill, Run: "r-1"}},
		{"/rotate", "Hold `r-1` the importer is being switched", Request{Verb: Hold, Run: "r-1", Reason: "the importer is being switched"}},
		{"/rotate", "REVALIDATE_SECRET routine dry-run", Request{Verb: Rotate, Secret: "REVALIDATE_SECRET", Mode: Routine, DryRun: true}},
		{"/rotate", "REVALIDATE_SECRET --dry-run compromised in staging", Request{Verb: Rotate, Secret: "REVALIDATE_SECRET", Mode: Compromised, Environment: "staging", DryRun: true}},
		{"/rotate", "REVALIDATE_SECRET compromised confirmed found in a CI log", Request{Verb: Rotate, Secret: "REVALIDATE_SECRET", Mode: Compromised, Confirmed: true, Reason: "found in a CI log"}},
		{"/rotate", "REVALIDATE_SECRET compromised found in a dry-run", rotate(Compromised, "", "found in a dry-run")},
		{"/rotate", "status", Request{Verb: Status}},
		{"/rotate", "status `r-20261122-030000-abcdef`", Request{Verb: Status, Run: "r-20261122-030000-abcdef"}},
		{"/rotate", "audit REVALIDATE_SECRET since 24h", audit("", day)},
		{"/audit-secret", "REVALIDATE_SECRET", audit("", 0)},
		{"/audit-secret", "REVALIDATE_SECRET since 24h", audit("", day)},
		{"/audit-secret", "REVALIDATE_SECRET 7d", audit("", 7*day)},
		{"/audit-secret", "REVALIDATE_SECRET since 7 days ago", audit("", 7*day)},
		{"/audit-secret", "REVALIDATE_SECRET for the last 2 weeks in production", audit("production", 14*day)},
		{"/audit-secret", "REVALIDATE_SECRET in staging since 90m", audit("staging", 90*time.Minute)},
		{"/audit-secret", "REVALIDATE_SECRET since 1h30m", audit("", 90*time.Minute)},
		{"/audit-secret", "REVALIDATE_SECRET --since=36h", audit("", 36*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 2026-11-20", audit("", 51*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 2026-11-20T10:00Z", audit("", 41*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 2026-11-20 10:00", audit("", 41*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 2026-11-20T10:00:00+02:00", audit("", 43*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 02:00", audit("", time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since 04:00", audit("", 23*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since yesterday", audit("", 27*time.Hour)},
		{"/audit-secret", "REVALIDATE_SECRET since today in staging", audit("staging", 3*time.Hour)},
	} {
		got, err := parser().Parse(test.command, test.text)
		if err != nil {
			t.Errorf("%s %s: %v", test.command, test.text, err)
			continue
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s %s:\n%s", test.command, test.text, d)
		}
	}
}

func TestParseAsksInsteadOfGuessing(t *testing.T) {
	t.Parallel()
	const noMode = "Say whether REVALIDATE_SECRET is compromised (the old value ends as soon as that is safe) or this is routine (it stays valid for its overlap)."
	for _, test := range []struct{ command, text, problem, try string }{
		{"/rotate", "REVALIDATE_SECRET", noMode, "/rotate REVALIDATE_SECRET compromised"},
		{"/rotate", "REVALIDATE_SECRET found in a CI log", noMode, "/rotate REVALIDATE_SECRET compromised found in a CI log"},
		{"/rotate", "REVALIDATE_SECRET leaked in a log", noMode, "/rotate REVALIDATE_SECRET compromised in a log"},
		{"/rotate", "REVALIDATE_SECRET compromysed", noMode, "/rotate REVALIDATE_SECRET compromised"},
		{"/rotate", "REVALIDATE_SECRET routin in staging", noMode, "/rotate REVALIDATE_SECRET routine in staging"},
		{"/rotate", "REVALIDATE_SECRET in staging scheduled", noMode, "/rotate REVALIDATE_SECRET routine in staging"},
		{"/rotate", "REVALIDATE_SECRET routine compromised", "Both routine and compromised are written: say which of the two it is.", "/rotate REVALIDATE_SECRET compromised"},
		{"/rotate", "REVALIDATE_SECRET compromised in a in b", "", ""},
		{"/rotate", "REVALIDATE_SECRET compromised in x in y", "Two environments are named: write one.", "/rotate REVALIDATE_SECRET … in production"},
		{"/rotate", "REVALIDATE_SECRET compromised --env", "The environment's name is missing.", "/rotate REVALIDATE_SECRET … in production"},
		{"/rotate", "compromised", "Which secret is to be rotated?", "/rotate NAME compromised"},
		{"/rotate", "--env production", "The name of the secret comes first.", "/rotate NAME compromised"},
		{"/audit-secret", "REVALIDATE_SECRET recently", `"recently" is not understood here.`, "/audit-secret REVALIDATE_SECRET since 24h"},
		{"/audit-secret", "REVALIDATE_SECRET since forever", `"forever" is not a time: write since 24h, since 7d, since 2026-11-20 or since 2026-11-20T10:00Z.`, ""},
		{"/audit-secret", "REVALIDATE_SECRET since 2027-01-01", `"2027-01-01" is still to come (the time is read as UTC): write a time that has passed, or since 24h.`, ""},
		{"/audit-secret", "REVALIDATE_SECRET since 0h", `"0h" looks back no time at all: write since 24h.`, ""},
		{"/audit-secret", "REVALIDATE_SECRET since 3000d", `"3000d" is more than 366 days back: write at most since 366d.`, ""},
		{"/audit-secret", "REVALIDATE_SECRET since 99999999999999999999h", "", ""},
		{"/audit-secret", "REVALIDATE_SECRET 1h since 2h", "Two beginnings are named: write since once.", "/audit-secret REVALIDATE_SECRET since 24h"},
		{"/frobnicate", "x", "rekey knows no command of that name.", "/rotate help"},
	} {
		r, err := parser().Parse(test.command, test.text)
		if test.problem == "" && test.text == "REVALIDATE_SECRET compromised in a in b" {
			if err != nil || r.Environment != "" || r.Reason != "in a in b" {
				t.Errorf("%s: %v, %v", test.text, r, err)
			}
			continue
		}
		var usage *UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%s %s: want a usage error, got %v, %v", test.command, test.text, r, err)
			continue
		}
		if test.problem != "" && (usage.Problem != test.problem || usage.Try != test.try) {
			t.Errorf("%s %s: got %q and %q", test.command, test.text, usage.Problem, usage.Try)
		}
		if usage.Try != "" && !strings.Contains(usage.Try, "NAME") && !strings.Contains(usage.Try, "…") {
			command, text, _ := strings.Cut(usage.Try, " ")
			if _, err := parser().Parse(command, text); err != nil {
				t.Errorf("what it suggests for %q is no command either: %v", test.text, err)
			}
		}
	}
}

// TestUsageErrorsRepeatNoPastedValue pastes a value at every place of a command.
func TestUsageErrorsRepeatNoPastedValue(t *testing.T) {
	t.Parallel()
	const value = "6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c"
	for _, text := range []string{
		value, "X " + value, "X in " + value, "X since " + value, value + " since x", "compromised", "X env=" + value + " y",
		value + " routine compromised", value + " compromised in a1 in b1", "X 1h since " + value, "X leaked " + value,
	} {
		for _, command := range []string{"/rotate", "/audit-secret", "/" + value} {
			if _, err := parser().Parse(command, text); err != nil && strings.Contains(err.Error(), value[:16]) {
				t.Errorf("%s %s: repeats the value", command, strings.ReplaceAll(text, value, "VALUE"))
			}
		}
	}
}

func TestParseMode(t *testing.T) {
	t.Parallel()
	if m, err := ParseMode("Compromised"); m != Compromised || err != nil {
		t.Errorf("%q, %v", m, err)
	}
	var usage *UsageError
	if _, err := ParseMode("leaked"); !errors.As(err, &usage) {
		t.Errorf("leaked is no mode: %v", err)
	}
}

// TestHelpTeachesWhatIsUnderstood parses every example of the help.
func TestHelpTeachesWhatIsUnderstood(t *testing.T) {
	t.Parallel()
	help := HelpText()
	for _, topic := range Topics() {
		command, text, _ := strings.Cut(topic.Example, " ")
		if _, err := parser().Parse(command, text); err != nil {
			t.Errorf("%s: %v", topic.Example, err)
		}
		if !strings.Contains(help, topic.Usage) || topic.Meaning == "" || topic.CLI == "" {
			t.Errorf("%s is not in the help", topic.Usage)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"REVALIDATE_SECRET compromised found in a CI log", "X in production routine because ok", "X since 2026-11-20 10:00",
		"<@U1|a> &amp;&lt;", "— --env=", "status r-1", "`X` “routine”", "_ _ __ ___ '", "in in in", "X env= y",
	} {
		f.Add("/rotate", s)
		f.Add("/audit-secret", s)
	}
	f.Fuzz(func(t *testing.T, command, text string) {
		r, err := parser().Parse(command, text)
		if err != nil {
			var usage *UsageError
			if !errors.As(err, &usage) || usage.Problem == "" {
				t.Fatalf("not a usage error: %v", err)
			}
			return
		}
		switch {
		case (r.Verb == Rotate || r.Verb == Audit) && r.Secret == "":
			t.Fatal("no secret")
		case r.Verb == Rotate && r.Mode != Routine && r.Mode != Compromised:
			t.Fatal("no mode")
		case r.Since < 0 || r.Since > LongestSince:
			t.Fatalf("since %v", r.Since)
		}
		for _, s := range []string{r.Secret, r.Environment, r.Reason, r.Run} {
			if strings.ContainsAny(s, "\n\r\x00") || utf8.ValidString(text) && !utf8.ValidString(s) {
				t.Fatalf("unclean: %q", s)
			}
		}
	})
}
