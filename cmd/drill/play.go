package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"rekey/audit/audittest"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
)

const (
	leaked  = "REVALIDATE_SECRET"
	command = "/rotate " + leaked + " compromised found in a CI log"
	// patience bounds each wait; a drill takes a few seconds of it.
	patience = 2 * time.Minute
)

// drill is one performance.
type drill struct {
	options
	out     *teller
	world   *rehearsal.World
	app     *app.App
	honest  *estatetest.Traffic
	hostile *estatetest.Traffic
	planted chan estatetest.Counts // what the attackers had done when the audit began
}

// play sets the scene, plays the incident, and answers an error unless it ended as a
// responder needs it to.
func play(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "rekey-drill-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &drill{options: o, out: newTeller(w), planted: make(chan estatetest.Counts, 1)}
	if d.world, err = rehearsal.Build(ctx, rehearsal.Config{Dir: dir, DatabaseURL: o.Database, Listen: o.Listen, Estate: estatetest.Config{Past: true}}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.world.Close()) }()
	served, err := d.curtain(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served()) }()
	return d.incident(ctx)
}

// curtain opens the App and lets it serve; the function it answers ends that.
func (d *drill) curtain(ctx context.Context) (func() error, error) {
	log := slog.DiscardHandler
	if d.Log {
		log = slog.NewTextHandler(os.Stderr, nil)
	}
	cfg, err := rehearsal.AppConfig(d.world.Getenv, log)
	if err != nil {
		return nil, err
	}
	cfg.Observer = d.observe
	if d.app, err = app.Open(ctx, cfg, true); err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- d.app.Serve(serving) }()
	end := func() error {
		stop()
		err := <-done
		d.app.Close()
		return err
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.world.Slack.WaitConnections(within, 1); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to Slack: %w", err), end())
	}
	return end, nil
}

// observe calls the attackers off right before the evidence is read, so that what
// was planted can be held against what is found to the last request.
func (d *drill) observe(_ ledger.Run, s ledger.Step, m journal.Moment) {
	if s.Kind == "audit" && m == journal.Intended && d.hostile != nil {
		d.planted <- d.hostile.Stop()
		d.hostile = nil
	}
}

func (d *drill) incident(ctx context.Context) error {
	d.scene(ctx)
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.leak(within); err != nil {
		return err
	}
	watching, unwatch := context.WithCancel(within)
	told := make(chan struct{})
	go func() {
		defer close(told)
		d.watch(watching)
	}()
	typed := time.Now()
	d.out.say("alice types  %s", command)
	answer, err := d.world.Alice.Type(within, d.world.Alerts, command)
	if err != nil {
		unwatch()
		return err
	}
	d.out.say("Slack shows alice, %v later:", answer.Took.Round(time.Millisecond))
	d.out.quote(answer.Text)
	run, err := d.untilTold(within)
	unwatch()
	<-told
	if err != nil {
		return err
	}
	counts := d.honest.Stop()
	err = d.figures(within, outcome{run: run, typed: typed, honest: counts.Honest, planted: <-d.planted, answered: answer.Took})
	return errors.Join(err, d.after(ctx))
}

// scene says what is on stage and starts the traffic.
func (d *drill) scene(ctx context.Context) {
	d.world.Sentry.AddIssue(audittest.Issue{Title: "PermissionDenied: Invalid signature", Culprit: "/api/revalidate/", Value: "Invalid signature", Count: 7, Users: 1})
	d.world.Sentry.AddIssue(audittest.Issue{Title: "TimeoutError: feed took too long", Culprit: "/feed/", Value: "timeout", Count: 3, Users: 2})
	d.honest = d.world.Estate.StartTraffic(ctx, estatetest.TrafficConfig{Honest: 50})
	d.hostile = d.world.Estate.StartTraffic(ctx, estatetest.TrafficConfig{Attack: 5, Probe: 2})
	d.out.title("The drill: %s has leaked", leaked)
	d.out.line("Estate     api (4 workers, accepts) and web (2 workers, signs): two real processes with real .env files")
	d.out.line("Traffic    50 honest requests a second through web; %s holds the leaked value;", estatetest.AttackerAddr)
	d.out.line("           %s holds nothing and tries anyway", estatetest.ProberAddr)
	d.out.line("Past       two days of logs; %s before, %s was refused %d times and then let in, once",
		estatetest.PastEntry, estatetest.AttackerAddr, estatetest.PastRefused)
	d.out.line("Look       %s", d.world.Slack.UIURL())
	d.out.gap()
}

// leak waits until the attacker has been let in a few times.
func (d *drill) leak(ctx context.Context) error {
	for d.hostile.Counts().Attacker.Accepted < 5 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// watch prints #devops-alerts and PagerDuty as they happen.
func (d *drill) watch(ctx context.Context) {
	go func() {
		i, err := d.world.PagerDuty.WaitIncident(ctx, func(bottest.Incident) bool { return true })
		if err == nil {
			d.out.say("PagerDuty wakes on-call (%s): %s", i.Severity, i.Summary)
		}
	}()
	for change := range d.world.Alerts.Watch(ctx) {
		if change.Message.Only == "" { // alice's own answer was shown already
			d.out.change(change)
		}
	}
}

// untilTold waits for the run to end and for everybody to be told.
func (d *drill) untilTold(ctx context.Context) (ledger.Run, error) {
	for {
		var run ledger.Run
		left := 0
		err := d.app.Store().View(ctx, func(ctx context.Context, tx ledger.Tx) error {
			// What keeps watch afterwards goes on for a day.
			runs, err := tx.Runs(ctx, ledger.RunFilter{Kind: ledger.KindRotate, Limit: 1})
			if err != nil || len(runs) == 0 {
				return err
			}
			run, left = runs[0], 0
			ds, err := tx.Deliveries(ctx, run.ID)
			for _, x := range ds {
				if x.Sent < x.Wanted {
					left++
				}
			}
			return err
		})
		if err != nil {
			return run, err
		}
		if run.State.Final() && left == 0 {
			return run, nil
		}
		select {
		case <-ctx.Done():
			return run, fmt.Errorf("the run is %q and %d messages are untold: %w", run.State, left, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// chart is the picture in the thread; the zero File when there is none.
func (d *drill) chart() bottest.File {
	for _, f := range d.world.Slack.Files() {
		if f.Type == "image/png" {
			return f
		}
	}
	return bottest.File{}
}

// after leaves a page, or everything, to look at.
func (d *drill) after(ctx context.Context) error {
	if d.Page != "" {
		if err := os.WriteFile(d.Page, []byte(d.world.Slack.HTML(d.world.Alerts)), 0o600); err != nil {
			return err
		}
	}
	if d.Chart != "" {
		if err := os.WriteFile(d.Chart, d.chart().Content, 0o600); err != nil {
			return err
		}
	}
	if !d.Keep {
		return nil
	}
	d.out.gap()
	d.out.line("Everything is left running. Type commands at %s and end with Ctrl-C.", d.world.Slack.UIURL())
	d.honest = d.world.Estate.StartTraffic(ctx, estatetest.TrafficConfig{Honest: 10})
	<-ctx.Done()
	d.honest.Stop()
	return nil
}
