package render

import (
	"fmt"
	"strings"

	"rekey/audit"
)

// ReportMarkdown is an audit's report as a document to keep and to attach.
func ReportMarkdown(r audit.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Evidence: %s in %s\n\n", mdText(r.Secret), mdText(r.Environment))
	fmt.Fprintf(&b, "**Verdict:** %s\n\n", mdText(verdictSentence(r.Verdict)))
	if c := confidence(r.Verdict); c != "" {
		fmt.Fprintf(&b, "%s\n\n", mdText(c))
	}
	fmt.Fprintf(&b, "- Looked at: %s\n", window(r.Window))
	if !r.Before.Since.IsZero() {
		fmt.Fprintf(&b, "- Compared with: %s\n", window(r.Before))
	}
	for _, k := range kinds {
		fmt.Fprintf(&b, "- %s%s\n", kindWords(k, r.Totals[k]), notFromUs(r, k))
	}
	for _, m := range r.Timeline.Marks {
		fmt.Fprintf(&b, "- %s: %s\n", clock(m.At), mdText(m.What))
	}
	mdList(&b, "Reasons", r.Verdict.Reasons)
	mdList(&b, "Missing to be sure", r.Verdict.Missing)
	mdVisitors(&b, r.Visitors)
	mdList(&b, "The value itself stands in the logs", exposures(r.Exposed))
	mdFindings(&b, "Accepted requests from addresses that are not ours", r.Findings, audit.Used)
	mdFindings(&b, "Refused signatures, not from us", r.Findings, audit.InvalidSignature)
	mdFindings(&b, "401 and 403 answers, not to us", r.Findings, audit.Denied)
	mdTallies(&b, "Addresses", "Whose", []string{"ours", "not ours"}, r.Addresses)
	mdTallies(&b, "Paths", "Asked for by", []string{"us alone", "others"}, r.Paths)
	mdIssues(&b, r.Issues)
	var unread []string
	for _, g := range r.Gaps {
		unread = append(unread, g.Source+": "+g.Why)
	}
	mdList(&b, "Could not be read", unread)
	mdList(&b, "Read", r.Read)
	return b.String()
}

// notFromUs says how many findings of a kind are somebody else's, where that is not all
// of them by definition.
func notFromUs(r audit.Report, k audit.Kind) string {
	if k == audit.Used || r.Totals[k] == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s not from us)", audit.Number(r.Strangers[k]))
}

func mdList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "- %s\n", mdText(l))
	}
}

// mdTable writes a table; cells are Markdown already.
func mdTable(b *strings.Builder, title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
}

func mdVisitors(b *strings.Builder, vs []audit.Visitor) {
	var rows [][]string
	for _, v := range vs {
		agents := make([]string, len(v.Agents))
		for i, a := range v.Agents {
			agents[i] = mdCode(a)
		}
		unusual := strings.Join(v.Unusual, "; ")
		if broke := brokeIn(v); broke != "" {
			unusual = strings.TrimSuffix(broke+"; "+unusual, "; ")
		}
		rows = append(rows, []string{
			mdCode(v.Addr), strings.Trim(whose(v), "()"), audit.Number(v.Accepted), audit.Number(v.Refused),
			span(v.First, v.Last), strings.Join(agents, " "), mdText(unusual),
		})
	}
	mdTable(b, "Who asked for what it guards", []string{"Address", "Whose", "Let in", "Refused", "When", "Says it is", "Unusual"}, rows)
}

func mdFindings(b *strings.Builder, title string, fs []audit.Finding, k audit.Kind) {
	var rows [][]string
	for _, f := range newest(fs, k, maxFindings) {
		status, agent := "", ""
		if f.Status != 0 {
			status = fmt.Sprint(f.Status)
		}
		if f.Agent != "" {
			agent = mdCode(f.Agent)
		}
		rows = append(rows, []string{
			clock(f.At), mdCode(address(f)), mdCode(strings.TrimSpace(f.Method + " " + f.Path)), status, agent, mdText(strings.Join(f.Sources, ", ")),
		})
	}
	mdTable(b, title, []string{"When", "From", "Request", "Status", "Says it is", "Where"}, rows)
}

// mdTallies writes tallies; whose names the column that is words[0] for what is ours.
func mdTallies(b *strings.Builder, title, whose string, words []string, ts []audit.Tally) {
	var rows [][]string
	for _, t := range ts {
		word := words[1]
		if t.Ours {
			word = words[0]
		}
		rows = append(rows, []string{mdCode(t.Name), audit.Number(t.Count), word, span(t.First, t.Last)})
	}
	mdTable(b, title, []string{"Name", "Count", whose, "When"}, rows)
}

func mdIssues(b *strings.Builder, is []audit.Issue) {
	var rows [][]string
	for _, i := range is {
		rows = append(rows, []string{mdCode(i.ShortID), mdCode(i.Title), audit.Number(i.Count), audit.Number(i.Users), span(i.First, i.Last)})
	}
	mdTable(b, "Sentry", []string{"Issue", "Title", "Count", "Users", "When"}, rows)
}
