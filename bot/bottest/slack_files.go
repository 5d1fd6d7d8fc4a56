package bottest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of an upload. The length of a description is files.getUploadURLExternal's (alt_txt_too_large); that more than
// 14 files at once are an internal error is what users of Slack's own client found (slackapi/python-slack-sdk, issue
// 1653).
const (
	maxAltText  = 1000
	maxFileSize = 1 << 30
	maxAtOnce   = 14
)

// File is a file of the workspace.
type File struct {
	ID, Name, Title, Alt, Type string
	Content                    []byte
}

// upload is a file under way: a place was given out, its bytes may have come, and it may have been shown.
type upload struct {
	File
	length       int
	ticket       string
	filled, done bool
}

// Files returns the files that were shown anywhere, oldest first.
func (s *Slack) Files() []File {
	s.state.Lock()
	defer s.state.Unlock()
	var found []File
	for _, u := range s.uploads {
		if u.done {
			found = append(found, u.File)
		}
	}
	return found
}

// Unshared counts the uploads that were never shown. Slack throws them away.
func (s *Slack) Unshared() int {
	s.state.Lock()
	defer s.state.Unlock()
	n := 0
	for _, u := range s.uploads {
		if !u.done {
			n++
		}
	}
	return n
}

// getUploadURL gives a place for one file. The address has the API's host and port: slack-go sends its token nowhere
// else.
func (s *Slack) getUploadURL(a args) (map[string]any, *apiError) {
	length, err := strconv.Atoi(a.str("length"))
	switch {
	case a.str("filename") == "" || err != nil || length <= 0:
		return nil, violation("invalid_arguments")
	case utf8.RuneCountInString(a.str("alt_txt")) > maxAltText:
		return nil, violation("alt_txt_too_large")
	case length > maxFileSize:
		return nil, refused("file_upload_size_restricted")
	}
	s.state.Lock()
	defer s.state.Unlock()
	if s.noUploads {
		return nil, refused("file_uploads_disabled")
	}
	u := &upload{
		File:   File{ID: s.id("F"), Name: a.str("filename"), Title: a.str("filename"), Alt: a.str("alt_txt")},
		length: length, ticket: random(16),
	}
	s.uploads = append(s.uploads, u)
	return map[string]any{"upload_url": s.url + "/upload/v1/" + u.ticket, "file_id": u.ID}, nil
}

// DisableUploads makes the workspace take no files, as an administrator may.
func (s *Slack) DisableUploads() { s.set(func() { s.noUploads = true }) }

// serveUpload takes the bytes of a file, raw or as a form's file. "Slack will return HTTP 200 if the upload is
// successful; a non-200 response indicates a failure." A place is good for one file of the length that was named.
func (s *Slack) serveUpload(w http.ResponseWriter, r *http.Request) {
	body, ok := s.receive(w, r)
	if !ok {
		return
	}
	s.faulty(w, r, "upload", slackStatus, func(w http.ResponseWriter) {
		content, err := fileOf(r.Header.Get("Content-Type"), body)
		if err != nil {
			s.problem("upload: %v", err)
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
			return
		}
		s.state.Lock()
		defer s.state.Unlock()
		i := slices.IndexFunc(s.uploads, func(u *upload) bool { return u.ticket == r.PathValue("ticket") })
		switch {
		case i < 0:
			http.Error(w, "no such upload", http.StatusNotFound)
		case s.uploads[i].filled:
			s.problems = append(s.problems, "upload: an address was used twice")
			http.Error(w, "used already", http.StatusGone)
		case len(content) != s.uploads[i].length:
			s.problems = append(s.problems, "upload: "+strconv.Itoa(len(content))+" bytes where "+strconv.Itoa(s.uploads[i].length)+" were announced")
			http.Error(w, "length does not match", http.StatusBadRequest)
		default:
			u := s.uploads[i]
			u.filled, u.Content, u.Type = true, content, http.DetectContentType(content)
			_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(content)))
		}
	})
}

func fileOf(contentType string, body []byte) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return body, nil // raw
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		return nil, err
	}
	for _, files := range form.File {
		f, err := files[0].Open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	return nil, http.ErrMissingFile
}

// completeUpload shows uploaded files as one message. "This method can only be called once" for a file; which code a
// second call meets is not documented.
func (s *Slack) completeUpload(a args) (map[string]any, *apiError) {
	var asked []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	if json.Unmarshal(a.raw("files"), &asked) != nil || len(asked) == 0 {
		return nil, violation("invalid_arguments")
	}
	if len(asked) > maxAtOnce {
		return nil, violation("internal_error")
	}
	s.state.Lock()
	defer s.state.Unlock()
	var found []*upload
	for _, f := range asked {
		i := slices.IndexFunc(s.uploads, func(u *upload) bool { return u.ID == f.ID })
		if i < 0 || !s.uploads[i].filled || s.uploads[i].done {
			return nil, refused("file_not_found")
		}
		found = append(found, s.uploads[i])
	}
	channel, refusal := s.writable(a.str("channel_id"), false)
	if refusal != nil {
		return nil, refusal
	}
	thread := a.str("thread_ts")
	if thread != "" {
		switch parent := channel.message(thread); {
		case parent == nil:
			return nil, refused("thread_not_found")
		case parent.ThreadTS != "":
			return nil, violation("invalid_arguments") // "Never use a reply's ts value; use its parent instead."
		}
	}
	m := Message{ThreadTS: thread, UserID: s.botUser, FromBot: true, Text: a.str("initial_comment")}
	var answer []map[string]any
	for i, u := range found {
		u.done = true
		if asked[i].Title != "" {
			u.Title = asked[i].Title
		}
		m.Files = append(m.Files, u.File)
		answer = append(answer, map[string]any{"id": u.ID, "title": u.Title})
	}
	s.post(channel, m)
	return map[string]any{"files": answer}, nil
}

// wire is a file as the API shows it in a message.
func (f File) wire() map[string]any {
	return map[string]any{"id": f.ID, "name": f.Name, "title": f.Title, "mimetype": f.Type, "size": len(f.Content), "alt_txt": f.Alt}
}
