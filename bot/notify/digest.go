package notify

import (
	"context"
	"fmt"
	"strconv"

	"rekey/audit/ledger"
	"rekey/bot/notify/slack"
	"rekey/bot/render"
	"rekey/commands"
)

// loadDigest reads what is to be told. It was decided once, and is told as it was
// decided, whoever tells it and after whatever crash.
func (n *Notifier) loadDigest(ctx context.Context, tx ledger.Tx, w *work) error {
	r, err := tx.Request(ctx, w.d.Subject)
	if err != nil {
		return fmt.Errorf("reading the digest: %w", err)
	}
	w.digest, err = commands.ReadDigest(r.Answer)
	w.shown = w.d.Wanted
	return err
}

// over reports that the digest's day has ended: what it says is wrong by now.
func (n *Notifier) over(w *work) bool { return !n.cfg.Now().Before(w.digest.Until) }

// outdated reports that a digest is not to be told any more, for certain: it was not
// posted, or nobody can look whether it was.
func (n *Notifier) outdated(w *work) bool {
	return !w.digest.Until.IsZero() && n.over(w) && (w.d.Attempts == 0 || n.cfg.Slack == nil)
}

// drop completes, in tx, a claimed digest that is not told.
func (n *Notifier) drop(ctx context.Context, tx ledger.Tx, w *work) error {
	d := w.d
	d.Sent, d.SentAt, d.Attempts = d.Wanted, n.cfg.Now(), 0
	if err := tx.UpdateDelivery(ctx, &d); err != nil {
		return err
	}
	if err := tx.Append(ctx, toldDigest(w, d)); err != nil {
		return err
	}
	return tx.ReleaseDelivery(ctx, d.ID, d.Holder, d.Fence)
}

// sendDigest posts the digest once. When its day is over it is only looked for: an
// attempt of that day may have gone through.
func (n *Notifier) sendDigest(ctx context.Context, w *work) error {
	if w.d.Ref != "" {
		return nil
	}
	if !n.over(w) {
		_, err := n.post(ctx, w, n.cfg.Channel, "", render.Digest(w.digest))
		return err
	}
	found, err := n.cfg.Slack.Find(ctx, n.cfg.Channel, "", w.d.Token, w.d.CreatedAt.Add(-skew))
	switch {
	case slack.CannotSearch(err):
		return nil
	case err != nil || len(found) == 0:
		return err
	}
	w.d.Ref = n.cfg.Channel + "/" + found[0]
	return n.remove(ctx, n.cfg.Channel, found[1:])
}

// toldDigest is the entry of the security log; without a Ref nothing was posted.
func toldDigest(w *work, d ledger.Delivery) *ledger.Entry {
	e := &ledger.Entry{
		Actor: "rekey", Action: "digest.sent", Subject: d.ID, Result: "done",
		Detail: map[string]string{
			"overdue": strconv.Itoa(len(w.digest.Overdue)), "due": strconv.Itoa(len(w.digest.Due)),
			"waiting": strconv.Itoa(len(w.digest.Waiting)), "automatic": strconv.Itoa(w.digest.Automatic()), "ref": d.Ref,
		},
	}
	if d.Ref == "" {
		e.Action, e.Result, e.Why = "digest.dropped", "dropped", "it could not be posted before its day was over"
		delete(e.Detail, "ref")
	}
	return e
}
