package render

import (
	"fmt"
	"strings"
	"time"

	"rekey/audit"
	"rekey/commands"
)

// Digest is the daily message about due secrets: overdue ones first, with what to type,
// then those that fall due soon, then the runs that wait for a person. Where there is
// nothing of all that it is one line.
func Digest(d commands.DailyDigest) Message {
	var p page
	digest(&p, d, maxPage-1500)
	return p.message(digestTitle(d))
}

func digest(p *page, d commands.DailyDigest, budget int) {
	if d.Empty() {
		p.section(inOrder(d))
		return
	}
	p.header("📅 " + digestTitle(d))
	for _, part := range digestParts(d) {
		p.lines("*"+part.title+"*", part.lines, budget*part.share/100)
	}
	p.lines("", blackoutLines(d), budget/10)
	p.context(digestFooter(d))
}

// digestTitle counts, and leaves out what there is none of.
func digestTitle(d commands.DailyDigest) string {
	if d.Empty() {
		return "All in order: nothing is overdue, due soon or waiting for a person."
	}
	var parts []string
	if n := len(d.Overdue); n > 0 {
		parts = append(parts, audit.Number(n)+" overdue")
	}
	if n := len(d.Due); n > 0 {
		parts = append(parts, audit.Number(n)+" due soon")
	}
	if n := len(d.Waiting); n > 0 {
		parts = append(parts, count(n, "run waits for a person", "runs wait for a person"))
	}
	return "Secrets: " + strings.Join(parts, ", ")
}

// inOrder is all there is to say where nothing is due. It names what comes next, to show
// that somebody looked.
func inOrder(d commands.DailyDigest) mark {
	m := "🟢 " + mark(digestTitle(d))
	if d.Next != nil {
		m += " Next is *" + text(d.Next.Secret, 80) + "* in " + text(d.Next.Environment, 40) + ", on " + mark(day(d.Next.NextDue, "")) + "."
	}
	return join(append([]mark{m}, blackoutLines(d)...), " ")
}

const toldOnMondays = "The channel is told so on Mondays only."

type digestPart struct {
	title mark
	share int // of the budget, in percent
	lines []mark
}

func digestParts(d commands.DailyDigest) []digestPart {
	overdue, due, waiting := digestPart{"Overdue", 40, nil}, digestPart{"Due within 14 days", 25, nil}, digestPart{"Waiting for a person", 25, nil}
	for _, r := range d.Overdue {
		overdue.lines = append(overdue.lines, dueLine(r, overdueWords(r, d.At), d.At))
	}
	for _, r := range d.Due {
		when := "due in " + count(r.Days, "day", "days")
		if r.Days == 0 {
			when = "due today"
		}
		due.lines = append(due.lines, dueLine(r, when+" ("+day(r.NextDue, "")+")", d.At))
	}
	for _, r := range d.Waiting {
		waiting.lines = append(waiting.lines, "• *"+text(r.Secret, 80)+"* in "+text(r.Environment, 40)+", run "+code(r.Run, 60)+
			", asked by "+text(who(r.By), 60)+" on "+mark(day(r.Asked, "an unknown day"))+"\n   "+text(r.Says, 400))
	}
	return []digestPart{overdue, due, waiting}
}

func overdueWords(r commands.DigestRow, now time.Time) string {
	s := count(r.Days, "day", "days") + " overdue (" + day(r.NextDue, "") + ")"
	if r.Days == 0 {
		s = "overdue since " + day(r.NextDue, "")
	}
	if !r.LastRotated.IsZero() {
		s += ", last rotated " + count(int(now.Sub(r.LastRotated)/(24*time.Hour)), "day", "days") + " ago"
	}
	return s
}

// dueLine says what is with a secret, and below that what to do.
func dueLine(r commands.DigestRow, when string, now time.Time) mark {
	m := "• *" + text(r.Secret, 80) + "* in " + text(r.Environment, 40) + ": " + text(when, 120)
	if clean(r.Owner) != "" {
		m += ", owner " + text(r.Owner, 60)
	}
	m += "\n   "
	switch {
	case r.Run != "":
		return m + "run " + code(r.Run, 60) + " is under way"
	case r.ByHand:
		return m + "rotated by hand; then write the day below `last_rotated` in rekey.yaml"
	case r.First != "":
		return m + "in " + text(r.First, 40) + " first: " + code(r.Command, 150)
	case !r.From.IsZero():
		return m + text(opening(r, now), 100) + "; sooner: " + code(r.Command, 150)
	}
	return m + code(r.Command, 150)
}

// opening says in which window rekey starts a rotation by itself, by the clocks of the
// schedule's zone.
func opening(r commands.DigestRow, now time.Time) string {
	from, until := "from "+r.From.Format("Mon 2 Jan 15:04"), ""
	if !r.From.After(now) {
		from = "now"
	}
	if !r.To.IsZero() {
		form := "15:04"
		if r.To.Sub(r.From) >= 24*time.Hour {
			form = "Mon 2 Jan 15:04"
		}
		until = " until " + r.To.Format(form)
	}
	return "starts by itself " + from + until
}

func blackoutLines(d commands.DailyDigest) []mark {
	var ms []mark
	for _, b := range d.Blackouts {
		when := "from " + b.From + " to " + b.To
		switch {
		case b.From == b.To && b.Now:
			when = "today"
		case b.From == b.To:
			when = "on " + b.From
		case b.Now:
			when = "until " + b.To
		}
		m := "⛔ Blackout " + text(when, 60)
		if clean(b.Why) != "" {
			m += " (" + text(b.Why, 120) + ")"
		}
		ms = append(ms, m+": nothing starts by itself.")
	}
	return ms
}

func digestFooter(d commands.DailyDigest) mark {
	m := "As of " + mark(d.At.Format("2006-01-02 15:04")) + " " + text(d.Zone, 40) + "."
	if d.Automatic() > 1 {
		m += " What starts by itself starts one at a time in an environment, the longest overdue first; the others in the windows after."
	}
	return m + " All of it: `/rotate schedule`"
}

// DigestText is the same for a terminal.
func DigestText(d commands.DailyDigest) string {
	var b strings.Builder
	if d.Empty() {
		fmt.Fprintln(&b, strings.NewReplacer("🟢 ", "", "⛔ ", "").Replace(unmark(inOrder(d))))
		if d.Silent() {
			fmt.Fprintln(&b, toldOnMondays)
		}
		return b.String()
	}
	fmt.Fprintln(&b, digestTitle(d))
	for _, part := range digestParts(d) {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", part.title)
		for _, m := range part.lines {
			for line := range strings.Lines(unmark(m)) {
				fmt.Fprintf(&b, "  %s\n", strings.TrimPrefix(strings.TrimRight(line, "\n"), "• "))
			}
		}
	}
	fmt.Fprintln(&b)
	for _, m := range blackoutLines(d) {
		fmt.Fprintln(&b, strings.TrimPrefix(unmark(m), "⛔ "))
	}
	fmt.Fprintln(&b, unmark(digestFooter(d)))
	return b.String()
}
