package emergency

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
)

// grant carries out what somebody has asked of the run since its last commit, or says
// why it cannot be had. Who asked is in the security log already.
func (e *Engine) grant(ctx context.Context, j *journal.Journal, subject rotate.Subject) error {
	run := j.Run()
	subject.Run = run
	switch run.Asked {
	case "":
		return nil
	case ledger.WishCompromised:
		return e.escalate(ctx, j, subject)
	case ledger.WishRollback:
		return e.goBack(ctx, j, subject)
	case ledger.WishHold, ledger.WishKill:
		return e.choose(ctx, j)
	}
	return j.Commit(ctx, journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "wish.refused", Result: "unknown", Detail: map[string]string{"wish": string(run.Asked)}},
		Amend: func(r *ledger.Run) { r.Granted = run.Asked },
	})
}

// escalate turns a routine run into a compromised one: what is left of its plan is done
// without waiting, on-call is paged, and the evidence is read.
func (e *Engine) escalate(ctx context.Context, j *journal.Journal, subject rotate.Subject) error {
	why, err := e.why(ctx, subject.Run.ID)
	if err != nil {
		return err
	}
	c := journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "run.escalated", Result: "granted"},
		Amend: func(r *ledger.Run) {
			r.Granted = ledger.WishCompromised
			if r.Mode == string(commands.Routine) {
				r.Mode, r.Paged = string(commands.Compromised), true
				awake(r, e.cfg.Now())
				if why != "" {
					r.Reason = why
				}
			}
		},
	}
	if j.Run().Mode == string(commands.Routine) {
		steps := j.Steps()
		c.Steps = rotate.Escalated(subject, steps)
		c.Steps = append(c.Steps, auditStep(subject.Run.ID, len(steps)+len(c.Steps)))
		c.Tell = []journal.Notice{pageTrigger()}
	}
	return j.Commit(ctx, c)
}

// awake ends a wait that a wish cuts short: once the wish is granted, nothing else tells
// those who look at the run that it does not rest, and a terminal would take it for done.
func awake(r *ledger.Run, now time.Time) {
	if r.State == ledger.Waiting {
		r.WakeAt = now
	}
}

// why is the reason of whoever said last that the secret is compromised.
func (e *Engine) why(ctx context.Context, run string) (why string, err error) {
	err = e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		entries, err := tx.Entries(ctx, run)
		for _, entry := range entries {
			if entry.Result == "escalated" {
				why = entry.Why
			}
		}
		return err
	})
	return why, err
}

// goBack turns a run around. The way back is planned from what was really begun; a
// wish that cannot be granted leaves the run as it is and says so.
func (e *Engine) goBack(ctx context.Context, j *journal.Journal, subject rotate.Subject) error {
	steps := j.Steps()
	way, err := rotate.Return(subject, steps)
	var fault *rotate.Fault
	if errors.As(err, &fault) {
		return j.Commit(ctx, journal.Change{
			Entry: ledger.Entry{Actor: "rekey", Action: "rollback.refused", Result: "refused", Detail: map[string]string{"because": fault.Sentence}},
			Amend: func(r *ledger.Run) {
				r.Granted = ledger.WishRollback
				r.Problem = strings.TrimSpace(r.Problem + " " + sentence("It cannot be rolled back: "+lower(fault.Sentence)))
			},
		})
	}
	if err != nil {
		return err
	}
	memo, err := closed(subject.Run)
	if err != nil {
		return err
	}
	c := journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "rollback.planned", Result: "planned"},
		Steps: append(way.Dropped, way.Steps...),
		Amend: func(r *ledger.Run) {
			r.Granted = ledger.WishRollback
			keep(r, memo)
			r.State = ledger.RollingBack
			r.Problem = strings.TrimSpace(r.Problem + " Somebody asked to go back. " + way.Says)
		},
	}
	for _, s := range steps { // the step it was in is over, and so is a way back that failed
		if s.State == ledger.StepFailed && rotate.OnTheWayBack(s) {
			s.State = ledger.StepUndone
			c.Steps = append(c.Steps, s)
		}
		if s.State == ledger.StepRunning {
			s.State, s.Note, s.Ended = ledger.StepUndone, "Given up: somebody asked to go back.", e.cfg.Now()
			c.Steps = append(c.Steps, s)
		}
	}
	if slices.ContainsFunc(way.Dropped, func(s ledger.Step) bool { return s.Kind == kindAudit }) {
		c.Steps = append(c.Steps, auditStep(subject.Run.ID, len(steps)+len(way.Steps)))
	}
	return j.Commit(ctx, c)
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
