package emergency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/inspect"
	"rekey/commands/issue"
	"rekey/commands/journal"
	"rekey/commands/secret"
)

const (
	// watchFor is how long a compromised rotation is followed by a watch.
	watchFor = 24 * time.Hour
	// settled is how old a line must be to be counted: servers write when the answer is
	// out, and not in order.
	settled = 5 * time.Second
	// named is how many of those who came are named.
	named = 5
)

// Tripwires tells who used a retired value; *usage.Looker is one.
type Tripwires interface {
	Look(ctx context.Context, sources []secret.UsageSource, since time.Time) (issue.Usage, error)
}

// watchAfter is the run that keeps watch over what a rotation has ended; ok is false for
// one that needs none.
func (e *Engine) watchAfter(run ledger.Run, steps []ledger.Step, state ledger.RunState) (watch ledger.Run, ok bool, err error) {
	died, _ := moments(run, steps)
	if run.Kind != ledger.KindRotate || run.Mode != string(commands.Compromised) || state != ledger.Succeeded || died.IsZero() {
		return ledger.Run{}, false, nil
	}
	now := e.cfg.Now()
	memo := commands.Watch{Of: run.ID, Board: run.ID, Until: now.Add(watchFor), Looked: died, Died: died}
	if run.Batch != "" {
		memo.Board = run.Batch
	}
	raw, err := memo.Memo()
	if err != nil {
		return ledger.Run{}, false, err
	}
	id := "w-" + run.ID
	return ledger.Run{
		ID: id, Kind: ledger.KindWatch, Secret: run.Secret, Environment: run.Environment, Mode: run.Mode, Reason: run.Reason,
		Actor: "rekey", Incident: id, State: ledger.Waiting, Since: died, WakeAt: now.Add(e.cfg.WatchEvery), CreatedAt: now, StartedAt: now,
		Version: 1, Memo: raw,
	}, true, nil
}

// watch looks once and waits for the next time, until its end. On-call is woken once,
// however often somebody comes; being let in is said even after that.
func (e *Engine) watch(ctx context.Context, run ledger.Run) error {
	j, err := journal.Open(ctx, journal.Config{Store: e.cfg.Store, Queue: e.cfg.Queue, Now: e.cfg.Now, Observer: e.cfg.Observer}, run)
	if err != nil {
		return err
	}
	before, err := commands.ReadWatch(run.Memo)
	if err != nil {
		return err
	}
	now := e.cfg.Now()
	w := before
	w.By = slices.Clone(before.By)
	if until := minTime(now.Add(-settled), before.Until); until.After(before.Looked) {
		e.look(ctx, run, &w, until)
		w.Looked = until
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	raw, err := w.Memo()
	if err != nil {
		return err
	}
	over := !now.Add(-settled).Before(w.Until)
	c := journal.Change{Quiet: true, Amend: func(r *ledger.Run) {
		r.Memo, r.State, r.WakeAt = raw, ledger.Waiting, now.Add(e.cfg.WatchEvery)
	}}
	c.Tell, c.Entry = news(before, w)
	if over {
		c.Tell = append(c.Tell, journal.Notice{Kind: journal.Thread, Name: journal.WatchEnded, Subject: journal.WatchEnded})
		c.Entry = ledger.Entry{Actor: "rekey", Action: "watch.ended", Result: "ended", Detail: counted(w)}
		if run.Paged && w.LetIn == 0 {
			c.Tell = append(c.Tell, journal.Notice{Kind: journal.PageResolve, Name: "page-resolve"})
		}
	}
	if len(c.Tell) > 0 {
		wake := slices.ContainsFunc(c.Tell, func(n journal.Notice) bool { return n.Kind == journal.PageTrigger })
		amend := c.Amend
		c.Quiet, c.Amend = false, func(r *ledger.Run) {
			amend(r)
			r.Paged = r.Paged || wake
			if said := problemOf(w); said != "" {
				r.Problem = said
			}
			if over {
				r.State, r.EndedAt, r.WakeAt = ledger.Succeeded, now, time.Time{}
			}
		}
	}
	return j.Commit(ctx, c)
}

// look counts what happened since the last look.
func (e *Engine) look(ctx context.Context, run ledger.Run, w *commands.Watch, until time.Time) {
	within, cancel := context.WithTimeout(ctx, e.cfg.AuditWithin)
	defer cancel()
	w.Blind = ""
	report, err := e.cfg.Inspector.Audit(within, inspect.Request{
		Secret: run.Secret, Environment: run.Environment, Since: w.Looked, Until: until, Died: w.Died, Brief: true,
	})
	if err != nil {
		w.Blind = "the evidence cannot be read; look at the catalogue"
		e.cfg.Log.Warn("watch cannot read", "run", run.ID, "cause", err.Error())
		return
	}
	for _, g := range report.Gaps {
		w.Blind = g.Source + ": " + g.Why
	}
	for _, v := range report.Visitors {
		if !v.Ours {
			w.Refused += v.Refused
		}
	}
	w.LetIn += report.Strangers[audit.Used]
	var by []string
	for _, v := range report.Visitors {
		if !v.Ours {
			by = append(by, v.Addr)
		}
	}
	if wires := e.tripwires(run); len(wires) > 0 && e.cfg.Tripwires != nil {
		for i := range wires {
			wires[i].Quiet = e.cfg.Now().Sub(w.Looked)
		}
		seen, err := e.cfg.Tripwires.Look(within, wires, w.Looked)
		var wait *issue.Wait
		if err != nil && !errors.As(err, &wait) {
			w.Blind = "the tripwire: " + err.Error()
		}
		if seen.Any() {
			w.Used += max(1, int(seen.PerMinute*e.cfg.Now().Sub(w.Looked).Minutes()+0.5))
			by = append(slices.Clone(seen.Users), by...)
		}
	}
	for _, who := range by {
		if !slices.Contains(w.By, who) && len(w.By) < named {
			w.By = append(w.By, who)
		}
	}
}

func (e *Engine) tripwires(run ledger.Run) []secret.UsageSource {
	place, _ := e.cfg.Catalogue.Place(run.Secret, run.Environment)
	return slices.Clone(place.Tripwire)
}

// news is what people have to be told of a look. Whether a failed verification was made
// with the old value only a tripwire in the application knows; without one, each of a
// stranger counts as a try with it.
func news(before, w commands.Watch) ([]journal.Notice, ledger.Entry) {
	var tell []journal.Notice
	came, came2 := before.Used+before.Refused > 0, w.Used+w.Refused > 0
	if came2 && !came {
		tell = append(tell, journal.Notice{Kind: journal.Thread, Name: journal.WatchCame, Subject: journal.WatchCame}, pageTrigger())
	}
	if w.LetIn > 0 && before.LetIn == 0 {
		tell = append(tell, journal.Notice{Kind: journal.Thread, Name: journal.WatchLetIn, Subject: journal.WatchLetIn}, pageTrigger())
	}
	if w.Blind != "" && before.Blind == "" {
		tell = append(tell, journal.Notice{Kind: journal.Thread, Name: journal.WatchBlind, Subject: journal.WatchBlind})
	}
	return tell, ledger.Entry{Actor: "rekey", Action: "watch.seen", Result: "seen", Detail: counted(w)}
}

func counted(w commands.Watch) map[string]string {
	d := map[string]string{"used": fmt.Sprint(w.Used), "refused": fmt.Sprint(w.Refused), "let in": fmt.Sprint(w.LetIn)}
	if len(w.By) > 0 {
		d["by"] = strings.Join(w.By, ", ")
	}
	if w.Blind != "" {
		d["blind"] = w.Blind
	}
	return d
}

// problemOf is what on-call reads.
func problemOf(w commands.Watch) string {
	by := strings.Join(w.By, ", ")
	switch {
	case w.LetIn > 0:
		return fmt.Sprintf("%s was let in after the old value had died: the new one is known as well. Rotate again, and look for how it leaks.", by)
	case w.Used > 0:
		return by + " still uses the old value, which is dead: every try was refused."
	case w.Refused > 0:
		return by + " fails verification since the rotation, and was refused each time."
	}
	return ""
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
