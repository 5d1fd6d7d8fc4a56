package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/notify"
	"rekey/bot/render"
	"rekey/commands"
)

// stopWithin is how long a stopping process waits for the step at hand.
const stopWithin = 45 * time.Second

// Serve works until ctx ends: it takes commands from Slack, carries runs on and
// tells people. On the way out it finishes or hands over what it has begun.
func (a *App) Serve(ctx context.Context) error {
	listener, err := a.bot()
	if err != nil {
		return err
	}
	if err := a.jobs.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the job engine: %w", err)
	}
	defer a.stop(ctx)
	background, cancel := context.WithCancel(ctx)
	defer cancel()
	go a.keepLearning(background)
	go a.identify(background)
	go a.keepSchedule(background)
	closeHealth, err := a.serveHealth(background)
	if err != nil {
		return err
	}
	defer closeHealth()
	a.log.Info("rekey is on duty", "version", a.cfg.Version)
	if err := listener.Run(ctx); err != nil && ctx.Err() == nil {
		return a.withoutSlack(ctx, err)
	}
	<-ctx.Done()
	return nil
}

// withoutSlack goes on for as long as there is a run to carry: that Slack refuses the
// token must not stop a rotation half-way. Then it answers the refusal.
func (a *App) withoutSlack(ctx context.Context, refused error) error {
	a.log.Error("Slack refuses the connection; runs under way are carried on without it", "cause", refused.Error())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		active, err := a.active(ctx)
		if err == nil && !active {
			return refused
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// active reports whether a run is unfinished.
func (a *App) active(ctx context.Context) (active bool, err error) {
	err = a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		runs, err := tx.Runs(ctx, ledger.RunFilter{Active: true, Limit: 1})
		active = len(runs) > 0
		return err
	})
	return active, err
}

// stop ends the job engine: softly first, so that the step at hand is committed.
func (a *App) stop(ctx context.Context) {
	soft, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := a.jobs.Stop(soft); err != nil {
		a.log.Error("stopping the job engine", "cause", err.Error())
	}
}

// Take takes one request; see intake.Desk.
func (a *App) Take(ctx context.Context, req commands.Request) (commands.Answer, error) {
	return a.desk.Take(ctx, req)
}

// Look answers a run and its steps as they are now.
func (a *App) Look(ctx context.Context, runID string) (run ledger.Run, steps []ledger.Step, err error) {
	err = a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		if run, err = tx.Run(ctx, runID); err != nil {
			return err
		}
		steps, err = tx.Steps(ctx, runID)
		return err
	})
	return run, steps, err
}

// Scene answers everything there is to tell of a run as it is now.
func (a *App) Scene(ctx context.Context, runID string) (s render.Scene, err error) {
	err = a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		s, err = notify.Scene(ctx, tx, runID, time.Now())
		return err
	})
	return s, err
}

// Store is the security log, for the commands that read it.
func (a *App) Store() ledger.Store { return a.store }

// Log is the App's guarded log.
func (a *App) Log() *slog.Logger { return a.log }

// serveHealth answers GET /healthz while the database does.
func (a *App) serveHealth(ctx context.Context) (stop func(), err error) {
	addr := a.cfg.Settings.HealthAddress
	if addr == "" {
		return func() {}, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for health checks on %s: %w", addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		within, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		err := a.store.View(within, func(ctx context.Context, tx ledger.Tx) error {
			_, _, err := tx.Head(ctx)
			return err
		})
		if err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("serving health checks", "cause", err.Error())
		}
	}()
	return func() { _ = srv.Close() }, nil
}
