package rehearsal_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"rekey/bot/bottest"
)

// bundle and chart are where the incident's evidence is written.
func (s *stage) bundle() string { return filepath.Join(s.Estate.Dir(), "..", "evidence.zip") }
func (s *stage) chart() string  { return filepath.Join(s.Estate.Dir(), "..", "chart.png") }

// uploads are the contents of files, and what is said of them.
func uploads(files []bottest.File) []byte {
	var b bytes.Buffer
	for _, f := range files {
		b.WriteString(f.Name + "\n" + f.Title + "\n" + f.Alt + "\n")
		b.Write(f.Content)
	}
	return b.Bytes()
}

// unpacked is everything in a zip file.
func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(f.Name + "\n")
		if _, err := io.Copy(&b, r); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	return b.Bytes()
}

// plantFile shows a file in Slack, past rekey and its guard.
func (s *stage) plantFile(value string) {
	s.t.Helper()
	text := "the key is " + value
	_, err := slack.New(s.Slack.BotToken(), slack.OptionAPIURL(s.Slack.APIURL())).UploadFileContext(s.t.Context(), slack.UploadFileParameters{
		Reader: strings.NewReader(text), FileSize: len(text), Filename: "notes.txt", Channel: s.Alerts.ID,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// plantBundle puts a file into the bundle.
func (s *stage) plantBundle(text string) {
	s.t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("notes.txt")
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile(s.bundle(), b.Bytes(), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
