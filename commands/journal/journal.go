// Package journal keeps the checkpoints of a run. Everything a run does outside the
// database is bracketed by two commits: the intent before the act and the result
// after it. Each commit is one transaction over the run's row, its steps, the
// security log and what has to be told to people, and each is refused once the run
// belongs to another process. It exists so that no procedure has to get that right
// by itself.
package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
)

// Queue hands work to the job engine inside the caller's transaction.
type Queue interface {
	EnqueueDelivery(ctx context.Context, tx ledger.Tx, deliveryID string, at time.Time) error
	EnqueueRun(ctx context.Context, tx ledger.Tx, runID string, at time.Time) error
}

// Moment is where in a step's life an observer is called.
type Moment string

// The moments, in order.
const (
	Intended Moment = "intended" // the intent is committed, nothing has been done
	Acted    Moment = "acted"    // the act is done, its result is not committed
	Settled  Moment = "settled"  // the result is committed
)

// Observer is told of each moment of each step, synchronously: the run goes on when
// it returns. It serves progress displays, metrics and fault drills.
type Observer func(run ledger.Run, step ledger.Step, m Moment)

// Config is what a journal needs. All fields but Observer are required.
type Config struct {
	Store    ledger.Store
	Queue    Queue
	Now      func() time.Time
	Observer Observer
}

// Journal is one claimed run. It is used by one goroutine.
type Journal struct {
	cfg   Config
	run   ledger.Run
	steps []ledger.Step
}

// Open reads the steps of a run that the caller has claimed.
func Open(ctx context.Context, cfg Config, run ledger.Run) (*Journal, error) {
	j := &Journal{cfg: cfg, run: run}
	err := cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		j.steps, err = tx.Steps(ctx, run.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the steps of run %s: %w", run.ID, err)
	}
	return j, nil
}

// Run is the run as of the last commit.
func (j *Journal) Run() ledger.Run { return j.run }

// Steps are the steps as of the last commit, in order. The slice is a copy.
func (j *Journal) Steps() []ledger.Step { return slices.Clone(j.steps) }

// Next is the first step that is neither done, failed, skipped nor undone.
func (j *Journal) Next() (ledger.Step, bool) {
	for _, s := range j.steps {
		if s.State == ledger.StepPending || s.State == ledger.StepRunning {
			return s, true
		}
	}
	return ledger.Step{}, false
}

// Still answers nil while the caller owns the run; otherwise ErrFenced. It asks the
// database, so it is the check to make right before an act that cannot be undone.
func (j *Journal) Still(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return j.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		now, err := tx.Run(ctx, j.run.ID)
		if err != nil {
			return err
		}
		if now.Fence != j.run.Fence || now.Holder != j.run.Holder {
			return ledger.ErrFenced
		}
		return nil
	})
}

// Change is one commit. Everything in it becomes durable together or not at all.
type Change struct {
	// Entry goes into the security log; At, Run and Subject are filled in.
	Entry ledger.Entry
	// Steps are inserted or replaced by Index.
	Steps []ledger.Step
	// Amend changes the run; it may be called more than once and starts from the
	// committed run each time.
	Amend func(*ledger.Run)
	// Tell is what people have to be told besides the board, which always follows.
	Tell []Notice
	// Fingerprints are added or moved to a new role.
	Fingerprints []ledger.Fingerprint
	// Start are runs that begin with this commit, at their WakeAt. One that exists stays
	// as it is.
	Start []ledger.Run
	// Quiet leaves the security log and the board as they are: nothing has happened but
	// that the run goes on waiting.
	Quiet bool
}

// Notice asks for one delivery.
type Notice struct {
	Kind    string // as ledger.Delivery.Kind
	Name    string // the delivery's id is "<run>/<Name>"
	Subject string
}

// Commit writes c. ErrFenced means that the run is someone else's: stop at once.
func (j *Journal) Commit(ctx context.Context, c Change) error {
	var run ledger.Run
	err := j.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		run = j.run
		if c.Amend != nil {
			c.Amend(&run)
		}
		if err := tx.UpdateRun(ctx, &run); err != nil {
			return err
		}
		for _, s := range c.Steps {
			if err := tx.PutStep(ctx, s); err != nil {
				return err
			}
		}
		if run.Batch != "" && run.Rests(j.cfg.Now()) { // the next may begin
			if err := j.cfg.Queue.EnqueueRun(ctx, tx, run.Batch, time.Time{}); err != nil {
				return err
			}
		}
		for _, r := range c.Start {
			err := tx.InsertRun(ctx, r)
			if errors.Is(err, ledger.ErrDuplicate) {
				continue
			}
			if err != nil {
				return err
			}
			if err := j.cfg.Queue.EnqueueRun(ctx, tx, r.ID, r.WakeAt); err != nil {
				return err
			}
		}
		if c.Quiet {
			return nil
		}
		entry := c.Entry
		entry.At, entry.Run, entry.Subject = j.cfg.Now(), run.ID, Subject(run)
		if err := tx.Append(ctx, &entry); err != nil {
			return err
		}
		if len(c.Fingerprints) > 0 {
			if err := tx.PutFingerprints(ctx, c.Fingerprints); err != nil {
				return err
			}
		}
		return Tell(ctx, tx, j.cfg.Queue, run, c.Tell, j.cfg.Now())
	})
	if err != nil {
		return fmt.Errorf("committing %s of run %s: %w", c.Entry.Action, j.run.ID, err)
	}
	j.run = run
	for _, s := range c.Steps {
		i := slices.IndexFunc(j.steps, func(o ledger.Step) bool { return o.Index == s.Index })
		if i < 0 {
			j.steps = append(j.steps, s)
		} else {
			j.steps[i] = s
		}
	}
	return nil
}

// Begin commits the intent to do s: who, what and a token that is stored before the
// first effect outside the database. It answers the step as committed.
func (j *Journal) Begin(ctx context.Context, s ledger.Step) (ledger.Step, error) {
	s.State = ledger.StepRunning
	s.Attempt++
	if s.Token == "" {
		s.Token = rand.Text()
	}
	if s.Started.IsZero() {
		s.Started = j.cfg.Now()
	}
	entry := ledger.Entry{
		Actor: "rekey", Action: "step.started", Why: s.Title, Result: "started",
		Detail: map[string]string{"step": s.Key, "attempt": fmt.Sprint(s.Attempt), "fence": fmt.Sprint(j.run.Fence)},
	}
	if err := j.Commit(ctx, Change{Entry: entry, Steps: []ledger.Step{s}}); err != nil {
		return s, err
	}
	j.observe(s, Intended)
	return s, nil
}

// Settle commits the result of s, which must have been begun. c.Entry and c.Steps
// are filled in around s; the rest of c is kept.
func (j *Journal) Settle(ctx context.Context, s ledger.Step, state ledger.StepState, note string, c Change) error {
	j.observe(s, Acted)
	s.State, s.Note, s.Ended = state, note, j.cfg.Now()
	c.Entry = ledger.Entry{
		Actor: "rekey", Action: "step." + string(state), Why: s.Title, Result: string(state),
		Detail: map[string]string{"step": s.Key, "seen": note},
	}
	c.Steps = append([]ledger.Step{s}, c.Steps...)
	if err := j.Commit(ctx, c); err != nil {
		return err
	}
	j.observe(s, Settled)
	return nil
}

func (j *Journal) observe(s ledger.Step, m Moment) {
	if j.cfg.Observer != nil {
		j.cfg.Observer(j.run, s, m)
	}
}

// Subject is what an entry about a run is about: "production/REVALIDATE_SECRET".
func Subject(r ledger.Run) string { return r.Environment + "/" + r.Secret }

// The kinds of delivery.
const (
	Board       = "board"        // the one message that follows the run
	Thread      = "thread"       // a reply below the board: Subject is a step's key, AllSteps, or "" for the evidence
	Files       = "files"        // the evidence as a chart and files, below the board
	Reply       = "reply"        // the end of the run, where it was asked for
	PageTrigger = "page_trigger" // wake on-call
	PageResolve = "page_resolve" // the incident is over
	// Digest is the daily message about due secrets. It belongs to no run: Subject is the
	// id of the request whose answer is the digest (commands.DailyDigest as JSON).
	Digest = "digest"
)

// Report is the Name of the reply that tells the evidence.
const Report = "report"

// What a watch tells below the board of its rotation: Name and Subject of the replies.
const (
	WatchCame  = "watch-came"   // somebody tried with the old value
	WatchLetIn = "watch-let-in" // a stranger was let in
	WatchBlind = "watch-blind"  // something cannot be read
	WatchEnded = "watch-ended"
)

// AllSteps is the Subject of the reply that says what every step saw.
const AllSteps = "steps"
