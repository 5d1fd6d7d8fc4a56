package render

import (
	"fmt"
	"strings"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
)

// RunText is a run for a terminal. Every foreign character that could steer the
// terminal is gone.
func RunText(s Scene) string {
	if s.Run.Kind == ledger.KindBatch {
		return batchText(s)
	}
	var b strings.Builder
	r := s.Run
	fmt.Fprintln(&b, clean(title(r)))
	fmt.Fprintf(&b, "  asked by  %s at %s\n", clean(r.Actor), clock(r.CreatedAt))
	if r.Mode != "" {
		fmt.Fprintf(&b, "  mode      %s\n", clean(modeWords(r.Mode)))
	}
	if clean(r.Reason) != "" {
		fmt.Fprintf(&b, "  why       %s\n", clean(r.Reason))
	}
	fmt.Fprintf(&b, "  run       %s (%s)\n", clean(r.ID), runTime(r, s.Now))
	if len(s.Steps) > 0 {
		fmt.Fprintln(&b)
	}
	for _, st := range s.Steps {
		sign, word := stepWords(st.State)
		fmt.Fprintf(&b, "  %s %s", pad(sign+" "+word), clean(st.Title))
		if t := stepTime(st, s.Now); t != "" {
			fmt.Fprintf(&b, " (%s)", t)
		}
		if clean(st.Note) != "" {
			fmt.Fprintf(&b, ": %s", clean(st.Note))
		}
		fmt.Fprintln(&b)
	}
	if clean(r.Problem) != "" {
		fmt.Fprintf(&b, "\nWhat went wrong: %s\n", clean(r.Problem))
	}
	if s.Report != nil {
		fmt.Fprintf(&b, "\n%s", ReportText(*s.Report))
	}
	if todo := toDo(s); todo != "" {
		fmt.Fprintf(&b, "\nWhat is left to do: %s\n", unmark(todo))
	}
	if s.Anchor.Seq > 0 {
		fmt.Fprintf(&b, "\nSecurity log: entry %d, hash %s\n", s.Anchor.Seq, s.Anchor.Hash)
	}
	return b.String()
}

// PlanText is a dry run for a terminal.
func PlanText(a commands.Answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, clean(a.Text))
	for i, r := range a.Plan {
		if r.Secret != "" && (i == 0 || a.Plan[i-1].Secret != r.Secret) {
			fmt.Fprintf(&b, "%s\n", clean(r.Secret))
		}
		fmt.Fprintf(&b, "%3d. %s\n", i+1, clean(r.Title))
		for _, w := range r.Would {
			fmt.Fprintf(&b, "       %s\n", clean(w))
		}
	}
	return b.String()
}

// ReportText is an audit's report for a terminal.
func ReportText(r audit.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Verdict: %s\n", verdictSentence(r.Verdict))
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s\n", title)
		for _, l := range lines {
			fmt.Fprintf(&b, "  - %s\n", clean(l))
		}
	}
	if c := confidence(r.Verdict); c != "" {
		fmt.Fprintf(&b, "%s\n", clean(c))
	}
	list("Reasons", r.Verdict.Reasons)
	list("Missing to be sure", r.Verdict.Missing)
	fmt.Fprintf(&b, "Looked at %s: ", window(r.Window))
	var parts []string
	for _, k := range kinds {
		parts = append(parts, kindWords(k, r.Totals[k])+notFromUs(r, k))
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(parts, ", "))
	list("Who asked for what it guards, what matters most first", visitorText(r.Visitors))
	list("The value itself stands in the logs", exposures(r.Exposed))
	var used []string
	for _, f := range newest(r.Findings, audit.Used, maxFindings) {
		used = append(used, fmt.Sprintf("%s %s %s from %s", clock(f.At), f.Method, f.Path, address(f)))
	}
	list("Accepted requests from addresses that are not ours, newest last", used)
	list("Addresses", tallyText(r.Addresses))
	list("Paths", tallyText(r.Paths))
	var is []string
	for _, i := range r.Issues {
		is = append(is, fmt.Sprintf("%s %s: %s times, %s", i.ShortID, i.Title, audit.Number(i.Count), span(i.First, i.Last)))
	}
	list("Sentry", is)
	var gs []string
	for _, g := range r.Gaps {
		gs = append(gs, g.Source+": "+g.Why)
	}
	list("Could not be read", gs)
	list("Read", r.Read)
	return b.String()
}

func tallyText(ts []audit.Tally) []string {
	var out []string
	for _, t := range ts {
		ours := ""
		if t.Ours {
			ours = " (ours)"
		}
		out = append(out, fmt.Sprintf("%s %s times, %s%s", t.Name, audit.Number(t.Count), span(t.First, t.Last), ours))
	}
	return out
}

// unmark takes mrkdwn of our own back to plain words.
func unmark(m mark) string {
	return strings.NewReplacer("*", "", "`", "", "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(string(m))
}
