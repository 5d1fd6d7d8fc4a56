package render

import (
	"fmt"

	"github.com/slack-go/slack"

	"rekey/audit/ledger"
	"rekey/commands"
)

// choice is what a run asks that stands before the end of a value which callers of ours
// still use: what ending it costs, until when somebody can choose, and a button for each
// choice. The buttons are gone once somebody has chosen.
func choice(p *page, s Scene) {
	d, ok := commands.Held(s.Run)
	if !ok {
		return
	}
	says := text(d.Cost(), 900)
	if s.Run.Batch != "" {
		says = text(s.Run.Secret, 80) + ": " + says
	}
	says = "*" + says + "*\nFrom then on all of them are refused. Until then, whoever stole it can use it."
	if s.Run.Asked != "" {
		p.section(says + "\nSomebody has just chosen.")
		return
	}
	p.section(says)
	buttons := []slack.BlockElement{button(ActionKill, "End it now", encode(commands.Request{Verb: commands.Kill, Run: s.Run.ID}), slack.StyleDanger)}
	or := "Or type `/rotate kill " + text(s.Run.ID, 80) + "`"
	if d.Times < commands.MaxHolds {
		label := fmt.Sprintf("%d more minutes (%d of %d)", int(commands.HoldFor.Minutes()), d.Times+1, commands.MaxHolds)
		buttons = append(buttons, button(ActionHold, label, encode(commands.Request{Verb: commands.Hold, Run: s.Run.ID}), slack.StyleDefault))
		or += " or `/rotate hold " + text(s.Run.ID, 80) + "`"
	}
	p.actions(buttons...)
	p.context(or + ".")
}

// choices are the questions of the members of a batch.
func choices(p *page, s Scene) {
	for _, m := range s.Members {
		choice(p, m)
	}
}

// heldWords says in a few words that a run stands; ok is false when it does not.
func heldWords(r ledger.Run) (words string, ok bool) {
	d, ok := commands.Held(r)
	return "old value still in use, ends at " + d.Until.UTC().Format("15:04:05 UTC"), ok
}
