package render

import (
	"fmt"
	"slices"
	"strings"

	"rekey/audit"
)

// kinds is the order kinds of finding are told in: worst first.
var kinds = []audit.Kind{audit.Used, audit.InvalidSignature, audit.Denied}

// Evidence is the report of an audit: a reply in the board's thread.
func Evidence(r audit.Report) Message {
	var p page
	p.section("*Evidence: " + text(r.Secret, 80) + " in " + text(r.Environment, 40) + "*\n" + text(window(r.Window), 80))
	verdict(&p, r)
	p.section(text(confidence(r.Verdict), 600))
	p.section(totals(r))
	p.lines("*Who asked for what it guards, what matters most first*", visitorLines(r.Visitors), 1700)
	p.lines("*The value itself stands in the logs*", bullets(exposures(r.Exposed)), 500)
	p.lines("*Accepted requests that are not ours, newest first*", findings(r.Findings, audit.Used), 900)
	p.lines("*Refused signatures, newest first*", findings(r.Findings, audit.InvalidSignature), 700)
	p.lines("*Addresses, most first*", tallies(r.Addresses), 900)
	p.lines("*Paths, most first*", tallies(r.Paths), 900)
	p.lines("*Sentry*", issues(r.Issues), 900)
	p.lines("*Could not be read*", gaps(r.Gaps), 800)
	p.lines("*Read*", bullets(r.Read), 600)
	return p.message("Evidence for " + r.Secret + ": " + r.Verdict.Sentence)
}

func window(w audit.Window) string {
	if w.Until.IsZero() {
		return "since " + clock(w.Since)
	}
	return span(w.Since, w.Until)
}

func totals(r audit.Report) mark {
	var ms []mark
	for _, k := range kinds {
		n := r.Totals[k]
		m := mark("• " + kindWords(k, n))
		if k != audit.Used && n > 0 {
			m += mark(fmt.Sprintf(", %s of them not from us", audit.Number(r.Strangers[k])))
		}
		ms = append(ms, m)
	}
	return join(ms, "\n")
}

// maxFindings is how many single findings of a kind are listed at most; the rest is
// in the tallies.
const maxFindings = 100

// newest answers the last n findings of a kind by somebody else, oldest first.
func newest(fs []audit.Finding, k audit.Kind, n int) []audit.Finding {
	var out []audit.Finding
	for _, f := range fs {
		if f.Kind == k && !f.Ours {
			out = append(out, f)
		}
	}
	return out[max(0, len(out)-n):]
}

func findings(fs []audit.Finding, k audit.Kind) []mark {
	var ms []mark
	for _, f := range slices.Backward(newest(fs, k, maxFindings)) {
		m := "• " + text(clock(f.At), 40) + " " + code(address(f), 60)
		if f.Path != "" {
			m += " " + code(strings.TrimSpace(f.Method+" "+f.Path), 200)
		}
		if f.Status != 0 {
			m += mark(fmt.Sprintf(" %d", f.Status))
		}
		ms = append(ms, m)
	}
	return ms
}

func address(f audit.Finding) string {
	if !f.Addr.IsValid() {
		return "unknown address"
	}
	return f.Addr.String()
}

func tallies(ts []audit.Tally) []mark {
	var ms []mark
	for _, t := range ts {
		m := "• " + code(t.Name, 200) + mark(" "+audit.Number(t.Count)+" ×")
		if sp := span(t.First, t.Last); sp != "" {
			m += ", " + text(sp, 80)
		}
		if t.Ours {
			m += " (ours)"
		}
		ms = append(ms, m)
	}
	return ms
}

func issues(is []audit.Issue) []mark {
	var ms []mark
	for _, i := range is {
		m := "• " + code(i.ShortID, 60) + " " + code(i.Title, 240) + mark(" "+audit.Number(i.Count)+" ×")
		if sp := span(i.First, i.Last); sp != "" {
			m += ", " + text(sp, 80)
		}
		ms = append(ms, m)
	}
	return ms
}

func gaps(gs []audit.Gap) []mark {
	var ms []mark
	for _, g := range gs {
		ms = append(ms, "• "+code(g.Source, 120)+" "+text(g.Why, 300))
	}
	return ms
}
