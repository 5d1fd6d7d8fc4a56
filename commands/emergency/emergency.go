// Package emergency carries a run from its request to its end: rotate, then audit,
// then tell people, then document. It owns the order of things; each thing itself is
// done by the package named after it. A run may change hands between any two steps:
// whoever claims it goes on from the journal.
package emergency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/inspect"
	"rekey/commands/jobs"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// kindAudit is the step that reads the evidence.
const kindAudit = "audit"

// Inspector reads the evidence; *inspect.Inspector is one.
type Inspector interface {
	Audit(ctx context.Context, r inspect.Request) (audit.Report, error)
}

// Config is what an Engine needs. Every field without a word about its zero value but
// Observer is required.
type Config struct {
	Catalogue *secret.Catalogue
	Rotator   *rotate.Rotator
	Inspector Inspector
	Store     ledger.Store
	Queue     journal.Queue
	Log       *slog.Logger
	Now       func() time.Time
	// AuditWithin bounds the reading of evidence; 0 means 2 min.
	AuditWithin time.Duration
	// WatchEvery is how often a watch looks; 0 means 1 min.
	WatchEvery time.Duration
	// Tripwires tells a watch who used a retired value; nil where nobody can.
	Tripwires Tripwires
	Observer  journal.Observer
}

// Engine carries runs on. It is safe for concurrent use by different runs.
type Engine struct{ cfg Config }

// New answers an Engine.
func New(cfg Config) *Engine {
	if cfg.AuditWithin == 0 {
		cfg.AuditWithin = 2 * time.Minute
	}
	if cfg.WatchEvery == 0 {
		cfg.WatchEvery = time.Minute
	}
	return &Engine{cfg: cfg}
}

// Work carries a claimed run on until it is final, has to wait, is wanted by nobody
// any more, or the process is being stopped. It is a jobs.Work.
func (e *Engine) Work(ctx context.Context, run ledger.Run) error {
	switch run.Kind {
	case ledger.KindBatch:
		return e.conduct(ctx, run)
	case ledger.KindWatch:
		return e.watch(ctx, run)
	}
	if may, err := e.itsTurn(ctx, run); err != nil {
		return err
	} else if !may {
		return jobs.After(notYet)
	}
	j, err := journal.Open(ctx, journal.Config{
		Store: e.cfg.Store, Queue: e.cfg.Queue, Now: e.cfg.Now, Observer: e.cfg.Observer,
	}, run)
	if err != nil {
		return err
	}
	var subject rotate.Subject
	if run.Kind == ledger.KindRotate {
		subject, err = rotate.NewSubject(e.cfg.Catalogue, run, j.Still)
		if err == nil {
			err = e.cfg.Rotator.Sweep(ctx, subject)
		}
		if err == nil {
			subject.Ended, err = e.endedBadly(ctx, run)
		}
		if err != nil {
			return e.giveUp(ctx, j, err)
		}
	}
	if err := e.plan(ctx, j, subject); err != nil {
		return err
	}
	for {
		select {
		case <-jobs.Stopping(ctx):
			return jobs.ErrHandOver
		default:
		}
		if err := e.grant(ctx, j, subject); err != nil {
			return err
		}
		step, ok := j.Next()
		if !ok {
			return e.end(ctx, j)
		}
		if err := e.step(ctx, j, subject, step); err != nil {
			return err
		}
		if r := j.Run(); r.State == ledger.Waiting && r.Asked == "" {
			return nil
		}
	}
}

// endedBadly lists earlier runs of the same secret that may have left something
// behind.
func (e *Engine) endedBadly(ctx context.Context, run ledger.Run) ([]string, error) {
	var ids []string
	err := e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: run.Secret, Environment: run.Environment, Kind: ledger.KindRotate})
		ids = nil
		for _, r := range runs {
			if r.State.Final() && r.State != ledger.Succeeded {
				ids = append(ids, r.ID)
			}
		}
		return err
	})
	return ids, err
}

// plan records the steps of a fresh run.
func (e *Engine) plan(ctx context.Context, j *journal.Journal, subject rotate.Subject) error {
	if len(j.Steps()) > 0 {
		return nil
	}
	run := j.Run()
	var steps []ledger.Step
	if run.Kind == ledger.KindRotate {
		steps = rotate.Plan(subject)
	}
	if run.Kind == ledger.KindAudit || run.Mode == string(commands.Compromised) {
		steps = append(steps, auditStep(run.ID, len(steps)))
	}
	return j.Commit(ctx, journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: run.Kind + ".planned", Result: "planned", Detail: map[string]string{"steps": fmt.Sprint(len(steps))}},
		Steps: steps,
		Amend: func(r *ledger.Run) {
			r.State = ledger.Running
			r.StartedAt = e.cfg.Now()
		},
	})
}

func auditStep(run string, index int) ledger.Step {
	return ledger.Step{
		Run: run, Index: index, Key: kindAudit, Kind: kindAudit,
		Title: "Read the evidence of misuse", State: ledger.StepPending,
	}
}

// step performs one step between its two commits.
func (e *Engine) step(ctx context.Context, j *journal.Journal, subject rotate.Subject, step ledger.Step) error {
	// A step that only waits has its intent on record: looking again is no new act.
	if j.Run().State != ledger.Waiting || step.State != ledger.StepRunning {
		var err error
		if step, err = j.Begin(ctx, step); err != nil {
			return err
		}
	}
	if step.Kind == kindAudit {
		return e.audit(ctx, j, step)
	}
	subject.Run, subject.Switched, subject.Asked = j.Run(), switched(j.Steps()), asked(j.Steps())
	res, err := e.cfg.Rotator.Do(ctx, subject, step)
	var fault *rotate.Fault
	switch {
	case errors.As(err, &fault):
		if fault.Err != nil {
			e.cfg.Log.Warn("step failed", "run", step.Run, "step", step.Key, "cause", fault.Err.Error())
		}
		return e.failed(ctx, j, subject, step, fault)
	case err != nil:
		return fmt.Errorf("performing %s of run %s: %w", step.Key, step.Run, err)
	case !res.Wait.IsZero():
		return e.wait(ctx, j, step, res)
	}
	memo, news, err := respite(j.Run(), res)
	if err != nil {
		return err
	}
	c := journal.Change{Fingerprints: res.Fingerprints, Amend: func(r *ledger.Run) {
		if r.State == ledger.Waiting {
			r.State = ledger.Running
		}
		r.WakeAt = time.Time{}
		keep(r, memo)
	}}
	if news != "" {
		c.Tell = []journal.Notice{{Kind: journal.Thread, Name: news, Subject: step.Key}}
	}
	return j.Settle(ctx, step, ledger.StepDone, res.Note, c)
}

// switched is when the last consumer was proven to work with the new value.
func switched(steps []ledger.Step) (at time.Time) {
	for _, s := range steps {
		if s.Stage == rotate.StageSwitch && s.Kind == rotate.KindTest && s.Ended.After(at) {
			at = s.Ended
		}
	}
	return at
}

// asked is when the last step ended that asks services which values they accept.
func asked(steps []ledger.Step) (at time.Time) {
	for _, s := range steps {
		if (s.Kind == rotate.KindTest || s.Kind == rotate.KindCheck) && s.Ended.After(at) {
			at = s.Ended
		}
	}
	return at
}

// wait puts the run to sleep; the job engine brings it back at WakeAt. Looking again
// and seeing the same is neither news nor an act, so it is kept out of the security
// log and the board.
func (e *Engine) wait(ctx context.Context, j *journal.Journal, step ledger.Step, res rotate.Result) error {
	same := j.Run().State == ledger.Waiting && step.Note == res.Note
	step.Note = res.Note
	memo, news, err := respite(j.Run(), res)
	if err != nil {
		return err
	}
	same = same && news == ""
	c := journal.Change{
		Steps: []ledger.Step{step},
		Amend: func(r *ledger.Run) {
			r.State, r.WakeAt = ledger.Waiting, res.Wait
			keep(r, memo)
		},
		Quiet: same,
	}
	if news != "" {
		c.Tell = []journal.Notice{{Kind: journal.Thread, Name: news, Subject: step.Key}}
	}
	if !same {
		c.Entry = ledger.Entry{
			Actor: "rekey", Action: "run.waiting", Why: step.Title, Result: "waiting",
			Detail: map[string]string{"until": res.Wait.UTC().Format(time.RFC3339), "seen": res.Note},
		}
	}
	return j.Commit(ctx, c)
}

// audit reads the evidence. Evidence that cannot be read is part of the report, so
// this step fails only when its result cannot be recorded.
func (e *Engine) audit(ctx context.Context, j *journal.Journal, step ledger.Step) error {
	run := j.Run()
	within, cancel := context.WithTimeout(ctx, e.cfg.AuditWithin)
	defer cancel()
	until := e.cfg.Now()
	died, marks := moments(run, j.Steps())
	if run.Kind == ledger.KindAudit {
		look, err := commands.ReadLook(run.Memo)
		if err != nil {
			return err
		}
		if !look.Until.IsZero() && look.Until.Before(until) {
			until = look.Until
		}
		if died, marks, err = Moments(ctx, e.cfg.Store, run.Secret, run.Environment, audit.Window{Since: run.Since, Until: until}); err != nil {
			return err
		}
	}
	report, err := e.cfg.Inspector.Audit(within, inspect.Request{
		Secret: run.Secret, Environment: run.Environment, Since: run.Since, Until: until, Died: died, Marks: marks,
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		e.cfg.Log.Warn("audit failed", "run", run.ID, "cause", err.Error())
		report = audit.Report{
			Secret: run.Secret, Environment: run.Environment,
			Window: audit.Window{Since: run.Since.UTC(), Until: until.UTC()},
			Verdict: audit.Verdict{
				Outcome:  audit.CannotTell,
				Sentence: "Cannot tell whether the secret was misused: the evidence could not be read.",
				Missing:  []string{"Everything: run /audit-secret " + run.Secret + " again."},
			},
		}
	}
	raw, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encoding the report of run %s: %w", run.ID, err)
	}
	return j.Settle(ctx, step, ledger.StepDone, report.Verdict.Sentence, journal.Change{
		Tell:  []journal.Notice{{Kind: journal.Thread, Name: journal.Report}, {Kind: journal.Files, Name: journal.Files}},
		Amend: func(r *ledger.Run) { r.Report = raw },
	})
}
