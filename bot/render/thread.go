package render

import (
	"fmt"
	"regexp"

	"rekey/audit/ledger"
)

// StepDetail is what a reply in the board's thread says of one step. ok is false
// where the run has no such step.
func StepDetail(s Scene, key string) (m Message, ok bool) {
	for _, st := range s.Steps {
		if st.Key == key {
			return stepDetail(s, st), true
		}
	}
	return Message{}, false
}

func stepDetail(s Scene, st ledger.Step) Message {
	sign, word := stepWords(st.State)
	var p page
	head := mark("")
	if s.Run.Batch != "" {
		head = text(s.Run.Secret, 80) + ": "
	}
	p.section("*" + head + text(st.Title, 300) + "*: " + mark(sign+" "+word))
	if clean(st.Note) != "" {
		p.section(text(st.Note, 2500))
	}
	facts := "Step " + code(st.Key, 120)
	if st.Consumer != "" {
		facts += " · service " + code(st.Consumer, 80)
	}
	if sp := span(st.Started, st.Ended); !st.Started.IsZero() && !st.Ended.IsZero() {
		facts += " · " + text(sp, 80)
	}
	if st.Attempt > 1 {
		facts += mark(fmt.Sprintf(" · attempt %d", st.Attempt))
	}
	p.context(facts)
	return p.message(s.Run.Secret + ": " + st.Title + ": " + word + ". " + st.Note)
}

// Steps is the reply in the board's thread that says what every step saw: what the
// proof rests on.
func Steps(s Scene) Message {
	var p page
	var ms []mark
	for _, st := range s.Steps {
		sign, word := stepWords(st.State)
		m := "• *" + text(st.Title, 200) + "*: " + mark(sign+" "+word)
		if clean(st.Note) != "" {
			m += ". " + text(st.Note, 600)
		}
		ms = append(ms, m)
	}
	head := mark("*What each step saw*")
	if s.Run.Batch != "" { // other secrets are told of in the same thread
		head = "*" + text(s.Run.Secret, 80) + ": what each step saw*"
	}
	p.lines(head, ms, 9000)
	return p.message(s.Run.Secret + ": what each step saw")
}

// Reply tells the person who asked how it ended, where they asked. It is the one
// message that mentions somebody: they are waiting for it.
func Reply(s Scene) Message {
	if s.Run.Kind == ledger.KindBatch {
		return batchReply(s)
	}
	var p page
	p.section(mention(s.Run.Actor) + "*" + text(title(s.Run), 300) + "*")
	if clean(s.Run.Problem) != "" {
		p.section("*What went wrong:* " + text(s.Run.Problem, 800))
	}
	if s.Report != nil {
		verdict(&p, *s.Report)
		p.section(totals(*s.Report))
		p.lines("*Addresses, most first*", tallies(s.Report.Addresses), 800)
		p.lines("*Could not be read*", gaps(s.Report.Gaps), 800)
	}
	if todo := toDo(s); todo != "" {
		p.section("*What is left to do:* " + todo)
	}
	p.context(footer(s))
	return p.message(Headline(s))
}

var slackActor = regexp.MustCompile(`^slack:([UW][A-Z0-9]{2,20})( |$)`)

// mention calls the Slack user behind an actor; "" for anybody else.
func mention(actor string) mark {
	if m := slackActor.FindStringSubmatch(actor); m != nil {
		return mark("<@" + m[1] + "> ")
	}
	return ""
}
