package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"rekey/audit/ledger"
)

// The two kinds of wake-up, and the queues they wait in.
const (
	kindRun      = "run"
	kindDelivery = "deliver"

	queueRuns       = "runs"
	queueDeliveries = "deliveries"
)

// wake is a wake-up: which run or delivery somebody should look at.
type wake struct{ kind, id string }

// queue is the job engine on one database. Methods that take a transaction work
// inside it and leave it to the caller.
type queue interface {
	// migrate brings River's tables up to date; several processes may do so at once.
	migrate(ctx context.Context) error
	// start begins to work wake-ups; stop lets those under way finish and kill does
	// not wait for them to finish by themselves.
	start(ctx context.Context) error
	stop(ctx context.Context) error
	kill(ctx context.Context) error
	// insert adds a wake-up that is due at the given time; zero is now.
	insert(ctx context.Context, tx ledger.Tx, w wake, at time.Time) error
	// reclaim cancels the wake-ups that processes other than the living ones had
	// taken and answers them.
	reclaim(ctx context.Context, tx ledger.Tx, living []string) ([]wake, error)
	// pending answers the wake-ups that wait or were taken less than a moment ago.
	pending(ctx context.Context, tx ledger.Tx) (map[wake]bool, error)
	// idle answers the unfinished deliveries that nobody holds.
	idle(ctx context.Context, tx ledger.Tx) ([]wake, error)
}

// workers is what a queue calls. An error means only one thing to it: put the wake-up
// back.
type workers interface {
	workRun(id string) error
	workDelivery(id string) error
}

// open picks the database by what the store can do. Without workers the queue only
// inserts.
func open(cfg Config, process string, w workers) (queue, error) {
	switch s := cfg.Store.(type) {
	case interface{ Pool() *pgxpool.Pool }:
		return openPostgres(s.Pool(), cfg, process, w)
	case interface{ DB() *sql.DB }:
		return openSQLite(s.DB(), cfg, process, w)
	}
	return nil, fmt.Errorf("jobs: a store of type %T offers neither Pool() nor DB()", cfg.Store)
}

// runArgs and deliverArgs are all that River ever stores of a job.
type runArgs struct {
	ID string `json:"id"`
}

func (runArgs) Kind() string { return kindRun }

type deliverArgs struct {
	ID string `json:"id"`
}

func (deliverArgs) Kind() string { return kindDelivery }

// args and options of a wake-up. Attempts are as many as River can count, but it never
// counts: a wake-up ends in success, and what follows is a new one.
func (w wake) job(at time.Time) (river.JobArgs, *river.InsertOpts, error) {
	opts := &river.InsertOpts{MaxAttempts: math.MaxInt16, ScheduledAt: at}
	if w.id == "" {
		return nil, nil, errors.New("jobs: a wake-up needs an id")
	}
	switch w.kind {
	case kindRun:
		opts.Queue = queueRuns
		return runArgs{w.id}, opts, nil
	case kindDelivery:
		opts.Queue = queueDeliveries
		return deliverArgs{w.id}, opts, nil
	}
	return nil, nil, fmt.Errorf("jobs: unknown kind of wake-up %q", w.kind)
}

// riverConfig is what both databases share.
func riverConfig(cfg Config, process string, w workers) (*river.Config, error) {
	rc := &river.Config{
		ID:            process,
		Logger:        slog.New(atLeast{slog.LevelWarn, cfg.Log.Handler()}),
		FetchCooldown: 10 * time.Millisecond,
		MaxAttempts:   math.MaxInt16,
		// A run may wait long for a service to reload; its lease, not a time-out, says
		// whether somebody is still at it. -1 also keeps River's rescuer away.
		JobTimeout: -1,
		// Wake-ups are of no interest once they rang.
		CompletedJobRetentionPeriod: time.Hour,
		CancelledJobRetentionPeriod: time.Hour,
	}
	if w == nil {
		return rc, nil
	}
	rc.Workers = river.NewWorkers()
	if err := river.AddWorkerSafely(rc.Workers, river.WorkFunc(func(_ context.Context, j *river.Job[runArgs]) error {
		return putBack(w.workRun(j.Args.ID))
	})); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(rc.Workers, river.WorkFunc(func(_ context.Context, j *river.Job[deliverArgs]) error {
		return putBack(w.workDelivery(j.Args.ID))
	})); err != nil {
		return nil, err
	}
	rc.Queues = map[string]river.QueueConfig{
		queueRuns:       {MaxWorkers: cfg.Runs},
		queueDeliveries: {MaxWorkers: cfg.Deliveries},
	}
	return rc, nil
}

// putBack turns whatever went wrong into "due again now". River keeps the text of
// errors in clear, so it is never given one.
func putBack(err error) error {
	if err == nil {
		return nil
	}
	return river.JobSnooze(0)
}

// process is the part of a replica's id that stays the same when it rejoins; River
// writes it into attempted_by.
func process(replica string) string {
	if i := strings.LastIndexByte(replica, '.'); i >= 0 {
		return replica[:i]
	}
	return replica
}

// freshFor is how long a wake-up that was taken counts as pending: taking a claim is a
// matter of milliseconds.
const freshFor = 30 * time.Second

// atLeast drops log records below a level: River tells about each start and stop.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(a)}
}

func (h atLeast) WithGroup(n string) slog.Handler { return atLeast{h.level, h.Handler.WithGroup(n)} }
