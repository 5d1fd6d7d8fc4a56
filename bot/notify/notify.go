// Package notify makes one delivery at a time: it claims it in the ledger, renders
// what the run looks like now, tells Slack or PagerDuty, and records that in the
// transaction that completes the delivery. It exists so that telling people can
// fail, be slow or be cut off at any point without a message being lost or made
// twice, and without the rotation waiting for it.
//
// How: a random token is stored before the first call and travels in the message.
// A post whose outcome is unknown is looked for by its token before it is made
// again, and what slipped through all the same is found by it and removed. Edits
// and PagerDuty events may be repeated without harm. All retrying is the job
// engine's; the errors here say when it makes sense (RetryAfter, Failed,
// Permanent).
package notify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/notify/pagerduty"
	"rekey/bot/notify/slack"
	"rekey/commands/journal"
)

// The ids of the deliveries that others wait for, as package journal makes them.

func boardID(run string) string   { return run + "/board" }
func triggerID(run string) string { return run + "/page-trigger" }
func resolveID(run string) string { return run + "/page-resolve" }

// Config is what a Notifier needs.
type Config struct {
	Store ledger.Store
	// Replica answers the id the work of a ctx holds deliveries under (jobs.ReplicaID).
	Replica func(ctx context.Context) string
	// Slack and Page may be nil where that service is not configured: deliveries to
	// it are kept, and shown as waiting for the configuration.
	Slack *slack.Client
	Page  *pagerduty.Client
	// Channel is the id of the incident channel (#devops-alerts).
	Channel string
	// Source says in pages whose estate this is.
	Source string
	Log    *slog.Logger
	Now    func() time.Time // nil means time.Now
}

// Notifier delivers. It is safe for concurrent use.
type Notifier struct{ cfg Config }

// New checks cfg.
func New(cfg Config) (*Notifier, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("notify: Config.Store is missing")
	case cfg.Replica == nil:
		return nil, errors.New("notify: Config.Replica is missing")
	case cfg.Log == nil:
		return nil, errors.New("notify: Config.Log is missing")
	case cfg.Slack != nil && cfg.Channel == "":
		return nil, errors.New("notify: Config.Channel is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Notifier{cfg: cfg}, nil
}

// Deliver makes the delivery of that id: it returns nil when nothing is left to
// send, and otherwise a RetryAfter, Failed or Permanent, all of which mean "call me
// again". ErrFenced means that another replica has taken the delivery over.
//
// What changed while a message was on its way is sent before Deliver returns, so
// ten changes in a second become two edits.
func (n *Notifier) Deliver(ctx context.Context, id string) error {
	w, err := n.claim(ctx, id)
	if err != nil || w == nil {
		return err
	}
	for {
		if err := n.send(ctx, w); err != nil {
			return n.fail(ctx, w, err)
		}
		more, err := n.record(ctx, w)
		if err != nil || !more {
			return err
		}
		if err := n.reload(ctx, w); err != nil {
			return n.fail(ctx, w, err)
		}
	}
}

func (n *Notifier) send(ctx context.Context, w *work) error {
	switch w.d.Kind {
	case journal.Board:
		return n.sendBoard(ctx, w)
	case journal.Thread, journal.Reply:
		return n.sendReply(ctx, w)
	case journal.Files:
		return n.sendFiles(ctx, w)
	case journal.PageTrigger, journal.PageResolve:
		return n.sendPage(ctx, w)
	case journal.Digest:
		return n.sendDigest(ctx, w)
	}
	return Permanent{Class: "unknown kind of delivery"}
}
