package bottest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/bot/bottest"
)

// post sends one raw request and returns the status and the answer as an object, nil when it is none.
func post(t *testing.T, address, contentType, token string, body []byte) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(deadline(t), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, answer
}

// call calls a method with a JSON body.
func call(t *testing.T, s *bottest.Slack, method, token string, args map[string]any) map[string]any {
	t.Helper()
	body, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	_, answer := post(t, s.APIURL()+method, "application/json; charset=utf-8", token, body)
	return answer
}

func TestCallsThatSlackWouldRefuseAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{Limits: map[string]bottest.Limit{"chat.postMessage": {}, "chat.update": {}}})
	alerts := s.Channel("devops-alerts")
	human := s.User("U0ALICE", "alice").Say(alerts, "hello")
	mine := fmt.Sprint(call(t, s, "chat.postMessage", s.BotToken(), map[string]any{"channel": alerts.ID, "text": "x"})["ts"])
	reply := fmt.Sprint(call(t, s, "chat.postMessage", s.BotToken(),
		map[string]any{"channel": alerts.ID, "text": "x", "thread_ts": mine})["ts"])
	s.Channel("archive").Archive()
	s.Channel("strangers").SetMember(false)
	frozen := s.Channel("frozen")
	old := fmt.Sprint(call(t, s, "chat.postMessage", s.BotToken(), map[string]any{"channel": frozen.ID, "text": "x"})["ts"])
	frozen.CloseEditWindow()
	private := s.Channel("private")
	private.MakePrivate()
	private.SetMember(false)
	bot, app, here := s.BotToken(), s.AppToken(), alerts.ID
	long := func(n int) string { return strings.Repeat("é", n) }
	tests := map[string]struct {
		method, token string
		args          map[string]any
		want          string
	}{
		"no token":                   {"auth.test", "", nil, "not_authed"},
		"a token nobody issued":      {"auth.test", "xoxb-nobody", nil, "invalid_auth"},
		"app token on a bot method":  {"chat.postMessage", app, map[string]any{"channel": here, "text": "x"}, "not_allowed_token_type"},
		"bot token on Socket Mode":   {"apps.connections.open", bot, nil, "not_allowed_token_type"},
		"scope not granted":          {"users.info", bot, map[string]any{"user": "U0ALICE"}, "missing_scope"},
		"unknown method":             {"chat.shout", bot, nil, "unknown_method"},
		"unknown channel":            {"chat.postMessage", bot, map[string]any{"channel": "C404", "text": "x"}, "channel_not_found"},
		"private channel":            {"chat.postMessage", bot, map[string]any{"channel": private.ID, "text": "x"}, "channel_not_found"},
		"not a member":               {"chat.postMessage", bot, map[string]any{"channel": "strangers", "text": "x"}, "not_in_channel"},
		"archived":                   {"chat.postMessage", bot, map[string]any{"channel": "#archive", "text": "x"}, "is_archived"},
		"nothing to say":             {"chat.postMessage", bot, map[string]any{"channel": here, "blocks": []any{}}, "no_text"},
		"101 attachments":            {"chat.postMessage", bot, map[string]any{"channel": here, "attachments": make([]map[string]any, 101)}, "too_many_attachments"},
		"thread of nothing":          {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"},
		"thread of a reply":          {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "thread_ts": reply}, "cannot_reply_to_message"},
		"metadata not an object":     {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "metadata": []int{1}}, "invalid_metadata_format"},
		"metadata without payload":   {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "metadata": map[string]any{"event_type": "x"}}, "invalid_metadata_schema"},
		"metadata with more":         {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "metadata": map[string]any{"event_type": "x", "event_payload": map[string]any{}, "extra": 1}}, "invalid_metadata_schema"},
		"metadata too large":         {"chat.postMessage", bot, map[string]any{"channel": here, "text": "x", "metadata": map[string]any{"event_type": "x", "event_payload": map[string]any{"a": long(9000)}}}, "metadata_too_large"},
		"update by channel name":     {"chat.update", bot, map[string]any{"channel": "devops-alerts", "ts": mine, "text": "y"}, "channel_not_found"},
		"update of nothing":          {"chat.update", bot, map[string]any{"channel": here, "ts": "1.000001", "text": "y"}, "message_not_found"},
		"update of a person's":       {"chat.update", bot, map[string]any{"channel": here, "ts": human.TS, "text": "y"}, "cant_update_message"},
		"update too long":            {"chat.update", bot, map[string]any{"channel": here, "ts": mine, "text": long(4001)}, "msg_too_long"},
		"update too late":            {"chat.update", bot, map[string]any{"channel": frozen.ID, "ts": old, "text": "y"}, "edit_window_closed"},
		"delete of a person's":       {"chat.delete", bot, map[string]any{"channel": here, "ts": human.TS}, "cant_delete_message"},
		"ephemeral to nobody":        {"chat.postEphemeral", bot, map[string]any{"channel": here, "user": "U404", "text": "x"}, "user_not_in_channel"},
		"history of strangers":       {"conversations.history", bot, map[string]any{"channel": s.Channel("strangers").ID}, "not_in_channel"},
		"history, limit":             {"conversations.history", bot, map[string]any{"channel": here, "limit": 1000}, "invalid_limit"},
		"history, cursor":            {"conversations.history", bot, map[string]any{"channel": here, "cursor": "never"}, "invalid_cursor"},
		"replies to nothing":         {"conversations.replies", bot, map[string]any{"channel": here, "ts": "1.000001"}, "thread_not_found"},
		"info without channels:read": {"conversations.info", bot, map[string]any{"channel": here}, "missing_scope"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := call(t, s, tt.method, tt.token, tt.args)
			if answer["ok"] != false || answer["error"] != tt.want {
				t.Errorf("answer = %v, want the error %s", answer, tt.want)
			}
			if tt.want == "missing_scope" && (answer["needed"] == "" || answer["provided"] != "commands,chat:write,files:write,channels:history") {
				t.Errorf("missing_scope without needed and provided: %v", answer)
			}
		})
	}
}

func TestBodiesThatSlackCannotReadAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"broken JSON":        {"application/json", `{"channel":`, "invalid_json"},
		"broken form":        {"application/x-www-form-urlencoded", "channel=%zz", "invalid_form_data"},
		"unknown media type": {"application/xml", "<channel/>", "invalid_post_type"},
		"no media type":      {"", "channel=x", "missing_post_type"},
	} {
		_, answer := post(t, s.APIURL()+"chat.postMessage", tt.contentType, s.BotToken(), []byte(tt.body))
		if answer["error"] != tt.want {
			t.Errorf("%s: answer = %v, want %s", name, answer, tt.want)
		}
	}
	form := url.Values{"token": {s.BotToken()}, "channel": {"devops-alerts"}, "text": {"the token may be in the form"}}
	_, answer := post(t, s.APIURL()+"chat.postMessage", "application/x-www-form-urlencoded", "", []byte(form.Encode()))
	if answer["ok"] != true {
		t.Errorf("form with a token in it: %v", answer)
	}
}

func TestTextOver40000CharactersIsCutWithAWarning(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	answer := call(t, s, "chat.postMessage", s.BotToken(), map[string]any{
		"channel": "devops-alerts", "text": strings.Repeat("é", 40_001),
	})
	if answer["ok"] != true || answer["warning"] != "message_truncated" {
		t.Errorf("answer = %v", answer["warning"])
	}
	if got := len([]rune(s.Channel("devops-alerts").Messages()[0].Text)); got != 40_000 {
		t.Errorf("kept %d characters", got)
	}
	if len(s.Errors()) != 1 {
		t.Errorf("errors = %q, want one: words were lost", s.Errors())
	}
}
