package render

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"rekey/commands"
)

// ScheduleTable is the rotation schedule for a terminal.
func ScheduleTable(rows []commands.SecretRow, now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SECRET\tIN\tLAST ROTATED\tNEXT\tOWNER")
	for _, r := range rows {
		next := due(r.NextDue, now)
		if r.Active != "" {
			next = "under way"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cut(clean(r.Name), 28), cut(clean(r.Environment), 16),
			day(r.LastRotated, "unknown"), next, cut(clean(r.Owner), 16))
	}
	_ = w.Flush() // into a builder
	return b.String()
}
