package bottest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"rekey/bot/bottest"
)

// place asks for a place for content and answers its address and the file's id.
func place(t *testing.T, s *bottest.Slack, length int) (address, id string) {
	t.Helper()
	answer := call(t, s, "files.getUploadURLExternal", s.BotToken(), map[string]any{"filename": "chart.png", "length": length})
	if answer["ok"] != true {
		t.Fatalf("%v", answer)
	}
	return fmt.Sprint(answer["upload_url"]), fmt.Sprint(answer["file_id"])
}

func complete(t *testing.T, s *bottest.Slack, channel, thread string, ids ...string) map[string]any {
	t.Helper()
	var files []map[string]string
	for _, id := range ids {
		files = append(files, map[string]string{"id": id, "title": "title of " + id})
	}
	list, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	return call(t, s, "files.completeUploadExternal", s.BotToken(), map[string]any{
		"files": string(list), "channel_id": channel, "thread_ts": thread, "initial_comment": "look",
	})
}

func TestAFileIsUploadedAndShownInAThread(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	api, ctx := client(t, s), deadline(t)
	alerts := s.Channel("devops-alerts")
	_, ts, err := api.PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("board", false))
	if err != nil {
		t.Fatal(err)
	}
	content := "\x89PNG\r\n\x1a\n and the rest"
	f, err := api.UploadFileContext(ctx, slack.UploadFileParameters{
		Reader: strings.NewReader(content), FileSize: len(content), Filename: "chart.png", Title: "The chart", AltTxt: "three bars",
		InitialComment: "*look*", Channel: alerts.ID, ThreadTimestamp: ts,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := alerts.ExpectMessage(t, "look", "[chart.png: The chart] three bars")
	if m.ThreadTS != ts || len(m.Files) != 1 || m.Files[0].ID != f.ID || string(m.Files[0].Content) != content {
		t.Errorf("shown: %+v", m)
	}
	replies, _, _, err := api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: alerts.ID, Timestamp: ts})
	if err != nil || len(replies) != 2 || len(replies[1].Files) != 1 || replies[1].Files[0].ID != f.ID {
		t.Errorf("read back: %+v %v", replies, err)
	}
	page := s.HTML(alerts)
	if !strings.Contains(page, `src="data:image/png;base64,`) || !strings.Contains(page, `alt="three bars"`) {
		t.Error("the page does not show the picture")
	}
	s.ExpectNoErrors(t)
}

func TestUploadsThatSlackWouldRefuseAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	alerts := s.Channel("devops-alerts")
	parent := fmt.Sprint(call(t, s, "chat.postMessage", s.BotToken(), map[string]any{"channel": alerts.ID, "text": "x"})["ts"])
	reply := fmt.Sprint(call(t, s, "chat.postMessage", s.BotToken(), map[string]any{"channel": alerts.ID, "text": "x", "thread_ts": parent})["ts"])
	for name, args := range map[string]map[string]any{
		"invalid_arguments":           {"filename": "a"},
		"alt_txt_too_large":           {"filename": "a", "length": 1, "alt_txt": strings.Repeat("x", 1001)},
		"file_upload_size_restricted": {"filename": "a", "length": 2 << 30},
	} {
		if answer := call(t, s, "files.getUploadURLExternal", s.BotToken(), args); answer["error"] != name {
			t.Errorf("want %s: %v", name, answer)
		}
	}

	address, id := place(t, s, 4)
	if !strings.HasPrefix(address, strings.TrimSuffix(s.APIURL(), "api/")) {
		t.Errorf("the place is at %s, the API at %s", address, s.APIURL())
	}
	if answer := complete(t, s, alerts.ID, parent, id); answer["error"] != "file_not_found" {
		t.Errorf("shown before it was there: %v", answer)
	}
	for _, step := range []struct {
		body string
		want int
	}{{"too long", http.StatusBadRequest}, {"", http.StatusBadRequest}, {"four", http.StatusOK}, {"four", http.StatusGone}} {
		if status, _ := post(t, address, "application/octet-stream", s.BotToken(), []byte(step.body)); status != step.want {
			t.Errorf("uploading %q: %d, want %d", step.body, status, step.want)
		}
	}
	if status, _ := post(t, address+"x", "application/octet-stream", s.BotToken(), []byte("four")); status != http.StatusNotFound {
		t.Errorf("a place nobody gave out: %d", status)
	}

	for _, c := range []struct{ channel, thread, id, want string }{
		{alerts.ID, parent, "F0NONE", "file_not_found"},
		{"C0NONE", parent, id, "channel_not_found"},
		{"devops-alerts", parent, id, "channel_not_found"},
		{alerts.ID, "1.000001", id, "thread_not_found"},
		{alerts.ID, reply, id, "invalid_arguments"},
		{alerts.ID, parent, id, ""},
		{alerts.ID, parent, id, "file_not_found"}, // it can be called once
	} {
		if got, _ := complete(t, s, c.channel, c.thread, c.id)["error"].(string); got != c.want {
			t.Errorf("showing %s in %s, thread %s: %q, want %q", c.id, c.channel, c.thread, got, c.want)
		}
	}
	if n := len(alerts.Thread(parent)); n != 2 {
		t.Errorf("%d replies, want the one posted and the file", n)
	}
	if answer := complete(t, s, alerts.ID, parent, strings.Split(strings.Repeat(id+",", 15), ",")[:15]...); answer["error"] != "internal_error" {
		t.Errorf("15 files at once: %v", answer)
	}
	if s.Unshared() != 0 || len(s.Files()) != 1 {
		t.Errorf("%d shown, %d not", len(s.Files()), s.Unshared())
	}
}

func TestUploadsNeedTheirScopeAndKeepToTheirRate(t *testing.T) {
	t.Parallel()
	without := start(t, bottest.SlackConfig{Scopes: []string{"chat:write"}})
	for _, method := range []string{"files.getUploadURLExternal", "files.completeUploadExternal"} {
		answer := call(t, without, method, without.BotToken(), map[string]any{"filename": "a", "length": 1})
		if answer["error"] != "missing_scope" || answer["needed"] != "files:write" {
			t.Errorf("%s: %v", method, answer)
		}
	}
	s := start(t, bottest.SlackConfig{Limits: map[string]bottest.Limit{"files.getUploadURLExternal": {Burst: 1, Every: 1e15}}})
	place(t, s, 1)
	body, err := json.Marshal(map[string]any{"filename": "a", "length": 1})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := post(t, s.APIURL()+"files.getUploadURLExternal", "application/json", s.BotToken(), bytes.Clone(body))
	if status != http.StatusTooManyRequests || answer["error"] != "ratelimited" {
		t.Errorf("%d %v", status, answer)
	}
}
