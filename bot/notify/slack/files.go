package slack

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	api "github.com/slack-go/slack"
)

// File is a file to show in a conversation.
type File struct {
	Name    string // "chart.png"
	Title   string
	Alt     string // of a picture: what it shows, in words; cut to 1,000 characters
	Content []byte
}

// maxAlt is the longest description Slack takes (files.getUploadURLExternal,
// alt_txt_too_large).
const maxAlt = 1000

// Upload brings a file to Slack and answers its id. Nobody sees it until Share; one that
// is never shared, Slack throws away (files.completeUploadExternal). The app needs the
// scope files:write.
func (c *Client) Upload(ctx context.Context, f File) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	alt := []rune(f.Alt)
	place, err := c.cfg.API.GetUploadURLExternalContext(ctx, api.GetUploadURLExternalParameters{
		FileName: f.Name, FileSize: len(f.Content), AltTxt: string(alt[:min(len(alt), maxAlt)]),
	})
	if err == nil && (place.FileID == "" || place.UploadURL == "") {
		err = errGarbled
	}
	if err != nil {
		return "", classify("asking for an upload", err)
	}
	err = c.cfg.API.UploadToURL(ctx, api.UploadToURLParameters{UploadURL: place.UploadURL, Filename: f.Name, Reader: bytes.NewReader(f.Content)})
	if err != nil {
		e := classify("uploading", err)
		e.Mend = false // the place was good for one time; the next try asks for another
		return "", e
	}
	return place.FileID, nil
}

// Shared is an uploaded file, to be shown.
type Shared struct{ ID, Title string }

// Share shows uploaded files as one message in a thread, or in the channel itself where
// thread is empty. comment is mrkdwn, escaped by its maker. Slack lets it be called once
// for a file: after an unsure answer FindFiles tells.
func (c *Client) Share(ctx context.Context, channel, thread, comment string, files []Shared) error {
	if err := c.pace(ctx, channel); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	p := api.CompleteUploadExternalParameters{Channel: channel, ThreadTimestamp: thread, InitialComment: comment}
	for _, f := range files {
		p.Files = append(p.Files, api.FileSummary{ID: f.ID, Title: f.Title})
	}
	r, err := c.cfg.API.CompleteUploadExternalContext(ctx, p)
	if err == nil && len(r.Files) != len(files) {
		err = errGarbled
	}
	if err != nil {
		return classify("sharing", err)
	}
	return nil
}

// FindFiles lists the timestamps of the messages since then that show one of these files,
// oldest first.
func (c *Client) FindFiles(ctx context.Context, channel, thread string, ids []string, since time.Time) ([]string, error) {
	return c.search(ctx, channel, thread, since, func(m api.Message) bool {
		return slices.ContainsFunc(m.Files, func(f api.File) bool { return slices.Contains(ids, f.ID) })
	})
}

// noFiles are Slack's codes that mean: this workspace takes no such files from us.
var noFiles = map[string]bool{
	"missing_scope": true, "no_permission": true, "not_allowed_token_type": true, "team_access_not_granted": true,
	"file_uploads_disabled": true, "file_uploads_except_images_disabled": true, "file_upload_size_restricted": true,
	"file_type_not_allowed": true, "blocked_file_type": true, "slack_connect_file_upload_sharing_blocked": true,
	"slack_connect_blocked_file_type": true, "access_denied": true, "posting_to_channel_denied": true,
}

// NoFiles reports that files cannot be shared here until a person changes the app or the
// workspace; messages can all the same.
func NoFiles(err error) bool {
	var e *Error
	return errors.As(err, &e) && noFiles[e.Word]
}

// Spent reports that Slack does not know these uploads, or not any more: they have to be
// made anew.
func Spent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Doing == "sharing" && (e.Word == "file_not_found" || e.Word == "file_deleted" || e.Word == "invalid_arguments")
}
