package emergency

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/journal"
	"rekey/commands/rotate"
)

// failed records a fault, plans the way back and wakes on-call, in one transaction.
func (e *Engine) failed(ctx context.Context, j *journal.Journal, subject rotate.Subject, step ledger.Step, fault *rotate.Fault) error {
	step.State = ledger.StepFailed
	before := j.Steps()
	before[step.Index] = step
	way := rotate.Back(subject, before, step, fault.Serving)
	c := journal.Change{
		Tell: []journal.Notice{thread(step), pageTrigger()},
		Amend: func(r *ledger.Run) {
			// On the way back something else may fail, too; what to do is said once.
			r.Problem = strings.TrimSpace(r.Problem + " " + sentence(fault.Sentence))
			if !strings.Contains(r.Problem, way.Says) {
				r.Problem += " " + way.Says
			}
			r.Paged = true
			if len(way.Steps) > 0 {
				r.State = ledger.RollingBack
			}
		},
	}
	// The evidence is wanted whatever became of the rest, after the way back.
	c.Steps = append(c.Steps, way.Dropped...)
	c.Steps = append(c.Steps, way.Steps...)
	if slices.ContainsFunc(way.Dropped, func(s ledger.Step) bool { return s.Kind == kindAudit }) {
		c.Steps = append(c.Steps, auditStep(step.Run, len(before)+len(way.Steps)))
	}
	return j.Settle(ctx, step, ledger.StepFailed, fault.Sentence, c)
}

// end records how the run ended and tells who has to know.
func (e *Engine) end(ctx context.Context, j *journal.Journal) error {
	run := j.Run()
	if run.State.Final() {
		return nil
	}
	state := rotate.Outcome(j.Steps())
	c := journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: run.Kind + ".ended", Why: run.Reason, Result: string(state)},
		Tell:  e.closing(run),
		Amend: func(r *ledger.Run) {
			r.State, r.EndedAt, r.WakeAt = state, e.cfg.Now(), time.Time{}
		},
	}
	if run.Problem != "" {
		c.Entry.Detail = map[string]string{"problem": run.Problem}
	}
	if run.Paged {
		if state == ledger.Succeeded {
			c.Tell = append(c.Tell, journal.Notice{Kind: journal.PageResolve, Name: "page-resolve"})
		} else {
			c.Tell = append(c.Tell, pageTrigger())
		}
	}
	watch, ok, err := e.watchAfter(run, j.Steps(), state)
	if err != nil {
		return err
	}
	if ok {
		c.Start = []ledger.Run{watch}
	}
	return j.Commit(ctx, c)
}

// giveUp ends a run that cannot even be planned, unless it was merely lost.
func (e *Engine) giveUp(ctx context.Context, j *journal.Journal, err error) error {
	var fault *rotate.Fault
	if !errors.As(err, &fault) {
		return err
	}
	return j.Commit(ctx, journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: j.Run().Kind + ".ended", Result: string(ledger.Failed), Detail: map[string]string{"problem": fault.Sentence}},
		Tell:  append(e.closing(j.Run()), pageTrigger()),
		Amend: func(r *ledger.Run) {
			r.State, r.Problem, r.Paged, r.EndedAt = ledger.Failed, sentence(fault.Sentence), true, e.cfg.Now()
		},
	})
}

// closing is what people are told when a run has ended: what its steps saw, and, to
// the person who asked elsewhere than where the board is, how it ended.
func (e *Engine) closing(run ledger.Run) []journal.Notice {
	var out []journal.Notice
	if run.Kind == ledger.KindRotate {
		out = append(out, journal.Notice{Kind: journal.Thread, Name: "steps", Subject: journal.AllSteps})
	}
	if run.ReplyTo != "" && run.ReplyTo != e.cfg.Catalogue.Slack.Channel {
		out = append(out, journal.Notice{Kind: journal.Reply, Name: journal.Reply})
	}
	return out
}

func pageTrigger() journal.Notice {
	return journal.Notice{Kind: journal.PageTrigger, Name: "page-trigger"}
}

func thread(s ledger.Step) journal.Notice {
	return journal.Notice{Kind: journal.Thread, Name: "step/" + s.Key, Subject: s.Key}
}
