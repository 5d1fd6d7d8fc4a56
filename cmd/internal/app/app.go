// Package app puts the layers together: one place that knows which database, which
// stores, which messengers, and in which order they start and stop. The daemon, the
// command line and the drill are all this one App, so that what is practised is what
// runs.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/postgres"
	"rekey/audit/ledger/sqlite"
	"rekey/bot/notify/slack"
	"rekey/cmd/internal/config"
	"rekey/commands/emergency"
	"rekey/commands/inspect"
	"rekey/commands/intake"
	"rekey/commands/jobs"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/usage"
)

// Config is what an App is made of.
type Config struct {
	Catalogue *secret.Catalogue
	Settings  config.Settings
	// Log receives everything the App has to say; it is guarded by the App. Required.
	Log slog.Handler
	// Version is told to Sentry and on start.
	Version string
	// Within bounds each check of a consumer; 0 means 30 s.
	Within time.Duration
	// Recheck bounds the pause between two looks at what a rotation waits for; 0 means
	// 1 min.
	Recheck time.Duration
	// WatchEvery is how often a watch after a compromised rotation looks; 0 means 1 min.
	WatchEvery time.Duration
	// Readers bounds the cores used for reading logs; 0 means all. An App that acknowledges
	// commands meanwhile needs more of the runtime's processors (GOMAXPROCS) than readers.
	Readers int
	// Observer is called at each moment of each step; see journal.Observer.
	Observer journal.Observer
}

// App is one process of rekey: the layers, open and wired, not yet running.
type App struct {
	cfg     Config
	log     *slog.Logger
	guard   *secret.Guard
	key     secret.Key
	store   ledger.Store
	unlock  func() error // gives the single-process lock back; nil when not held
	stores  map[string]store.Store
	rotator *rotate.Rotator
	// inspector reads evidence.
	inspector *inspect.Inspector
	jobs      *jobs.Engine
	desk      *intake.Desk
	sentry    *reporter
	slack     *slack.Client // nil without a bot token

	working bool // this App can carry runs on
	begun   bool // Carry has started the job engine
}

// Open opens the database and wires the layers. With work true the App will carry
// runs on once started: on SQLite that takes the lock that only one process can
// hold, and Open fails with ledger.ErrLocked while another has it. With work false
// the App can only record requests, for a process that works to take up.
func Open(ctx context.Context, cfg Config, work bool) (_ *App, err error) {
	a := &App{cfg: cfg, working: work, key: cfg.Settings.Key}
	a.guard = secret.NewGuard(a.key)
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.stores, err = openStores(ctx, cfg.Catalogue); err != nil {
		return nil, err
	}
	if a.sentry, err = newReporter(cfg, a.guard); err != nil {
		return nil, err
	}
	a.log = slog.New(a.guard.Handler(a.sentry.handler(cfg.Log)))
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	if err := a.learn(ctx); err != nil {
		return nil, err
	}
	if err := a.wire(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) openStore(ctx context.Context) (err error) {
	if path := a.cfg.Settings.SQLitePath(); path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("making the state folder: %w", err)
		}
		if a.working {
			if a.unlock, err = sqlite.Lock(path); err != nil {
				return err
			}
		}
	}
	a.store, err = OpenLedger(ctx, a.cfg.Settings)
	return err
}

// OpenLedger opens the security log alone: to verify and export it must be possible
// whatever has become of the catalogue and the services.
func OpenLedger(ctx context.Context, s config.Settings) (ledger.Store, error) {
	chain, err := ledger.NewKey(s.Key.Derive(secret.LabelLedger).Bytes())
	if err != nil {
		return nil, err
	}
	var st ledger.Store
	if s.Postgres() {
		st, err = postgres.Open(ctx, postgres.Config{URL: s.DatabaseURL.Reveal(), Key: chain})
	} else {
		st, err = sqlite.Open(ctx, sqlite.Config{Path: s.SQLitePath(), Key: chain})
	}
	if err != nil {
		return nil, fmt.Errorf("opening the security log: %w", err)
	}
	return st, nil
}

func (a *App) wire(ctx context.Context) error {
	checks, err := a.newChecks()
	if err != nil {
		return err
	}
	a.rotator, err = rotate.New(rotate.Config{
		Stores: a.stores, Issuers: Issuers(a.cfg.Within), Checks: checks, Look: checks.look,
		Guard: a.guard, Key: a.key, Within: a.cfg.Within, Recheck: a.cfg.Recheck,
	})
	if err != nil {
		return err
	}
	a.inspector, err = inspect.New(inspect.Config{
		Catalogue:   a.cfg.Catalogue,
		SentryToken: a.cfg.Settings.SentryAuthToken.Reveal,
		HTTPClient:  &http.Client{Transport: a.outward()},
		Tracer:      a.tracer,
		Workers:     a.cfg.Readers,
	})
	if err != nil {
		return err
	}
	notifier, err := a.newNotifier()
	if err != nil {
		return err
	}
	// The engine needs the queue and the queue needs the engine's work: the job
	// engine is made first, with functions that are called only once it is started.
	var carry *emergency.Engine
	cfg := jobs.Config{
		Store: a.store, Log: a.log, Exclusive: a.unlock != nil,
		Work:     func(ctx context.Context, run ledger.Run) error { return carry.Work(ctx, run) },
		Deliver:  notifier.Deliver,
		Panicked: a.sentry.panicked,
	}
	if a.working {
		a.jobs, err = jobs.New(ctx, cfg)
	} else {
		a.jobs, err = jobs.InsertOnly(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("opening the job queue: %w", err)
	}
	tripwires, err := usage.New(usage.Config{Guard: a.guard})
	if err != nil {
		return err
	}
	carry = emergency.New(emergency.Config{
		Catalogue: a.cfg.Catalogue, Rotator: a.rotator, Inspector: a.inspector, Store: a.store,
		Queue: a.jobs, Log: a.log, Now: time.Now, Observer: a.cfg.Observer, WatchEvery: a.cfg.WatchEvery, Tripwires: tripwires,
	})
	a.desk = intake.New(intake.Config{
		Planner: a.rotator, Catalogue: a.cfg.Catalogue, Store: a.store, Queue: a.jobs, Guard: a.guard, Now: time.Now,
	})
	return nil
}

// Close ends what Carry has begun and releases everything Open took. Serve must have
// returned.
func (a *App) Close() {
	if a.begun {
		a.stop(context.Background())
	}
	if a.sentry != nil {
		a.sentry.flush()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil && !errors.Is(err, context.Canceled) {
			a.log.Warn("closing the security log", "cause", err.Error())
		}
	}
	if a.unlock != nil {
		if err := a.unlock(); err != nil {
			a.log.Warn("giving the database's lock back", "cause", err.Error())
		}
	}
}
