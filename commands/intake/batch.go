package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// muster is who takes part in a batch.
type muster struct {
	members []rotate.Subject   // in the order of their turns; Run is what would be inserted
	wishes  []ledger.Run       // routine runs under way that are to go on as compromised
	others  []commands.Other   // the rest of the group, and why
	env     secret.Environment // of all of them
}

// batch takes the rotation of several secrets by one command: one plan, one approval,
// one run that stands for all of them.
func (d *Desk) batch(ctx context.Context, req commands.Request, g secret.Group) (commands.Answer, error) {
	// A run under way may end, or begin, between looking and writing down.
	for range 5 {
		m, err := d.muster(ctx, req, g)
		if err != nil {
			return commands.Answer{}, err
		}
		if req.DryRun {
			return d.planBatch(ctx, req, g, m)
		}
		if answer, ok, err := d.beforeBatch(ctx, req, g, m); ok || err != nil {
			return answer, err
		}
		answer, err := d.startBatch(ctx, req, g, m)
		if !errors.Is(err, errMoved) && !errors.Is(err, ledger.ErrBusy) && !errors.Is(err, ledger.ErrEnded) {
			return answer, err
		}
	}
	return unusable(req, "Rotations of these secrets begin and end too fast to join them; type the command again."), nil
}

// beforeBatch answers a batch that may not start, or not yet; ok is false when it may.
func (d *Desk) beforeBatch(ctx context.Context, req commands.Request, g secret.Group, m muster) (answer commands.Answer, ok bool, err error) {
	if len(m.members)+len(m.wishes) == 0 {
		answer = unusable(req, "Nothing was started: "+list(m.others))
	}
	var early []string
	for _, s := range m.members {
		single := req
		single.Secret = s.Secret.Name
		refusal, err := d.staging(ctx, single)
		if err != nil {
			return answer, false, err
		}
		if refusal != "" {
			early = append(early, s.Secret.Name)
		}
	}
	if len(early) > 0 {
		first := m.env.After
		answer = unusable(req, fmt.Sprintf("Nothing was started: %s must be rotated in %s first. Type: /rotate %s %s in %s",
			and(early), first, g.Name, req.Mode, first))
	}
	if answer.Outcome == commands.Unusable {
		answer, err = d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, &ledger.Entry{
				At: d.cfg.Now(), Actor: req.Actor.String(), Action: "rotate.requested", Subject: m.env.Name + "/" + g.Name,
				Why: req.Reason, Result: "refused", Detail: map[string]string{"mode": string(req.Mode)},
			})
		})
		return answer, true, err
	}
	if req.Confirmed {
		return answer, false, nil
	}
	if ask := d.questionBatch(ctx, req, g, m); ask != nil {
		return commands.Answer{Outcome: commands.Asking, Verb: req.Verb, Text: ask.Cost + " Nothing was started yet.", Confirm: ask}, true, nil
	}
	return answer, false, nil
}

// muster looks who takes part.
func (d *Desk) muster(ctx context.Context, req commands.Request, g secret.Group) (muster, error) {
	env, _ := d.cfg.Catalogue.Environment(req.Environment)
	m := muster{env: env}
	active := map[string]ledger.Run{}
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		clear(active)
		runs, err := tx.Runs(ctx, ledger.RunFilter{Environment: env.Name, Kind: ledger.KindRotate, Active: true, Limit: 10_000})
		for _, r := range runs {
			active[r.Secret] = r
		}
		return err
	})
	if err != nil {
		return m, fmt.Errorf("looking for runs under way: %w; %w", err, ledger.ErrNotStarted)
	}
	for _, s := range d.cfg.Catalogue.Turns(g, env.Name, req.Mode == commands.Compromised) {
		single := req
		single.Secret, single.Environment = s.Name, env.Name
		run, busy := active[s.Name]
		switch {
		case s.Procedure == secret.Manual:
			m.others = append(m.others, commands.Other{Secret: s.Name, Says: byHand(s)})
			continue
		case busy && req.Mode == commands.Compromised && escalates(run):
			m.wishes = append(m.wishes, run)
			m.others = append(m.others, commands.Other{Secret: s.Name, Run: run.ID, Says: "is being rotated already: run " + run.ID + " goes on as a compromised one."})
			continue
		case busy:
			m.others = append(m.others, commands.Other{Secret: s.Name, Run: run.ID, Says: "is being rotated already, by run " + run.ID + "."})
			continue
		}
		subject, err := rotate.NewSubject(d.cfg.Catalogue, d.run(single), func(context.Context) error { return nil })
		if err != nil {
			m.others = append(m.others, commands.Other{Secret: s.Name, Says: "cannot be rotated: " + d.scrub(err.Error()) + "."})
			continue
		}
		m.members = append(m.members, subject)
	}
	return m, nil
}

func byHand(s secret.Secret) string {
	says := "is rotated by people."
	if s.Instructions != "" {
		says += " How: " + strings.TrimRight(s.Instructions, ".") + "."
	}
	if s.Owner != "" {
		says += " Its owner is " + s.Owner + "."
	}
	return says
}

// planBatch tells what a batch would touch.
func (d *Desk) planBatch(ctx context.Context, req commands.Request, g secret.Group, m muster) (commands.Answer, error) {
	a := commands.Answer{Outcome: commands.Told, Verb: req.Verb}
	for _, s := range m.members {
		one, err := d.plan(ctx, req, s)
		if err != nil {
			return one, err
		}
		if one.Outcome != commands.Told {
			m.others = append(m.others, commands.Other{Secret: s.Secret.Name, Says: lower(one.Text)})
			continue
		}
		for _, row := range one.Plan {
			row.Secret = s.Secret.Name
			a.Plan = append(a.Plan, row)
		}
	}
	a.Text = fmt.Sprintf("A %s rotation of %s in %s would take these %d steps over %s, one secret after the other. Nothing was touched.",
		req.Mode, g.Name, m.env.Name, len(a.Plan), secrets(len(m.members)))
	if len(m.others) > 0 {
		a.Text += " Besides: " + list(m.others)
		a.Others = m.others
	}
	return a, nil
}

// questionBatch asks once for all: what each of them ends.
func (d *Desk) questionBatch(ctx context.Context, req commands.Request, g secret.Group, m muster) *commands.Confirm {
	var costs []string
	for _, s := range m.members {
		single := req
		single.Secret, single.Environment = s.Secret.Name, m.env.Name
		if ask := d.question(ctx, single, s); ask != nil {
			cost := ask.Cost
			if !strings.HasPrefix(cost, s.Secret.Name) {
				cost = s.Secret.Name + ": " + cost
			}
			costs = append(costs, cost)
		}
	}
	if len(costs) == 0 {
		return nil
	}
	req.Confirmed, req.Secret, req.Environment = true, g.Name, m.env.Name
	return &commands.Confirm{Request: req, Cost: strings.Join(costs, " "), Yes: "Rotate these " + secrets(len(m.members)) + " now"}
}

// startBatch records the batch, its members and their jobs in one transaction.
func (d *Desk) startBatch(ctx context.Context, req commands.Request, g secret.Group, m muster) (commands.Answer, error) {
	now := d.cfg.Now()
	memo, err := commands.Batch{Others: m.others}.Memo()
	if err != nil {
		return commands.Answer{}, err
	}
	since := req.Since
	if since == 0 {
		since = DefaultSince
	}
	id := "b-" + now.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	leaked := req.Mode == commands.Compromised
	whole := ledger.Run{
		ID: id, Kind: ledger.KindBatch, Secret: g.Name, Environment: m.env.Name, Mode: string(req.Mode), Reason: req.Reason,
		Actor: req.Actor.String(), ReplyTo: req.Actor.Channel, Incident: id, Paged: leaked, State: ledger.Queued,
		Since: now.Add(-since), CreatedAt: now, Version: 1, Memo: memo,
	}
	return d.once(ctx, req, d.takenBatch(whole, m), func(ctx context.Context, tx ledger.Tx) error {
		if len(m.members) > 0 {
			if err := d.insertBatch(ctx, tx, req, whole, m); err != nil {
				return err
			}
		}
		for _, run := range m.wishes {
			if err := d.wishCompromised(ctx, tx, req, run); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Desk) insertBatch(ctx context.Context, tx ledger.Tx, req commands.Request, whole ledger.Run, m muster) error {
	if err := tx.InsertRun(ctx, whole); err != nil {
		return err
	}
	var names []string
	for turn, s := range m.members {
		r := s.Run
		r.Batch, r.Turn, r.Incident, r.ReplyTo, r.CreatedAt = whole.ID, turn+1, whole.ID, "", whole.CreatedAt
		if err := tx.InsertRun(ctx, r); err != nil {
			return err
		}
		single := req
		single.Secret, single.Environment = r.Secret, r.Environment
		if err := tx.Append(ctx, d.entry(single, r, "accepted")); err != nil {
			return err
		}
		names = append(names, r.Secret)
	}
	e := d.entry(req, whole, "accepted")
	e.Detail["members"] = strings.Join(names, ", ")
	for _, o := range m.others {
		e.Detail["other "+o.Secret] = o.Says
	}
	if err := tx.Append(ctx, e); err != nil {
		return err
	}
	var notices []journal.Notice
	if whole.Paged {
		notices = append(notices, journal.Notice{Kind: journal.PageTrigger, Name: "page-trigger"})
	}
	if err := journal.Tell(ctx, tx, d.cfg.Queue, whole, notices, whole.CreatedAt); err != nil {
		return err
	}
	return d.cfg.Queue.EnqueueRun(ctx, tx, whole.ID, time.Time{})
}

// takenBatch is what the person is told at once.
func (d *Desk) takenBatch(whole ledger.Run, m muster) commands.Answer {
	a := commands.Answer{Outcome: commands.Taken, Verb: commands.Rotate, Run: whole.ID}
	var names []string
	for _, s := range m.members {
		names = append(names, s.Secret.Name)
	}
	switch {
	case len(m.members) == 0:
		a.Run = m.wishes[0].ID
	case whole.Paged:
		a.Text = fmt.Sprintf("Rotating %s in %s now, one after the other (compromised): %s. On-call is paged once, and each old value ends as soon as every service runs on the new one (run %s).",
			secrets(len(names)), whole.Environment, and(names), whole.ID)
	default:
		a.Text = fmt.Sprintf("Rotating %s in %s now, one after the other (routine): %s. Each old value stays valid for its overlap (run %s).",
			secrets(len(names)), whole.Environment, and(names), whole.ID)
	}
	if len(m.others) > 0 {
		a.Text = strings.TrimSpace(a.Text + " " + list(m.others))
	}
	return a
}

// list says of each other secret what is with it.
func list(others []commands.Other) string {
	var out []string
	for _, o := range others {
		out = append(out, o.Secret+" "+o.Says)
	}
	return strings.Join(out, " ")
}

func secrets(n int) string {
	if n == 1 {
		return "1 secret"
	}
	return fmt.Sprintf("%d secrets", n)
}

func and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
