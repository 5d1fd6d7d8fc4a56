package notify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
	"rekey/commands/journal"
)

// work is a claimed delivery and the scene it has to tell.
type work struct {
	d      ledger.Delivery
	scene  render.Scene
	digest commands.DailyDigest // instead of a scene, of a digest
	board  ledger.Delivery      // the run's board; zero when it has none
	// unsure: an earlier post may have gone through without our learning of it.
	unsure bool
	// first: nothing of this delivery was sent before.
	first bool
	// shown is what is complete once the scene was told: the run's version, or more
	// where more was asked for when the scene was read.
	shown int64
}

// final reports whether the scene is the run's last.
func (w *work) final() bool { return w.scene.Run.State.Final() }

// claim takes hold of the delivery and stores what must be stored before a call: the
// token, and that a post is about to be tried. It answers nil when nothing is left
// to send, and an error when the delivery has to wait; then it is not held.
func (n *Notifier) claim(ctx context.Context, id string) (*work, error) {
	var (
		w     *work
		wait  error
		token = rand.Text()
		// Asked out here: the transaction's context need not descend from ours.
		replica = n.cfg.Replica(ctx)
	)
	err := n.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		w, wait = nil, nil
		d, err := tx.ClaimDelivery(ctx, id, replica)
		if err != nil {
			return err
		}
		release := func() error { return tx.ReleaseDelivery(ctx, d.ID, d.Holder, d.Fence) }
		if d.Sent >= d.Wanted {
			return release()
		}
		got := &work{d: d, first: d.Sent == 0}
		if err := n.load(ctx, tx, got); err != nil {
			return err
		}
		if n.outdated(got) {
			return n.drop(ctx, tx, got)
		}
		if wait, err = n.gate(ctx, tx, got); err != nil {
			return err
		} else if wait != nil {
			return release()
		}
		if got.d.Token == "" {
			got.d.Token = token
		}
		if got.d.Ref == "" && !pages(got.d.Kind) {
			got.unsure = got.d.Attempts > 0
			got.d.Attempts++
		}
		if err := tx.UpdateDelivery(ctx, &got.d); err != nil {
			return err
		}
		w = got
		return nil
	})
	switch {
	case errors.Is(err, ledger.ErrHeld):
		return nil, RetryAfter{Delay: time.Second, Class: "being delivered"}
	case err != nil:
		return nil, fmt.Errorf("claiming delivery: %w", err)
	}
	return w, wait
}

func pages(kind string) bool { return kind == journal.PageTrigger || kind == journal.PageResolve }

// load reads the scene in tx.
func (n *Notifier) load(ctx context.Context, tx ledger.Tx, w *work) error {
	if w.d.Kind == journal.Digest {
		return n.loadDigest(ctx, tx, w)
	}
	var err error
	if w.scene, err = Scene(ctx, tx, w.d.Run, n.cfg.Now()); err != nil {
		return err
	}
	run := w.scene.Run
	home, err := home(run)
	if err != nil {
		return err
	}
	w.board, err = tx.Delivery(ctx, boardID(home))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("reading the board's delivery: %w", err)
	}
	w.shown = max(run.Version, w.d.Wanted)
	return nil
}

// home is the run below whose board a run's replies stand.
func home(run ledger.Run) (string, error) {
	switch {
	case run.Batch != "":
		return run.Batch, nil
	case run.Kind == ledger.KindWatch:
		w, err := commands.ReadWatch(run.Memo)
		return w.Board, err
	}
	return run.ID, nil
}

// anchor is the run's newest entry that is not about telling people: else every
// edit of the board would call for another.
func anchor(es []ledger.Entry) render.Anchor {
	for i := len(es) - 1; i >= 0; i-- {
		if !strings.HasPrefix(es[i].Action, "told.") {
			return render.Anchor{Seq: es[i].Seq, Hash: es[i].Hash}
		}
	}
	return render.Anchor{}
}

// gate says whether the delivery has to wait for another one.
func (n *Notifier) gate(ctx context.Context, tx ledger.Tx, w *work) (wait, err error) {
	switch {
	case pages(w.d.Kind) && n.cfg.Page == nil:
		return Permanent{Class: "PagerDuty is not configured"}, nil
	case !pages(w.d.Kind) && n.cfg.Slack == nil:
		return Permanent{Class: "Slack is not configured"}, nil
	case w.d.Kind == journal.PageResolve:
		return n.gateResolve(ctx, tx, w)
	case n.below(w) && w.board.ID != "" && w.board.Ref == "":
		return RetryAfter{Delay: patience(w.board), Class: "waiting for the board"}, nil
	}
	return nil, nil
}

// below reports whether the delivery belongs into the board's thread.
func (n *Notifier) below(w *work) bool {
	return w.d.Kind == journal.Thread || w.d.Kind == journal.Files || w.d.Kind == journal.Reply && n.elsewhere(w) == ""
}

// elsewhere is the conversation a reply goes to when it was not asked for in the
// incident channel.
func (n *Notifier) elsewhere(w *work) string {
	if to := w.scene.Run.ReplyTo; w.d.Kind == journal.Reply && channelID.MatchString(to) && to != n.cfg.Channel {
		return to
	}
	return ""
}

// gateResolve holds a resolve back until every page of its incident was sent: one
// that came later would open the incident again.
func (n *Notifier) gateResolve(ctx context.Context, tx ledger.Tx, w *work) (wait, err error) {
	run := w.scene.Run
	runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: run.Secret, Environment: run.Environment})
	if err != nil {
		return nil, fmt.Errorf("reading the incident's runs: %w", err)
	}
	for _, r := range append(runs, run, ledger.Run{ID: run.Incident, Incident: run.Incident}) {
		if r.Incident != run.Incident {
			continue
		}
		d, err := tx.Delivery(ctx, triggerID(r.ID))
		switch {
		case errors.Is(err, ledger.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("reading the page's delivery: %w", err)
		case d.Sent < d.Wanted:
			return RetryAfter{Delay: patience(d), Class: "waiting for the page"}, nil
		}
	}
	return nil, nil
}

// patience is how long to wait for another delivery: longer when it is in trouble.
func patience(d ledger.Delivery) time.Duration {
	if d.LastError != "" {
		return 5 * time.Second
	}
	return time.Second
}

// reload reads what has changed since the last send, if the delivery is still ours.
func (n *Notifier) reload(ctx context.Context, w *work) error {
	err := n.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		d, err := stillOurs(ctx, tx, w)
		if err != nil {
			return err
		}
		w.d.Wanted = d.Wanted
		return n.load(ctx, tx, w)
	})
	if err != nil {
		return fmt.Errorf("reading the delivery again: %w", err)
	}
	return nil
}

// check answers ErrFenced when the delivery is not ours any more. It is asked right
// before a post: a process that was paused since its claim shall not post.
func (n *Notifier) check(ctx context.Context, w *work) error {
	err := n.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		_, err := stillOurs(ctx, tx, w)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking the delivery: %w", err)
	}
	return nil
}

func stillOurs(ctx context.Context, tx ledger.Tx, w *work) (ledger.Delivery, error) {
	d, err := tx.Delivery(ctx, w.d.ID)
	if err == nil && (d.Fence != w.d.Fence || d.Holder != w.d.Holder) {
		err = ledger.ErrFenced
	}
	return d, err
}
