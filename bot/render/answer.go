package render

import (
	"time"

	"github.com/slack-go/slack"

	"rekey/commands"
)

// Answer is what the person who typed a command is told at once. It stays well
// below the 20 KB an acknowledgement may carry: JSON makes nine bytes of "&lt;", which
// counts for four here.
func Answer(a commands.Answer, now time.Time) Message {
	p := page{most: 8200}
	switch {
	case len(a.Plan) > 0:
		p.lines("*"+text(a.Text, 300)+"*", planLines(a.Plan), 8000)
	case a.Outcome == commands.Asking && a.Confirm != nil:
		question(&p, *a.Confirm)
	case a.Verb == commands.Schedule && len(a.Secrets) > 0:
		var ms []mark
		for _, row := range a.Secrets {
			ms = append(ms, secretLine(row, now))
		}
		p.lines("*What falls due when*", ms, 6500)
	case a.Digest != nil:
		digest(&p, *a.Digest, 6500)
		if a.Digest.Silent() {
			p.context(toldOnMondays)
		}
	case a.Verb == commands.List && len(a.Secrets) > 0:
		var ms []mark
		for _, row := range a.Secrets {
			ms = append(ms, secretLine(row, now))
		}
		p.lines("*Secrets rekey looks after*", ms, 6500)
	case a.Verb == commands.Status && len(a.Runs) > 0:
		status(&p, a, now)
	default:
		p.section(prose(a.Text, maxSection))
	}
	if a.Outcome == commands.Taken && a.Run != "" {
		p.context("The incident channel follows it. Progress: `/rotate status " + text(a.Run, 80) + "`")
	}
	m := p.message(a.Text)
	if m.Text == "" {
		m.Text = "rekey has nothing to say to that."
	}
	if len(m.Blocks) == 0 {
		m.Blocks = []slack.Block{slack.NewSectionBlock(mrkdwn(text(m.Text, maxSection)), nil, nil)}
	}
	return m
}

func secretLine(r commands.SecretRow, now time.Time) mark {
	m := "• *" + text(r.Name, 80) + "* in " + text(r.Environment, 40)
	if r.Purpose != "" {
		m += ": " + text(r.Purpose, 120)
	}
	m += "\n   rotated " + mark(day(r.LastRotated, "at an unknown time")) + ", next " + mark(due(r.NextDue, now))
	if r.Owner != "" {
		m += ", owner " + text(r.Owner, 60)
	}
	if r.Risk != "" {
		m += ", risk " + text(r.Risk, 20)
	}
	if r.Procedure == "manual" {
		m += ", rotated by hand"
	}
	if r.Active != "" {
		m += ", *run " + code(r.Active, 80) + " under way*"
	}
	return m
}

// due says when a rotation falls due, and whether that has passed.
func due(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "as needed"
	case t.Before(now):
		return day(t, "") + " (overdue)"
	}
	return day(t, "")
}

func status(p *page, a commands.Answer, now time.Time) {
	budget := 6500 / max(len(a.Runs), 1)
	for i, r := range a.Runs {
		if i == 12 {
			p.context(mark("… and " + count(len(a.Runs)-i, "more run", "more runs")))
			return
		}
		s := Scene{Run: r, Steps: a.Steps[r.ID], Now: now}
		head := "*" + text(titleOf(s), 300) + "*\n" + text("asked by "+who(r.Actor)+" at "+clock(r.CreatedAt)+", "+runTime(r, now), 200) +
			", run " + code(r.ID, 80)
		if clean(r.Problem) != "" {
			head += "\n" + text(r.Problem, 400)
		}
		p.section(head)
		if len(a.Runs) == 1 || !r.State.Final() {
			p.lines("", stepLines(s, len(a.Runs) == 1), max(budget-600, 300))
		}
	}
}
