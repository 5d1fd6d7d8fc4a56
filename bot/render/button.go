package render

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"rekey/audit/ledger"
	"rekey/commands"
)

// The buttons, by the action_id that comes back with a click.
const (
	ActionConfirm  = "rekey-confirm"
	ActionCancel   = "rekey-cancel"
	ActionRollback = "rekey-rollback"
	ActionKill     = "rekey-kill"
	ActionHold     = "rekey-hold"
)

// ask is what a button carries: names and words of a request, and never a value. Who
// may do it is decided again at the click, for the person who clicks.
type ask struct {
	Verb        commands.Verb `json:"verb"`
	Secret      string        `json:"secret,omitempty"`
	Environment string        `json:"environment,omitempty"`
	Mode        commands.Mode `json:"mode,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	Run         string        `json:"run,omitempty"`
	Confirmed   bool          `json:"confirmed,omitempty"`
	Since       time.Duration `json:"since,omitempty"`
}

// budgetActions is what a row of buttons counts for in a message.
const budgetActions = 600

// maxValue is how long a button's value may be (docs.slack.dev, "Button element").
const maxValue = 2000

func encode(r commands.Request) string {
	a := ask{
		Verb: r.Verb, Secret: r.Secret, Environment: r.Environment, Mode: r.Mode,
		Reason: cut(clean(r.Reason), 300), Run: r.Run, Confirmed: r.Confirmed, Since: r.Since,
	}
	b, err := json.Marshal(a)
	if err != nil || len(b) > maxValue {
		return ""
	}
	return string(b)
}

var errButton = errors.New("the button says nothing rekey knows")

// DecodeButton answers the request that a button carries. ID, At and Actor are left
// for the caller.
func DecodeButton(value string) (commands.Request, error) {
	var a ask
	if err := json.Unmarshal([]byte(value), &a); err != nil {
		return commands.Request{}, errButton
	}
	switch a.Verb {
	case commands.Rotate, commands.Rollback, commands.Kill, commands.Hold:
	default:
		return commands.Request{}, errButton
	}
	return commands.Request{
		Verb: a.Verb, Secret: a.Secret, Environment: a.Environment, Mode: a.Mode,
		Reason: a.Reason, Run: a.Run, Confirmed: a.Confirmed, Since: a.Since,
	}, nil
}

func button(action, label, value string, style slack.Style) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(action, value, slack.NewTextBlockObject(slack.PlainTextType, cut(clean(label), 70), false, false))
	b.Style = style
	return b
}

func (p *page) actions(buttons ...slack.BlockElement) {
	if p.room(budgetActions) {
		p.used += budgetActions
		p.blocks = append(p.blocks, slack.NewActionBlock("", buttons...))
	}
}

// question asks for the second click.
func question(p *page, c commands.Confirm) {
	p.section("*" + text(c.Cost, 600) + "*\nNothing was started yet.")
	value := encode(c.Request)
	if value == "" {
		return
	}
	p.actions(
		button(ActionConfirm, c.Yes, value, slack.StyleDanger),
		button(ActionCancel, "Leave it as it is", "cancel", slack.StyleDefault),
	)
	p.context("Or type `/rotate " + text(c.Request.Secret, 80) + " " + text(string(c.Request.Mode), 20) + " confirmed`.")
}

// rollBack offers the way back for as long as there may be one.
func rollBack(p *page, s Scene) {
	r := s.Run
	if r.Kind == ledger.KindAudit || r.Kind == ledger.KindWatch || r.State != ledger.Waiting && r.State != ledger.Running || r.Asked != "" {
		return
	}
	b := button(ActionRollback, "Roll back", encode(commands.Request{Verb: commands.Rollback, Run: r.ID}), slack.StyleDefault)
	plain := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
	}
	b.Confirm = slack.NewConfirmationBlockObject(
		plain("Go back to the old value?"),
		plain(cut(backAgain(s), 290)),
		plain("Roll back"), plain("Leave it"))
	p.actions(b)
}

func backAgain(s Scene) string {
	if s.Run.Kind == ledger.KindBatch {
		return "Every secret of it that still can goes back: services work with the old values again, and the new ones die."
	}
	return "Every service works with the old value of " + clean(s.Run.Secret) + " again, and the new one dies."
}

// planLines is a dry run, a step a paragraph.
func planLines(rows []commands.PlanRow) []mark {
	var ms []mark
	for _, r := range rows {
		m := "• *" + text(r.Title, 200) + "*"
		if r.Secret != "" {
			m = "• " + text(r.Secret, 80) + ": *" + text(r.Title, 200) + "*"
		}
		for _, w := range r.Would {
			m += "\n      " + text(w, 300)
		}
		ms = append(ms, m)
	}
	return ms
}
