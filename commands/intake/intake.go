// Package intake takes requests: it decides whether the person may ask, and records
// the intent together with the job that will carry it out in one transaction. Slack
// and the command line both come through here, so that neither can do what the other
// may not.
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
	"rekey/commands/policy"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// DefaultSince is how far back the evidence is read when nobody says otherwise.
const DefaultSince = 24 * time.Hour

// Planner looks at a rotation before it is asked for; *rotate.Rotator is one.
type Planner interface {
	Describe(ctx context.Context, s rotate.Subject) ([]commands.PlanRow, error)
	Cost(ctx context.Context, s rotate.Subject) (string, error)
}

// Config is what a Desk needs. All fields are required.
type Config struct {
	Planner   Planner
	Catalogue *secret.Catalogue
	Store     ledger.Store
	Queue     journal.Queue
	Guard     *secret.Guard
	Now       func() time.Time
}

// Desk takes requests. It is safe for concurrent use.
type Desk struct{ cfg Config }

// New answers a Desk.
func New(cfg Config) *Desk { return &Desk{cfg: cfg} }

// Take decides about a request and answers at once; work that follows is recorded
// and queued before Take returns. Taking a request of the same ID again starts
// nothing and gives the first answer again.
//
// Errors that wrap ledger.ErrNotStarted mean that nothing was recorded for certain,
// ledger.ErrUnknownOutcome that the database did not say in time.
func (d *Desk) Take(ctx context.Context, req commands.Request) (commands.Answer, error) {
	req.Reason, req.Run = d.scrub(req.Reason), d.scrub(req.Run)
	// A name that is none may be a value somebody pasted in its place; answers and
	// the security log repeat it.
	if _, ok := d.cfg.Catalogue.Secret(req.Secret); !ok {
		req.Secret = d.scrub(req.Secret)
	}
	if _, ok := d.cfg.Catalogue.Environment(req.Environment); !ok {
		req.Environment = d.scrub(req.Environment)
	}
	verdict := policy.Decide(d.cfg.Catalogue, req)
	if !verdict.Allowed {
		return d.refuse(ctx, req, verdict)
	}
	switch req.Verb {
	case commands.Help:
		return commands.Answer{Outcome: commands.Told, Verb: req.Verb, Text: commands.HelpText()}, nil
	case commands.List:
		return d.list(ctx)
	case commands.Status:
		return d.status(ctx, req)
	case commands.Schedule:
		return d.schedule(ctx)
	case commands.Digest:
		return d.digest(ctx)
	case commands.Rollback:
		return d.rollback(ctx, req)
	case commands.Kill, commands.Hold:
		return d.choose(ctx, req)
	case commands.Rotate:
		if g, ok := d.group(req.Secret); ok {
			return d.batch(ctx, req, g)
		}
		return d.rotate(ctx, req)
	case commands.Audit:
		return d.start(ctx, req)
	}
	return commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Text: "rekey does not know that command; type /rotate help."}, nil
}

// group finds a group where no secret has that name.
func (d *Desk) group(name string) (secret.Group, bool) {
	if _, ok := d.cfg.Catalogue.Secret(name); ok {
		return secret.Group{}, false
	}
	return d.cfg.Catalogue.Group(name)
}

// scrub takes values that people paste into their reasons out of them, known ones
// and what looks like one.
func (d *Desk) scrub(reason string) string {
	reason = secret.MaskTokens(d.cfg.Guard.ScrubString(strings.TrimSpace(reason)))
	if r := []rune(reason); len(r) > 500 {
		reason = string(r[:500]) + "…"
	}
	return reason
}

// refuse records a refusal and answers it privately.
func (d *Desk) refuse(ctx context.Context, req commands.Request, verdict policy.Decision) (commands.Answer, error) {
	outcome := commands.Denied
	if verdict.Usable() {
		outcome = commands.Unusable
	}
	answer := commands.Answer{Outcome: outcome, Verb: req.Verb, Text: verdict.Reason}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, &ledger.Entry{
			At: d.cfg.Now(), Actor: req.Actor.String(), Action: string(req.Verb) + ".refused",
			Subject: d.subject(req), Why: req.Reason, Result: "refused",
			Detail: map[string]string{"because": string(verdict.Code)},
		})
	})
}

// start records a run and its job.
func (d *Desk) start(ctx context.Context, req commands.Request) (commands.Answer, error) {
	run := d.run(req)
	told := taken(run)
	if req.Verb == commands.Rotate && req.Mode == commands.Compromised && req.Since == 0 {
		told.Text += " The evidence is read for the last 24 hours; if it may have leaked earlier, type: /audit-secret " + run.Secret + " since 7d"
	}
	answer, err := d.once(ctx, req, told, func(ctx context.Context, tx ledger.Tx) error {
		r := run
		if err := d.joinIncident(ctx, tx, &r); err != nil {
			return err
		}
		if err := tx.InsertRun(ctx, r); err != nil {
			return err
		}
		if err := tx.Append(ctx, d.entry(req, r, "accepted")); err != nil {
			return err
		}
		var notices []journal.Notice
		if r.Paged {
			notices = append(notices, journal.Notice{Kind: journal.PageTrigger, Name: "page-trigger"})
		}
		if err := journal.Tell(ctx, tx, d.cfg.Queue, r, notices, r.CreatedAt); err != nil {
			return err
		}
		return d.cfg.Queue.EnqueueRun(ctx, tx, r.ID, time.Time{})
	})
	if errors.Is(err, ledger.ErrBusy) {
		return d.busy(ctx, req)
	}
	return answer, err
}

// once runs fn together with the record that the request was taken. A request taken
// before gets its first answer again, and fn does not run.
func (d *Desk) once(ctx context.Context, req commands.Request, answer commands.Answer, fn func(context.Context, ledger.Tx) error) (commands.Answer, error) {
	started := ""
	if answer.Outcome == commands.Taken {
		started = answer.Run
	}
	err := d.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		err := tx.InsertRequest(ctx, ledger.Request{ID: req.ID, At: d.cfg.Now(), Run: started, Answer: answer.Text})
		if err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	if errors.Is(err, ledger.ErrDuplicate) {
		return d.again(ctx, req, answer.Outcome)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, ledger.ErrUnknownOutcome), errors.Is(err, ledger.ErrNotStarted), errors.Is(err, ledger.ErrBroken):
		return commands.Answer{}, fmt.Errorf("recording the request: %w", err)
	}
	// Whatever else went wrong, the store promises that nothing was recorded.
	return commands.Answer{}, fmt.Errorf("recording the request: %w; %w", err, ledger.ErrNotStarted)
}

// again answers a redelivered request as it was answered the first time. now is what
// would become of it today: it tells a denial from other answers that started nothing.
func (d *Desk) again(ctx context.Context, req commands.Request, now commands.Outcome) (commands.Answer, error) {
	var first ledger.Request
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		first, err = tx.Request(ctx, req.ID)
		return err
	})
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the first answer: %w", err)
	}
	outcome := commands.Taken
	if first.Run == "" {
		outcome = commands.Unusable
		if now == commands.Denied {
			outcome = now
		}
	}
	return commands.Answer{Outcome: outcome, Verb: req.Verb, Run: first.Run, Text: first.Answer}, nil
}

// run is the run a request asks for.
func (d *Desk) run(req commands.Request) ledger.Run {
	now := d.cfg.Now()
	since := req.Since
	if since == 0 {
		since = DefaultSince
	}
	sec, _ := d.cfg.Catalogue.Secret(req.Secret)
	env, _ := d.cfg.Catalogue.Environment(req.Environment)
	id := "r-" + now.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	run := ledger.Run{
		ID: id, Kind: ledger.KindRotate, Secret: sec.Name, Environment: env.Name,
		Mode: string(req.Mode), Reason: req.Reason, Actor: req.Actor.String(), ReplyTo: req.Actor.Channel,
		Incident: id, Paged: req.Mode == commands.Compromised, State: ledger.Queued,
		Since: now.Add(-since), CreatedAt: now, Version: 1,
	}
	if req.Verb == commands.Audit {
		run.Kind, run.Mode, run.Paged = ledger.KindAudit, "", false
		if !req.From.IsZero() {
			run.Since = req.From.UTC()
		}
		// A time is always encoded.
		run.Memo, _ = commands.Look{Until: req.Until.UTC()}.Memo()
	}
	return run
}

// joinIncident makes a rotation part of the incident an earlier one left open, so
// that on-call has one page to look at and its end closes it. The incident of a batch
// is joined only by the last secret that is missing: its end would close it.
func (d *Desk) joinIncident(ctx context.Context, tx ledger.Tx, run *ledger.Run) error {
	if run.Kind != ledger.KindRotate {
		return nil
	}
	last, err := tx.Runs(ctx, ledger.RunFilter{Secret: run.Secret, Environment: run.Environment, Kind: ledger.KindRotate, Limit: 1})
	if err != nil || len(last) == 0 || !last[0].Paged || last[0].State == ledger.Succeeded {
		return err
	}
	if last[0].Batch != "" {
		members, err := tx.Runs(ctx, ledger.RunFilter{Batch: last[0].Batch, Limit: journal.MaxMembers})
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.ID != last[0].ID && m.State != ledger.Succeeded {
				return nil
			}
		}
	}
	run.Incident, run.Paged = last[0].Incident, true
	return nil
}

func taken(run ledger.Run) commands.Answer {
	a := commands.Answer{Outcome: commands.Taken, Verb: commands.Rotate, Run: run.ID}
	if run.Kind == ledger.KindAudit {
		a.Verb = commands.Audit
		a.Text = fmt.Sprintf("Reading the evidence about %s in %s since %s (run %s).",
			run.Secret, run.Environment, run.Since.UTC().Format("2 Jan 15:04 MST")+ending(run), run.ID)
		return a
	}
	how := "the old value stays valid for its overlap, then it ends"
	if run.Mode == string(commands.Compromised) {
		how = "on-call is paged, and the old value ends as soon as every service runs on the new one"
	}
	a.Text = fmt.Sprintf("Rotating %s in %s now (%s): %s (run %s).", run.Secret, run.Environment, run.Mode, how, run.ID)
	return a
}

// ending says where an audit's window ends, when that is not now.
func ending(run ledger.Run) string {
	look, err := commands.ReadLook(run.Memo)
	if err != nil || look.Until.IsZero() {
		return ""
	}
	return " until " + look.Until.Format("2 Jan 15:04 MST")
}

func (d *Desk) entry(req commands.Request, run ledger.Run, result string) *ledger.Entry {
	e := &ledger.Entry{
		At: d.cfg.Now(), Actor: req.Actor.String(), Action: string(req.Verb) + ".requested",
		Subject: journal.Subject(run), Run: run.ID, Why: req.Reason, Result: result,
	}
	if run.Mode != "" {
		e.Detail = map[string]string{"mode": run.Mode, "incident": run.Incident}
	}
	if first, _, ok := d.rehearsedIn(req); ok && req.Verb == commands.Rotate && req.Mode == commands.Compromised {
		e.Detail["skipped"] = "the rotation in " + first + " that comes first otherwise"
	}
	return e
}

// subject names what a refused request was about.
func (d *Desk) subject(req commands.Request) string {
	switch {
	case req.Secret == "":
		return string(req.Verb)
	case req.Environment == "":
		return req.Secret
	}
	return req.Environment + "/" + req.Secret
}
