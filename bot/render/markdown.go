package render

import (
	"fmt"
	"strings"
)

// Markdown is the incident as a document to keep: what the guide calls documenting
// the incident.
func Markdown(s Scene) string {
	var b strings.Builder
	r := s.Run
	fmt.Fprintf(&b, "# %s in %s: %s\n\n", mdText(r.Secret), mdText(r.Environment), mdText(runWords(r)))
	fmt.Fprintf(&b, "- Run: %s (incident %s)\n- Asked by: %s at %s\n", mdCode(r.ID), mdCode(r.Incident), mdText(r.Actor), clock(r.CreatedAt))
	if r.Mode != "" {
		fmt.Fprintf(&b, "- Mode: %s\n", mdText(modeWords(r.Mode)))
	}
	if clean(r.Reason) != "" {
		fmt.Fprintf(&b, "- Why: %s\n", mdCode(r.Reason))
	}
	fmt.Fprintf(&b, "- Took: %s\n", runTime(r, s.Now))
	if s.Anchor.Seq > 0 {
		fmt.Fprintf(&b, "- Security log: entry %d, hash `%s`\n", s.Anchor.Seq, s.Anchor.Hash)
	}
	if clean(r.Problem) != "" {
		fmt.Fprintf(&b, "\n**What went wrong:** %s\n", mdText(r.Problem))
	}
	if todo := toDo(s); todo != "" {
		fmt.Fprintf(&b, "\n**What is left to do:** %s\n", mdText(unmark(todo)))
	}
	if len(s.Steps) > 0 {
		b.WriteString("\n## Steps\n\n| Step | State | Started (UTC) | Took | Note |\n|---|---|---|---|---|\n")
		for _, st := range s.Steps {
			_, word := stepWords(st.State)
			started := ""
			if !st.Started.IsZero() {
				started = st.Started.UTC().Format("2006-01-02 15:04:05.000")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", mdText(st.Title), word, started, stepTime(st, s.Now), mdText(st.Note))
		}
	}
	if s.Report != nil {
		b.WriteString("\n## Evidence\n\n")
		for line := range strings.Lines(ReportText(*s.Report)) {
			b.WriteString("    " + line) // an indented block: nothing in it is markup
		}
	}
	return b.String()
}

// mdText escapes what Markdown gives a meaning, in a table cell too.
func mdText(s string) string {
	return mdEscaper.Replace(clean(s))
}

var mdEscaper = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "|", `\|`, "#", `\#`, "!", `\!`, "@", "&#64;", "&", "&amp;",
)

func mdCode(s string) string {
	return "`" + strings.ReplaceAll(strings.ReplaceAll(clean(s), "`", "ˋ"), "|", "¦") + "`"
}
