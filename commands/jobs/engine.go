package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rekey/audit/ledger"
)

// Engine works wake-ups and proves that this process is alive. All methods are safe
// for concurrent use; Start and Stop may be called once each.
type Engine struct {
	cfg     Config
	queue   queue
	process string // what River calls this process; replica ids start with it
	working bool   // false: insert only

	guard    guard
	failures failures

	// stopping is closed when Stop begins. life ends when the heart may stop beating:
	// all work has ended by then, or was given up.
	stopping chan struct{}
	life     context.Context
	die      context.CancelFunc
	beatDone chan struct{}

	startOnce, stopOnce sync.Once
	started             atomic.Bool
	stopErr             error

	mu      sync.Mutex
	current *epoch        // nil while this process is not (or no longer) registered
	changed chan struct{} // closed and replaced whenever current changes
	epochs  int           // how many ids were used
	self    string        // the last one that was registered
}

// New builds an engine on cfg.Store's database and brings River's tables up to date.
// Several replicas may do so at the same moment. Nothing is worked before Start.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Work == nil || cfg.Deliver == nil {
		return nil, errors.New("jobs: an engine needs Work and Deliver")
	}
	return build(ctx, cfg, true)
}

// InsertOnly builds an engine that can enqueue and never works: the command line
// beside a running daemon. It needs no Start and no Stop.
func InsertOnly(ctx context.Context, cfg Config) (*Engine, error) {
	return build(ctx, cfg, false)
}

func build(ctx context.Context, cfg Config, working bool) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:      cfg,
		process:  newProcess(cfg.Replica),
		working:  working,
		stopping: make(chan struct{}),
		beatDone: make(chan struct{}),
		changed:  make(chan struct{}),
	}
	e.life, e.die = context.WithCancel(context.Background())
	var w workers
	if working {
		w = e
	}
	if e.queue, err = open(cfg, e.process, w); err != nil {
		return nil, fmt.Errorf("opening the job queue: %w", err)
	}
	if err := e.queue.migrate(ctx); err != nil {
		return nil, fmt.Errorf("preparing the tables of the job queue: %w", err)
	}
	return e, nil
}

// EnqueueRun inserts, in the caller's transaction, a wake-up for a run: due at the
// given time, at once when it is zero or past. A future one is kept in the database
// and rings on time to about the poll interval (50 ms), whoever is alive by then.
func (e *Engine) EnqueueRun(ctx context.Context, tx ledger.Tx, runID string, at time.Time) error {
	return e.enqueue(ctx, tx, wake{kindRun, runID}, at)
}

// EnqueueDelivery is EnqueueRun for a delivery.
func (e *Engine) EnqueueDelivery(ctx context.Context, tx ledger.Tx, deliveryID string, at time.Time) error {
	return e.enqueue(ctx, tx, wake{kindDelivery, deliveryID}, at)
}

func (e *Engine) enqueue(ctx context.Context, tx ledger.Tx, w wake, at time.Time) error {
	if !at.IsZero() && !at.After(e.cfg.Now()) {
		at = time.Time{}
	}
	if err := e.queue.insert(ctx, tx, w, at); err != nil {
		return fmt.Errorf("enqueueing %s %s: %w", w.kind, w.id, err)
	}
	return nil
}

// Start registers this replica, takes over what dead ones left and begins to work. ctx
// bounds the start alone; the engine runs until Stop.
func (e *Engine) Start(ctx context.Context) error {
	if !e.working {
		return errors.New("jobs: this engine only enqueues")
	}
	err := errors.New("jobs: started before")
	e.startOnce.Do(func() {
		var joined time.Time
		if joined, err = e.join(ctx, e.cfg.Dead, e.cfg.Exclusive); err != nil {
			err = fmt.Errorf("registering this replica: %w", err)
			return
		}
		e.started.Store(true)
		go e.beat(joined)
		if err = e.queue.start(context.WithoutCancel(ctx)); err != nil {
			err = errors.Join(fmt.Errorf("starting the job queue: %w", err), e.Stop(ctx))
		}
	})
	return err
}

// How long the hard part of a stop may take once the caller's patience is over.
const (
	hardStop = 3 * time.Second
	farewell = 3 * time.Second
)

// Stop ends the engine softly: nothing new is begun, Stopping is closed, and the work
// under way may finish its step. When ctx ends first, the work is cancelled and given
// another 3 s. Whatever is still held then is released and woken elsewhere, and the
// replica leaves. An error means that this last part could not be written: the other
// replicas (or the next start) will notice by the lease.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopOnce.Do(func() { e.stopErr = e.stop(ctx) })
	return e.stopErr
}

func (e *Engine) stop(ctx context.Context) error {
	close(e.stopping)
	defer e.die()
	if !e.started.Load() {
		return nil
	}
	if err := e.queue.stop(ctx); err != nil {
		e.cfg.Log.Warn("work did not stop at a step's end in time; cancelling it")
		e.end(e.here(), errStopping)
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
		defer cancel()
		if err := e.queue.kill(late); err != nil {
			e.cfg.Log.Error("work does not react to being cancelled; it is left to its fence")
		}
	}
	e.die()
	<-e.beatDone
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := e.leave(last); err != nil {
		return fmt.Errorf("handing over: %w", err)
	}
	return nil
}
