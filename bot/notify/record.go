package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/journal"
)

// closing bounds the transaction that ends a delivery; it runs on when the job's
// context is over, so that what was sent is recorded.
const closing = 5 * time.Second

// record completes a send: what was sent, the entry in the security log and, when
// nothing more is wanted, the release are one transaction. more reports that the
// run has changed meanwhile and the delivery is still held.
func (n *Notifier) record(ctx context.Context, w *work) (more bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	first := w.first
	next := w.d
	err = n.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		next = w.d
		next.Sent = w.shown
		next.SentAt = n.cfg.Now()
		next.LastError = ""
		if next.Attempts == 1 || w.final() || next.Kind != journal.Board {
			next.Attempts = 0 // else a copy may still turn up: looked for at the end
		}
		if err := tx.UpdateDelivery(ctx, &next); err != nil {
			return err
		}
		if first || w.final() {
			if err := tx.Append(ctx, told(w, next, first)); err != nil {
				return err
			}
		}
		if more = next.Sent < next.Wanted; more {
			return nil
		}
		return tx.ReleaseDelivery(ctx, next.ID, next.Holder, next.Fence)
	})
	if errors.Is(err, ledger.ErrFenced) {
		return false, n.amend(ctx, w)
	}
	if err != nil {
		return false, fmt.Errorf("recording the delivery: %w", err)
	}
	w.d, w.first, w.unsure = next, false, false
	return more, nil
}

// told is the entry of the security log. Of a board the first post and the last
// edit are acts worth an entry; the edits between are not.
func told(w *work, d ledger.Delivery, first bool) *ledger.Entry {
	if d.Kind == journal.Digest {
		return toldDigest(w, d)
	}
	r := w.scene.Run
	action := "told.slack"
	if pages(d.Kind) {
		action = "told.pagerduty"
	}
	what := "posted"
	switch {
	case d.Kind == journal.PageTrigger:
		what = "triggered"
	case d.Kind == journal.PageResolve:
		what = "resolved"
	case !first:
		what = "edited"
	case len(uploaded(d)) > 0:
		what = "attached"
	}
	return &ledger.Entry{
		Actor: "rekey", Action: action, Subject: r.Environment + "/" + r.Secret, Run: r.ID, Result: "done",
		Detail: map[string]string{"delivery": d.ID, "what": what, "ref": d.Ref},
	}
}

// fail records the class of a failure and lets go of the delivery.
func (n *Notifier) fail(ctx context.Context, w *work, cause error) error {
	if errors.Is(cause, ledger.ErrFenced) {
		return cause
	}
	class, out := typed(cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	err := n.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		d := w.d
		if class != "" {
			d.LastError = class
		}
		if sure(cause) && d.Ref == "" && d.Attempts > 0 {
			d.Attempts-- // Slack said no: nothing was posted
		}
		if err := tx.UpdateDelivery(ctx, &d); err != nil {
			return err
		}
		return tx.ReleaseDelivery(ctx, d.ID, d.Holder, d.Fence)
	})
	if errors.Is(err, ledger.ErrFenced) && !sure(cause) {
		return n.amend(ctx, w) // no answer came, but what was sent may have arrived
	}
	if err != nil {
		// The claim stays ours until this process is taken for dead; then the
		// delivery is handed on.
		return errors.Join(out, fmt.Errorf("letting go of the delivery: %w", err))
	}
	n.cfg.Log.Warn("not delivered yet", "delivery", w.d.ID, "why", out.Error())
	return out
}

// save stores w.d in the middle of a delivery.
func (n *Notifier) save(ctx context.Context, w *work) error {
	next := w.d
	err := n.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		next = w.d
		return tx.UpdateDelivery(ctx, &next)
	})
	if err != nil {
		return fmt.Errorf("storing the delivery: %w", err)
	}
	w.d = next
	return nil
}

// amend puts right what was sent after another replica had taken the delivery over.
// The board may now show an older state, and a page may have come after its
// resolve, so those are asked for once more (the job engine's safety net sees to
// it); a message made twice is removed.
func (n *Notifier) amend(ctx context.Context, w *work) error {
	var theirs ledger.Delivery
	err := n.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		if theirs, err = tx.Delivery(ctx, w.d.ID); err != nil {
			return err
		}
		again := theirs
		switch w.d.Kind {
		case journal.Board:
		case journal.PageTrigger: // it may have come after the resolve and opened the incident again
			again, err = tx.Delivery(ctx, resolveID(w.d.Run))
			if errors.Is(err, ledger.ErrNotFound) {
				return nil
			}
		default:
			return nil
		}
		if err != nil {
			return err
		}
		again.Wanted++
		_, err = tx.PutDelivery(ctx, again)
		return err
	})
	if err != nil {
		return fmt.Errorf("putting right what was sent late: %w", err)
	}
	if w.d.Kind == journal.Files {
		return errors.Join(ledger.ErrFenced, n.unshare(ctx, w, theirs))
	}
	if pages(w.d.Kind) || theirs.Ref == "" || theirs.Ref == w.d.Ref {
		return ledger.ErrFenced
	}
	channel, ts := split(w.d.Ref)
	if ts != "" {
		err = n.remove(ctx, channel, []string{ts})
	} else { // whether it was posted is not known
		w.d.Ref = theirs.Ref
		channel, _ = split(theirs.Ref)
		home, thread := split(w.board.Ref)
		if !n.below(w) || home != channel {
			thread = ""
		}
		err = n.tidy(ctx, w, channel, thread)
	}
	if err != nil {
		return errors.Join(ledger.ErrFenced, err)
	}
	return ledger.ErrFenced
}

// sure reports that cause means nothing was sent.
func sure(cause error) bool {
	var e interface{ NotSent() bool }
	if errors.As(cause, &e) {
		return e.NotSent()
	}
	var p Permanent
	var r RetryAfter
	return errors.As(cause, &p) || errors.As(cause, &r)
}
