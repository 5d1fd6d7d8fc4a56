package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/notify/slack"
	"rekey/bot/render"
	"rekey/bot/render/chart"
)

// How files are shown once. Slack takes them in three calls: a place for each file, its
// bytes, and one call that shows them all. Before that last call nobody sees anything, so
// until then everything may be done again. What it will show is stored before it is
// called: whoever comes after a crash looks in the thread for these very files, and calls
// again, for the same files, only when they are not there.

// uploadedPrefix marks a Ref that names uploaded files: "files/F01+F02".
const uploadedPrefix = "files/"

// uploaded are the ids of the files a delivery has brought to Slack.
func uploaded(d ledger.Delivery) []string {
	ids, ok := strings.CutPrefix(d.Ref, uploadedPrefix)
	if !ok || ids == "" {
		return nil
	}
	return strings.Split(ids, "+")
}

// sendFiles shows the report's chart and files below the board.
func (n *Notifier) sendFiles(ctx context.Context, w *work) error {
	if !w.first {
		return nil // what they tell will not change
	}
	if w.scene.Report == nil {
		return RetryAfter{Delay: 5 * time.Second, Class: "waiting for the report"}
	}
	channel, thread := split(w.board.Ref)
	if channel == "" {
		channel = n.cfg.Channel
	}
	files, err := attachments(*w.scene.Report)
	if err != nil {
		return err
	}
	if ids := uploaded(w.d); len(ids) > 0 { // somebody came that far already
		done, err := n.shared(ctx, w, channel, thread, ids)
		if err != nil || done {
			return err
		}
	} else if err := n.upload(ctx, w, files); err != nil {
		return n.without(ctx, w, channel, thread, err)
	}
	if err := n.check(ctx, w); err != nil {
		return err
	}
	ids := uploaded(w.d)
	show := make([]slack.Shared, len(ids))
	for i, id := range ids {
		show[i] = slack.Shared{ID: id}
		if i < len(files) {
			show[i].Title = files[i].Title
		}
	}
	err = n.cfg.Slack.Share(ctx, channel, thread, render.FilesComment(*w.scene.Report), show)
	switch {
	case err == nil:
		return nil
	case slack.NoFiles(err):
		w.d.Ref = ""
		return n.without(ctx, w, channel, thread, err)
	case slack.Spent(err): // shown already, or thrown away
		done, lost := n.shared(ctx, w, channel, thread, ids)
		if lost != nil || done {
			return lost
		}
		w.d.Ref = ""
		if err := n.save(ctx, w); err != nil {
			return err
		}
		return RetryAfter{Delay: time.Second, Class: "uploads were thrown away"}
	}
	return err
}

// upload brings every file to Slack and stores their ids.
func (n *Notifier) upload(ctx context.Context, w *work, files []slack.File) error {
	var ids []string
	for _, f := range files {
		id, err := n.cfg.Slack.Upload(ctx, f)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	w.d.Ref = uploadedPrefix + strings.Join(ids, "+")
	return n.save(ctx, w)
}

// shared reports whether the files are shown, and removes what shows them again.
func (n *Notifier) shared(ctx context.Context, w *work, channel, thread string, ids []string) (bool, error) {
	found, err := n.cfg.Slack.FindFiles(ctx, channel, thread, ids, w.d.CreatedAt.Add(-skew))
	switch {
	case slack.CannotSearch(err):
		return false, nil // Slack shows one file's upload once, whoever asks again
	case err != nil:
		return false, err
	case len(found) == 0:
		return false, nil
	}
	return true, n.remove(ctx, channel, found[1:])
}

// unshare removes files that were shown after another replica had taken over and shown its
// own.
func (n *Notifier) unshare(ctx context.Context, w *work, theirs ledger.Delivery) error {
	ids := uploaded(w.d)
	if len(ids) == 0 || theirs.Ref == "" || theirs.Ref == w.d.Ref || slices.Equal(ids, uploaded(theirs)) {
		return nil
	}
	channel, thread := split(w.board.Ref)
	if channel == "" {
		channel = n.cfg.Channel
	}
	found, err := n.cfg.Slack.FindFiles(ctx, channel, thread, ids, w.d.CreatedAt.Add(-skew))
	if slack.CannotSearch(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.remove(ctx, channel, found)
}

// without tells, where cause means that no files are taken here, that there are none and
// why. Everything else about a run is told without them, so it fails nothing.
func (n *Notifier) without(ctx context.Context, w *work, channel, thread string, cause error) error {
	if !slack.NoFiles(cause) {
		return cause
	}
	class, _ := typed(cause)
	n.cfg.Log.Warn("files cannot be attached", "delivery", w.d.ID, "why", class)
	_, err := n.post(ctx, w, channel, thread, render.WithoutFiles(w.scene, class))
	return err
}

// attachments are the report as files: the chart first, because Slack shows it.
func attachments(r audit.Report) ([]slack.File, error) {
	picture, err := chart.PNG(r)
	if err != nil {
		return nil, err
	}
	whole, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the report: %w", err)
	}
	name := render.FileName(r)
	return []slack.File{
		{Name: name + ".png", Title: "Who was let in, and who was refused", Alt: chart.Alt(r), Content: picture},
		{Name: name + ".md", Title: "The report to read", Content: []byte(render.ReportMarkdown(r))},
		{Name: name + ".json", Title: "The report for machines", Content: append(whole, '\n')},
		{Name: name + ".csv", Title: "The findings as a table", Content: render.FindingsCSV(r)},
	}, nil
}
