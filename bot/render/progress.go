package render

import (
	"fmt"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
)

// StepLine is one settled step as a terminal shows it while a run goes on.
func StepLine(st ledger.Step) string {
	sign, word := stepWords(st.State)
	line := "  " + pad(sign+" "+word) + " " + clean(st.Title)
	if t := stepTime(st, st.Ended); t != "" {
		line += " (" + t + ")"
	}
	if st.State == ledger.StepFailed && clean(st.Note) != "" {
		line += ": " + clean(st.Note)
	}
	return line
}

// HeldLine is what a terminal is told when a run stands and asks; "" when it does not.
func HeldLine(s Scene) string {
	st, ok := waitsAt(s)
	if _, held := commands.Held(s.Run); !held || !ok {
		return ""
	}
	return runMark(ledger.Waiting) + " " + clean(s.Run.Secret) + ": " + clean(st.Note)
}

// EndText is how a run ended, without the steps a terminal has shown already.
func EndText(s Scene) string {
	if s.Run.Kind == ledger.KindBatch {
		return clean(batchTitle(s)) + "\n" + batchEnd(s)
	}
	var b strings.Builder
	fmt.Fprintln(&b, clean(titleOf(s)))
	if clean(s.Run.Problem) != "" {
		fmt.Fprintf(&b, "What went wrong: %s\n", clean(s.Run.Problem))
	}
	if todo := toDo(s); todo != "" {
		fmt.Fprintf(&b, "What is left to do: %s\n", unmark(todo))
	}
	if s.Report != nil {
		fmt.Fprintf(&b, "\n%s", ReportText(*s.Report))
	}
	return b.String()
}

// RunLines is a list of runs for a terminal of 80 columns: two lines each.
func RunLines(runs []ledger.Run, now time.Time) string {
	if len(runs) == 0 {
		return "No run yet.\n"
	}
	var b strings.Builder
	for _, r := range runs {
		fmt.Fprintf(&b, "%s\n", clean(title(r)))
		fmt.Fprintf(&b, "   %s, by %s at %s, %s\n", clean(r.ID), clean(who(r.Actor)), clock(r.CreatedAt), runTime(r, now))
	}
	return b.String()
}

// SecretLines is the catalogue for a terminal of 80 columns: two lines each.
func SecretLines(rows []commands.SecretRow, now time.Time) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s in %s: %s\n", clean(r.Name), clean(r.Environment), clean(r.Purpose))
		facts := []string{"rotated " + day(r.LastRotated, "at an unknown time"), "due " + due(r.NextDue, now)}
		if r.Risk != "" {
			facts = append(facts, clean(r.Risk)+" risk")
		}
		if r.Owner != "" {
			facts = append(facts, "owner "+clean(r.Owner))
		}
		switch {
		case r.Active != "":
			facts = append(facts, "being rotated: "+clean(r.Active))
		case r.Procedure != "":
			facts = append(facts, clean(r.Procedure))
		}
		fmt.Fprintf(&b, "   %s\n", strings.Join(facts, ", "))
	}
	return b.String()
}
