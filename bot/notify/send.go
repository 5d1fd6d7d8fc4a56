package notify

import (
	"context"
	"regexp"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/notify/slack"
	"rekey/bot/render"
	"rekey/commands/journal"
)

// sendBoard posts the board, or edits it where it stands.
func (n *Notifier) sendBoard(ctx context.Context, w *work) error {
	m := render.Board(w.scene)
	if w.d.Ref == "" {
		adopted, err := n.post(ctx, w, n.cfg.Channel, "", m)
		if err != nil || !adopted {
			return err
		}
		// What was found may tell an older state.
	}
	channel, ts := split(w.d.Ref)
	err := n.cfg.Slack.Edit(ctx, channel, ts, w.d.Token, m)
	if !slack.Gone(err) {
		if err == nil && w.final() && w.d.Attempts > 1 {
			return n.tidy(ctx, w, channel, "")
		}
		return err
	}
	// Somebody deleted it: it is posted anew, and that is stored before the call.
	w.d.Ref, w.d.Attempts, w.unsure = "", 1, false
	if err := n.save(ctx, w); err != nil {
		return err
	}
	_, err = n.post(ctx, w, n.cfg.Channel, "", m)
	return err
}

// sendReply posts below the board, or where the person asked.
func (n *Notifier) sendReply(ctx context.Context, w *work) error {
	if w.d.Ref != "" {
		return nil // a reply is posted once and tells what will not change
	}
	m, err := n.replyMessage(w)
	if err != nil {
		return err
	}
	home, thread := split(w.board.Ref)
	if home == "" {
		home = n.cfg.Channel
	}
	if to := n.elsewhere(w); to != "" {
		_, err := n.post(ctx, w, to, "", m)
		if !slack.NoEntry(err) {
			return err
		}
		// Asked in a conversation we are no member of: the incident channel is
		// where they will look next.
	}
	_, err = n.post(ctx, w, home, thread, m)
	return err
}

var channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{2,}$`)

func (n *Notifier) replyMessage(w *work) (render.Message, error) {
	switch {
	case w.d.Kind == journal.Reply:
		return render.Reply(w.scene), nil
	case w.scene.Run.Kind == ledger.KindWatch:
		m, ok := render.WatchReply(w.scene, w.d.Subject)
		if !ok {
			return render.Message{}, Permanent{Class: "nothing of that kind to tell"}
		}
		return m, nil
	case w.d.Subject == journal.AllSteps:
		return render.Steps(w.scene), nil
	case w.d.Subject != "" && w.d.Subject != journal.Report:
		m, ok := render.StepDetail(w.scene, w.d.Subject)
		if !ok {
			return render.Message{}, Permanent{Class: "no such step"}
		}
		return m, nil
	case w.scene.Run.Kind == ledger.KindBatch:
		return render.BatchEvidence(w.scene), nil
	case w.scene.Report == nil:
		return render.Message{}, RetryAfter{Delay: 5 * time.Second, Class: "waiting for the report"}
	}
	return render.Evidence(*w.scene.Report), nil
}

// post makes a message once. Where an earlier attempt may have made it already it
// is looked for first and, when found, adopted.
func (n *Notifier) post(ctx context.Context, w *work, channel, thread string, m render.Message) (adopted bool, err error) {
	if w.unsure {
		found, err := n.cfg.Slack.Find(ctx, channel, thread, w.d.Token, w.d.CreatedAt.Add(-skew))
		switch {
		case slack.CannotSearch(err):
			// Without the right to look, a message made twice is better than none.
		case err != nil:
			return false, err
		case len(found) > 0:
			w.d.Ref = channel + "/" + found[0]
			return true, n.remove(ctx, channel, found[1:])
		}
	}
	if err := n.check(ctx, w); err != nil {
		return false, err
	}
	ts, err := n.cfg.Slack.Post(ctx, channel, thread, w.d.Token, m)
	if err != nil {
		return false, err
	}
	w.d.Ref = channel + "/" + ts
	if w.unsure {
		return false, n.tidy(ctx, w, channel, thread)
	}
	return false, nil
}

// skew is how far our clock and Slack's may be apart.
const skew = 10 * time.Minute

// tidy removes copies of the message: an attempt that timed out may have been
// carried out after we had looked for it. The oldest copy stays.
func (n *Notifier) tidy(ctx context.Context, w *work, channel, thread string) error {
	found, err := n.cfg.Slack.Find(ctx, channel, thread, w.d.Token, w.d.CreatedAt.Add(-skew))
	if slack.CannotSearch(err) || err == nil && len(found) < 2 {
		return nil
	}
	if err != nil {
		return err
	}
	_, ours := split(w.d.Ref)
	var extra []string
	for _, ts := range found {
		if ts != ours {
			extra = append(extra, ts)
		}
	}
	return n.remove(ctx, channel, extra)
}

func (n *Notifier) remove(ctx context.Context, channel string, stamps []string) error {
	for _, ts := range stamps {
		if err := n.cfg.Slack.Delete(ctx, channel, ts); err != nil {
			return err
		}
		n.cfg.Log.Info("removed a message that had been made twice", "channel", channel)
	}
	return nil
}

// split takes a Ref apart: "C0123/1700000000.000100".
func split(ref string) (channel, ts string) {
	channel, ts, _ = strings.Cut(ref, "/")
	return channel, ts
}

// sendPage tells PagerDuty. It never waits for Slack: the link leads to the board
// once that stands, and to its channel before.
func (n *Notifier) sendPage(ctx context.Context, w *work) error {
	if err := n.check(ctx, w); err != nil {
		return err
	}
	if w.d.Kind == journal.PageResolve {
		return n.cfg.Page.Send(ctx, render.Resolve(w.scene))
	}
	link := ""
	if n.cfg.Slack != nil {
		channel, ts := split(w.board.Ref)
		if channel == "" {
			channel = n.cfg.Channel
		}
		link = n.cfg.Slack.Link(channel, ts)
	}
	if err := n.cfg.Page.Send(ctx, render.Trigger(w.scene, n.cfg.Source, link)); err != nil {
		return err
	}
	w.d.Ref = render.DedupKey(w.scene.Run.Incident)
	return nil
}
