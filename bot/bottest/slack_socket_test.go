package bottest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"rekey/bot/bottest"
)

func start(t *testing.T, cfg bottest.SlackConfig) *bottest.Slack {
	t.Helper()
	s, err := bottest.StartSlack(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func noErrors(t *testing.T, s *bottest.Slack) {
	t.Helper()
	if got := s.Errors(); len(got) > 0 {
		t.Errorf("protocol errors:\n%s", strings.Join(got, "\n"))
	}
}

// app runs slack-go's own Socket Mode client as an independent peer; handle answers each envelope.
func app(t *testing.T, s *bottest.Slack, handle func(c *socketmode.Client, e socketmode.Event), options ...socketmode.Option) {
	t.Helper()
	api := slack.New(s.BotToken(), slack.OptionAppLevelToken(s.AppToken()), slack.OptionAPIURL(s.APIURL()))
	client := socketmode.New(api, options...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := client.RunContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("socket mode client: %v", err)
		}
	}()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-client.Events:
				if e.Request != nil && e.Request.EnvelopeID != "" {
					handle(client, e)
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		<-handled
	})
	s.ExpectConnected(t, 1)
}

// echo acknowledges every command with what it said.
func echo(t *testing.T) func(c *socketmode.Client, e socketmode.Event) {
	t.Helper()
	return func(c *socketmode.Client, e socketmode.Event) {
		command, ok := e.Data.(slack.SlashCommand)
		if !ok {
			return // garbage that names an envelope type but is none
		}
		if err := c.Ack(*e.Request, map[string]any{"text": "On it: " + command.Command + " " + command.Text}); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
	}
}

// address asks for a Socket Mode address.
func address(t *testing.T, s *bottest.Slack) string {
	t.Helper()
	answer := call(t, s, "apps.connections.open", s.AppToken(), nil)
	url, ok := answer["url"].(string)
	if !ok {
		t.Fatalf("apps.connections.open: %v", answer)
	}
	return url
}

func dial(t *testing.T, url string) (*websocket.Conn, error) {
	t.Helper()
	conn, response, err := websocket.Dial(deadline(t), url, nil)
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	return conn, err
}

// peer is a bare WebSocket connection that has been greeted, for what slack-go's client would never do.
func peer(t *testing.T, s *bottest.Slack) *websocket.Conn {
	t.Helper()
	conn, err := dial(t, address(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) map[string]any {
	t.Helper()
	_, frame, err := conn.Read(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(frame, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func write(t *testing.T, conn *websocket.Conn, frame string) {
	t.Helper()
	if err := conn.Write(deadline(t), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

func TestACommandIsDeliveredAndItsAnswerShownToThePersonAlone(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	app(t, s, echo(t))
	alerts, alice := s.Channel("devops-alerts"), s.User("U0ALICE", "alice")
	answer := alice.Types(t, alerts, "/rotate REVALIDATE_SECRET compromised")
	if answer.Err != "" || answer.Text != "On it: /rotate REVALIDATE_SECRET compromised" || answer.InChannel || answer.Took <= 0 {
		t.Errorf("answer = %+v", answer)
	}
	if got := alerts.Messages(); len(got) != 0 {
		t.Errorf("an ephemeral answer reached the channel: %+v", got)
	}
	if w := alice.Whispers(); len(w) != 1 || w[0].Plain() != answer.Text {
		t.Errorf("alice was shown %+v", w)
	}
	if unknown := alice.Types(t, alerts, "/deploy now"); unknown.Text != "/deploy is not a valid command." {
		t.Errorf("a command nobody registered: %+v", unknown)
	}
	if _, err := alice.Type(deadline(t), alerts, "rotate"); err == nil {
		t.Error("a line without a slash was taken for a command")
	}
	noErrors(t, s)
}

func TestWhatAPersonSeesFollowsFromTheAcknowledgement(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		payload string
		want    bottest.Answer
		broken  bool // breaks a rule
		posted  string
	}{
		"no words":           {``, bottest.Answer{}, false, ""},
		"null":               {`null`, bottest.Answer{}, false, ""},
		"empty object":       {`{}`, bottest.Answer{}, false, ""},
		"text":               {`{"text":"hi"}`, bottest.Answer{Text: "hi"}, false, ""},
		"in the channel":     {`{"response_type":"in_channel","text":"hi"}`, bottest.Answer{Text: "hi", InChannel: true}, false, "rekey: hi\n"},
		"unknown type":       {`{"response_type":"shout","text":"hi"}`, bottest.Answer{Err: bottest.InvalidAnswer}, true, ""},
		"not an object":      {`"hi"`, bottest.Answer{Err: bottest.InvalidAnswer}, true, ""},
		"nothing to show":    {`{"response_type":"ephemeral"}`, bottest.Answer{Err: bottest.InvalidAnswer}, true, ""},
		"blocks not allowed": {`{"blocks":[{"type":"marquee"}]}`, bottest.Answer{Err: bottest.InvalidAnswer}, true, ""},
		"20 KB":              {`{"text":"` + strings.Repeat("x", 20<<10) + `"}`, bottest.Answer{Err: bottest.TimedOut}, true, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bottest.SlackConfig{}
			if tt.want.Err == bottest.TimedOut {
				cfg.AckTimeout = 200 * time.Millisecond
			}
			s := start(t, cfg)
			conn := peer(t, s)
			read(t, conn) // hello
			s.ExpectConnected(t, 1)
			acked := make(chan struct{})
			go func() {
				defer close(acked)
				_, frame, err := conn.Read(t.Context())
				var envelope struct {
					ID string `json:"envelope_id"`
				}
				if err != nil || json.Unmarshal(frame, &envelope) != nil {
					t.Errorf("reading envelope: %v", err)
					return
				}
				ack := fmt.Sprintf(`{"envelope_id":%q,"payload":%s}`, envelope.ID, tt.payload)
				if tt.payload == "" {
					ack = fmt.Sprintf(`{"envelope_id":%q}`, envelope.ID)
				}
				if err := conn.Write(t.Context(), websocket.MessageText, []byte(ack)); err != nil {
					t.Errorf("acknowledging: %v", err)
				}
			}()
			alerts := s.Channel("devops-alerts")
			got := s.User("U0ALICE", "alice").Types(t, alerts, "/rotate help")
			<-acked
			if tt.want.Err != "" {
				tt.want.Text = fmt.Sprintf("/rotate failed with the error %q", tt.want.Err)
			}
			got.EnvelopeID, got.Took, got.Blocks = "", 0, nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.posted, alerts.Transcript()); diff != "" {
				t.Errorf("channel (-want +got):\n%s", diff)
			}
			if broken := len(s.Errors()) > 0; broken != tt.broken {
				t.Errorf("errors = %q", s.Errors())
			}
		})
	}
}

func TestACommandNobodyAcknowledgesTimesOut(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{AckTimeout: 50 * time.Millisecond})
	alerts, alice := s.Channel("devops-alerts"), s.User("U0ALICE", "alice")
	if answer := alice.Types(t, alerts, "/rotate list"); answer.Err != bottest.NotDelivered {
		t.Errorf("without a connection: %+v", answer)
	}
	conn := peer(t, s)
	read(t, conn)
	s.ExpectConnected(t, 1)
	answer := alice.Types(t, alerts, "/rotate list")
	if answer.Err != bottest.TimedOut || answer.Text != `/rotate failed with the error "operation_timeout"` {
		t.Errorf("without an acknowledgement: %+v", answer)
	}
	noErrors(t, s)
	// Too late is too late, and Slack remembers it.
	write(t, conn, fmt.Sprintf(`{"envelope_id":%q,"payload":{"text":"sorry"}}`, read(t, conn)["envelope_id"]))
	e, err := s.WaitAcks(deadline(t), answer.EnvelopeID, 1)
	if err != nil || !e.Acks[0].Late || len(s.Errors()) != 1 {
		t.Errorf("late acknowledgement: %+v, %v, errors %q", e, err, s.Errors())
	}
}

func TestFramesThatAreNoAcknowledgementAreNoticed(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	conn := peer(t, s)
	hello := read(t, conn)
	if hello["type"] != "hello" || hello["num_connections"] != 1.0 || hello["connection_info"] == nil || hello["debug_info"] == nil {
		t.Errorf("hello = %v", hello)
	}
	s.ExpectConnected(t, 1)
	write(t, conn, `not json`)
	write(t, conn, `{"type":"ack"}`)
	write(t, conn, `{"envelope_id":"never-sent"}`)
	if err := conn.Write(deadline(t), websocket.MessageBinary, []byte{1}); err != nil {
		t.Fatal(err)
	}
	alice := s.User("U0ALICE", "alice")
	go func() {
		_, frame, err := conn.Read(t.Context())
		var e struct {
			ID string `json:"envelope_id"`
		}
		if err != nil || json.Unmarshal(frame, &e) != nil {
			return
		}
		for range 2 {
			_ = conn.Write(t.Context(), websocket.MessageText, []byte(`{"envelope_id":"`+e.ID+`"}`))
		}
	}()
	answer := alice.Types(t, s.Channel("devops-alerts"), "/rotate list")
	if _, err := s.WaitAcks(deadline(t), answer.EnvelopeID, 2); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"not an acknowledgement", "not an acknowledgement", "unknown envelope", "binary", "more often than delivered"} {
		if got := s.Errors(); len(got) != 5 || !strings.Contains(got[i], want) {
			t.Fatalf("errors = %q, want %d to be about %q", got, i, want)
		}
	}
}

func TestARedeliveredEnvelopeArrivesAgainOnAnotherConnection(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	type seen struct {
		app     int
		attempt int
		reason  string
	}
	deliveries := make(chan seen, 10)
	for i := range 2 {
		app(t, s, func(c *socketmode.Client, e socketmode.Event) {
			deliveries <- seen{i, e.Request.RetryAttempt, e.Request.RetryReason}
			if err := c.Ack(*e.Request, map[string]any{"text": "ok"}); err != nil {
				t.Error(err)
			}
		})
	}
	s.ExpectConnected(t, 2)
	answer := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate list")
	first := <-deliveries
	if err := s.Redeliver(deadline(t), answer.EnvelopeID); err != nil {
		t.Fatal(err)
	}
	if second := <-deliveries; second.app == first.app || second.attempt != 1 || second.reason != "timeout" || first.attempt != 0 {
		t.Errorf("delivered %+v, then %+v", first, second)
	}
	e, err := s.WaitAcks(deadline(t), answer.EnvelopeID, 2)
	if err != nil || e.Deliveries != 2 || e.Type != "slash_commands" {
		t.Errorf("envelope = %+v, %v", e, err)
	}
	if err := s.Redeliver(deadline(t), "never-sent"); !errors.Is(err, bottest.ErrNoSuchEnvelope) {
		t.Errorf("redelivering nothing: %v", err)
	}
	noErrors(t, s)
}

func TestAnEventIsDeliveredUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{
		AckTimeout: 100 * time.Millisecond, EventRetries: []time.Duration{0, time.Millisecond, time.Millisecond},
	})
	var attempts atomic.Int32
	app(t, s, func(c *socketmode.Client, e socketmode.Event) {
		if attempts.Add(1) == 3 {
			if err := c.Ack(*e.Request); err != nil {
				t.Error(err)
			}
		}
	})
	e, err := s.Event(deadline(t), map[string]any{"type": "app_mention", "text": "hello", "user": "U0ALICE", "ts": "1.0"})
	if err != nil || e.Deliveries != 3 || len(e.Acks) != 1 {
		t.Errorf("event = %+v, %v", e, err)
	}
	noErrors(t, s)
}

func TestAClickReachesTheAppAndCanBeAnsweredLater(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{Interactive: true})
	ctx, alerts := deadline(t), s.Channel("devops-alerts")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	later := &http.Client{Transport: transport}
	answered := make(chan struct{})
	app(t, s, func(c *socketmode.Client, e socketmode.Event) {
		defer close(answered)
		click, ok := e.Data.(slack.InteractionCallback)
		if !ok || click.ActionCallback.BlockActions[0].Value != "run-1" || click.User.ID != "U0ALICE" || click.Channel.ID != alerts.ID {
			t.Errorf("unexpected event %+v", e.Data)
			return
		}
		if err := c.Ack(*e.Request); err != nil {
			t.Error(err)
		}
		reply := &slack.WebhookMessage{Text: "Approved", ReplaceOriginal: true}
		if err := slack.PostWebhookCustomHTTPContext(ctx, click.ResponseURL, later, reply); err != nil {
			t.Errorf("answering later: %v", err)
		}
		for i := range 5 {
			err := slack.PostWebhookCustomHTTPContext(ctx, click.ResponseURL, later, &slack.WebhookMessage{Text: "only you"})
			if refused := err != nil; refused != (i == 4) {
				t.Errorf("answer %d: %v, want the sixth use refused", i+2, err)
			}
		}
	})
	button := slack.NewButtonBlockElement("approve", "run-1", slack.NewTextBlockObject("plain_text", "Approve", false, false))
	_, _, err := client(t, s).PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("Approve?", false), slack.MsgOptionBlocks(slack.NewActionBlock("b", button)))
	if err != nil {
		t.Fatal(err)
	}
	alice, m := s.User("U0ALICE", "alice"), alerts.ExpectMessage(t, "[ Approve ]")
	if answer, err := alice.Click(ctx, m, "approve"); err != nil || answer.Err != "" {
		t.Errorf("click: %+v, %v", answer, err)
	}
	if replaced := alerts.ExpectMessage(t, "Approved"); replaced.TS != m.TS {
		t.Errorf("another message was made: %+v", replaced)
	}
	if _, err := alice.Click(ctx, m, "reject"); err == nil {
		t.Error("a button that is not there was clicked")
	}
	s.ExpectWhisper(t, alice, "only you")
	<-answered

	deaf := start(t, bottest.SlackConfig{})
	if answer, err := deaf.User("U0ALICE", "alice").Click(ctx, m, "approve"); err != nil || answer.Err != bottest.NotInteractive {
		t.Errorf("a click on an app without interactivity: %+v, %v", answer, err)
	}
}

func TestConnectionsComeAndGoAsSlackWantsThem(t *testing.T) {
	t.Parallel()
	works := func(t *testing.T, s *bottest.Slack) {
		t.Helper()
		s.ExpectConnected(t, 1)
		if answer := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate list"); answer.Err != "" {
			t.Errorf("answer = %+v", answer)
		}
		noErrors(t, s)
	}
	replaced := func(t *testing.T, s *bottest.Slack) {
		t.Helper()
		for ctx := deadline(t); s.Opened() < 2 || s.Connections() != 1; time.Sleep(time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatalf("%d connections opened, %d open; want a new one in the old one's place", s.Opened(), s.Connections())
			}
		}
	}
	gone := func(t *testing.T, s *bottest.Slack) {
		t.Helper()
		for ctx := deadline(t); s.Connections() > 0; time.Sleep(time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatal("still connected")
			}
		}
	}
	untouched := func(t *testing.T, _ *bottest.Slack) { t.Helper() }
	tests := map[string]struct {
		disturb func(ctx context.Context, s *bottest.Slack)
		settled func(t *testing.T, s *bottest.Slack)
		heal    func(s *bottest.Slack)
	}{
		"warning": {disturb: func(_ context.Context, s *bottest.Slack) { s.Disconnect(bottest.Warning) }, settled: replaced},
		"refresh": {disturb: func(_ context.Context, s *bottest.Slack) { s.Disconnect(bottest.RefreshRequested) }, settled: replaced},
		"dropped": {disturb: func(_ context.Context, s *bottest.Slack) { s.DropConnections() }, settled: replaced},
		"garbage": {disturb: func(ctx context.Context, s *bottest.Slack) { s.SendGarbage(ctx) }, settled: untouched},
		"down": {
			disturb: func(_ context.Context, s *bottest.Slack) { s.Down(true) }, settled: gone,
			heal: func(s *bottest.Slack) { s.Down(false) },
		},
		"refused": {
			disturb: func(_ context.Context, s *bottest.Slack) { s.RefuseConnections(true); s.DropConnections() },
			settled: gone, heal: func(s *bottest.Slack) { s.RefuseConnections(false) },
		},
		"link disabled": {
			disturb: func(_ context.Context, s *bottest.Slack) { s.Disconnect(bottest.LinkDisabled) },
			settled: func(t *testing.T, s *bottest.Slack) {
				t.Helper()
				gone(t, s)
				if answer := call(t, s, "apps.connections.open", s.AppToken(), nil); answer["ok"] != false {
					t.Errorf("Socket Mode is off, and yet: %v", answer)
				}
			},
			heal: func(s *bottest.Slack) { s.EnableSocketMode() },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, bottest.SlackConfig{DisconnectDelay: 10 * time.Millisecond})
			app(t, s, echo(t))
			works(t, s)
			tt.disturb(deadline(t), s)
			tt.settled(t, s)
			if tt.heal != nil {
				tt.heal(s)
			}
			works(t, s)
		})
	}
}

func TestAClientThatGetsNoPingsNoticesIt(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{PingInterval: 20 * time.Millisecond})
	app(t, s, echo(t), socketmode.OptionPingInterval(500*time.Millisecond))
	before := len(s.Traffic())
	s.StopPings(true)
	for ctx := deadline(t); len(s.Traffic()) < before+2; time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the client did not open a new connection")
		}
	}
	s.StopPings(false)
	noErrors(t, s)
}

func TestATicketIsGoodOnceAndForAWhile(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	s := start(t, bottest.SlackConfig{
		TicketLifetime: time.Minute,
		Now:            func() time.Time { return time.Unix(1_800_000_000+clock.Load(), 0) },
	})
	refused := func(url string) {
		t.Helper()
		if conn, err := dial(t, url); err == nil {
			_ = conn.CloseNow()
			t.Error("admitted")
		}
	}
	first, late := address(t, s), address(t, s)
	conn, err := dial(t, first)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	refused(first)
	clock.Add(60)
	refused(late)
	if got := len(s.Errors()); got != 2 {
		t.Errorf("%d errors, want 2: %q", got, s.Errors())
	}
}

func TestTheEleventhConnectionIsTurnedAway(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	for n := range 10 {
		if hello := read(t, peer(t, s)); hello["num_connections"] != float64(n+1) {
			t.Fatalf("connection %d: %v", n+1, hello)
		}
		s.ExpectConnected(t, n+1)
	}
	if last := read(t, peer(t, s)); last["type"] != "disconnect" || last["reason"] != "too_many_websockets" {
		t.Errorf("connection 11: %v", last)
	}
	if s.Connections() != 10 {
		t.Errorf("%d connections", s.Connections())
	}
}
