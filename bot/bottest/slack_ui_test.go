package bottest_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"rekey/bot/bottest"
)

func TestMarkedUpTextReadsWellInATerminal(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	alice, alerts := s.User("U0ALICE", "alice"), s.Channel("devops-alerts")
	for said, want := range map[string]string{
		"*bold* _italic_ ~gone~ `code`":                     "bold italic gone code",
		"REVALIDATE_SECRET and its_old_name, 2*3*4, ~/.env": "REVALIDATE_SECRET and its_old_name, 2*3*4, ~/.env",
		"`*not bold*` ```_nor_\nthis```":                    "*not bold* _nor_\nthis",
		"<https://example.com/run/1|run 1> <https://a.b/c>": "run 1 (https://example.com/run/1) https://a.b/c",
		"<@U0ALICE> in <#" + alerts.ID + "> <!here>":        "@alice in #devops-alerts @here",
		":rotating_light: at 12:30:45 :nobody_knows_this:":  "🚨 at 12:30:45 :nobody_knows_this:",
		"&lt;script&gt; &amp;amp;":                          "<script> &amp;",
		"*<https://a.b|x>* _*both*_":                        "x (https://a.b) both",
		"<!date^1800000000^{date}|2027-01-15> *<@U0ALICE>*": "2027-01-15 @alice",
		"(*in brackets*), and \"_quoted_\"":                 "(in brackets), and \"quoted\"",
	} {
		if got := alice.Say(alerts, said).Plain(); got != want {
			t.Errorf("%q reads %q, want %q", said, got, want)
		}
	}
}

func TestBlocksReadWellInATerminal(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	text := func(words string) *slack.TextBlockObject {
		return slack.NewTextBlockObject("mrkdwn", words, false, false)
	}
	button := slack.NewButtonBlockElement("stop", "run-1", slack.NewTextBlockObject("plain_text", "Stop", false, false))
	blocks := []slack.Block{
		slack.NewHeaderBlock(slack.NewTextBlockObject("plain_text", "Rotating", false, false)),
		slack.NewSectionBlock(text("*Run* `r1`"), []*slack.TextBlockObject{text("*Step*\n1 of 5"), text("*Took*\n3 s")}, slack.NewAccessory(button)),
		slack.NewDividerBlock(),
		slack.NewContextBlock("", text("by <@U0ALICE>"), text("just now")),
		slack.NewRichTextBlock("", slack.NewRichTextSection(slack.NewRichTextSectionTextElement("rich ", nil), slack.NewRichTextSectionUserElement("U0ALICE", nil))),
		slack.NewActionBlock("", button),
	}
	s.User("U0ALICE", "alice")
	if _, _, err := client(t, s).PostMessageContext(deadline(t), "devops-alerts", slack.MsgOptionBlocks(blocks...)); err != nil {
		t.Fatal(err)
	}
	want := "Rotating\nRun r1\nStep 1 of 5\nTook 3 s  [ Stop ]\n────────\nby @alice  just now\nrich @alice\n[ Stop ]"
	if diff := cmp.Diff(want, s.Channel("devops-alerts").Messages()[0].Plain()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	noErrors(t, s)
}

func TestThePageShowsTheConversationAndTakesCommands(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	app(t, s, echo(t))
	alice, alerts := s.User("U0ALICE", "alice"), s.Channel("devops-alerts")
	api, ctx := client(t, s), deadline(t)
	_, ts, err := api.PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("Rotating *now* <https://example.com/?a=1&amp;b=2|run>", false))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := api.PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("a detail", false), slack.MsgOptionTS(ts)); err != nil {
		t.Fatal(err)
	}
	alice.Say(alerts, `<javascript:alert(1)|click> "&lt;img src=x onerror=alert(1)&gt;"`)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	form := url.Values{"channel": {"devops-alerts"}, "user": {"U0ALICE"}, "line": {"/rotate list"}}
	submit := func(site string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.UIURL()+"type", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", site)
		response, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if status, _ := submit("cross-site"); status != http.StatusForbidden || len(alice.Whispers()) != 0 {
		t.Errorf("a page on another site could type a command: %d", status)
	}
	status, shown := submit("same-origin")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		"Rotating <b>now</b>", `<a href="https://example.com/?a=1&amp;b=2">run</a>`, `<div class="thread">`, "a detail",
		"Only visible to alice", "On it: /rotate list", "&lt;img src=x onerror=alert(1)&gt;",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(shown, "javascript:") || strings.Contains(shown, "<img") {
		t.Error("the page runs what a message says")
	}
	if still := s.HTML(alerts); !strings.Contains(still, "a detail") || strings.Contains(still, "<form") || strings.Contains(still, "<script") {
		t.Error("the page to keep must be the conversation alone")
	}
	noErrors(t, s)
}
