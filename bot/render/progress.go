package render

import (
	"fmt"
	"strings"

	"rekey/audit/ledger"
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

// EndText is how a run ended, without the steps a terminal has shown already.
func EndText(s Scene) string {
	var b strings.Builder
	fmt.Fprintln(&b, clean(title(s.Run)))
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
