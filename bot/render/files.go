package render

import (
	"strings"

	"rekey/audit"
)

// FilesComment introduces the files of a report in the thread: mrkdwn.
func FilesComment(r audit.Report) string {
	return string("*" + text(r.Secret, 80) + " in " + text(r.Environment, 40) + "*: the evidence as a chart, to read (Markdown), for machines (JSON) and as a table (CSV)")
}

// FileName is what files about a report are called, without an ending.
func FileName(r audit.Report) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, cut(clean(r.Secret), 60)+"-"+cut(clean(r.Environment), 24))
	if !r.Window.Until.IsZero() {
		name += "-" + r.Window.Until.UTC().Format("20060102T150405Z")
	}
	return strings.TrimLeft(name, ".-")
}

// WithoutFiles is said below the board where Slack takes no files from us; why is the class
// of its refusal.
func WithoutFiles(s Scene, why string) Message {
	var p page
	m := "*" + text(s.Run.Secret, 80) + "*: the chart and the files of the evidence could not be attached"
	if why == "missing_scope" {
		m += ": the Slack app lacks the scope `files:write`. Add it under OAuth &amp; Permissions (deploy/slack-manifest.yaml has it) and install the app again."
	} else {
		m += ": Slack says " + code(why, 80) + "."
	}
	name := text(s.Run.Secret, 80)
	m += " Until then `rekey audit-secret " + name + " --bundle FILE` writes them on rekey's host."
	p.section(m)
	return p.message("The evidence for " + s.Run.Secret + " could not be attached as files: " + why)
}
