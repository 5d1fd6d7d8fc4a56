package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"go.uber.org/goleak"

	"rekey/bot/bottest"
	"rekey/bot/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waiting for a condition; only a failing test spends it.
const patience = 30 * time.Second

// harness is a keeper connected to the stand-in.
type harness struct {
	slack *bottest.Slack
	alice *bottest.User
	room  *bottest.Channel
	log   *logBuffer
	stop  context.CancelFunc
	ended chan error
}

func start(t *testing.T, world bottest.SlackConfig, cfg socket.Config) *harness {
	t.Helper()
	s, err := bottest.StartSlack(world)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := run(t, s, cfg)
	s.ExpectConnected(t, 1)
	return h
}

func run(t *testing.T, s *bottest.Slack, cfg socket.Config) *harness {
	t.Helper()
	h := &harness{slack: s, log: &logBuffer{}, ended: make(chan error, 1)}
	h.alice, h.room = s.User("U0ALICE", "alice"), s.Channel("devops-alerts")
	if cfg.API == nil {
		cfg.API = slack.New(s.BotToken(), slack.OptionAppLevelToken(s.AppToken()), slack.OptionAPIURL(s.APIURL()))
	}
	if cfg.Handle == nil {
		cfg.Handle = say("ok")
	}
	cfg.Log = slog.New(slog.NewTextHandler(h.log, nil))
	if cfg.MinBackoff == 0 {
		cfg.MinBackoff = 10 * time.Millisecond
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 100 * time.Millisecond
	}
	k, err := socket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-h.ended:
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	return h
}

func say(text string) func(context.Context, socket.Envelope) (any, error) {
	return func(context.Context, socket.Envelope) (any, error) {
		return map[string]string{"text": text}, nil
	}
}

func (h *harness) expectAnswer(t *testing.T, want string) {
	t.Helper()
	a := h.alice.Types(t, h.room, "/rotate list")
	if a.Err != "" || a.Text != want {
		t.Fatalf("answer %q (Slack's error %q), want %q; log:\n%s", a.Text, a.Err, want, h.log)
	}
}

func (h *harness) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s; log:\n%s", what, h.log)
		}
	}
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAnEnvelopeReachesTheHandlerWholeAndItsAnswerThePerson(t *testing.T) {
	t.Parallel()
	got := make(chan socket.Envelope, 1)
	before := time.Now()
	h := start(t, bottest.SlackConfig{}, socket.Config{Handle: func(_ context.Context, e socket.Envelope) (any, error) {
		got <- e
		return map[string]string{"text": "on it"}, nil
	}})
	h.expectAnswer(t, "on it")
	e := <-got
	var payload struct{ Command, Text string }
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	if e.ID == "" || e.Type != socket.SlashCommands || !e.AcceptsResponse || payload.Command != "/rotate" || payload.Text != "list" {
		t.Errorf("envelope %+v, payload %+v", e, payload)
	}
	if e.Arrived.Before(before) || e.Arrived.After(time.Now()) {
		t.Errorf("arrived %s", e.Arrived)
	}
	h.slack.ExpectNoErrors(t)
}

func TestTheNewConnectionIsOpenBeforeTheOldOneIsLeft(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{bottest.Warning, bottest.RefreshRequested} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			h := start(t, bottest.SlackConfig{DisconnectDelay: 3 * time.Second}, socket.Config{Linger: patience})
			stop := make(chan struct{})
			var typing sync.WaitGroup
			for range 4 { // people go on typing while the connection is replaced
				typing.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							a, err := h.alice.Type(t.Context(), h.room, "/rotate list")
							if err != nil || a.Err != "" {
								t.Errorf("a command was lost: %q %v", a.Err, err)
								return
							}
						}
					}
				})
			}
			h.slack.Disconnect(reason)
			h.slack.ExpectConnected(t, 2) // both at once
			h.eventually(t, "the old connection ends", func() bool { return h.slack.Connections() == 1 })
			close(stop)
			typing.Wait()
			h.expectAnswer(t, "ok")
			h.slack.ExpectNoErrors(t)
		})
	}
}

func TestAConnectionSlackForgetsToCloseIsClosedAfterALinger(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{DisconnectDelay: time.Hour}, socket.Config{Linger: time.Second})
	h.slack.Disconnect(bottest.Warning)
	h.slack.ExpectConnected(t, 2)
	h.eventually(t, "the old connection ends", func() bool { return h.slack.Connections() == 1 })
	h.expectAnswer(t, "ok")
}

func TestSocketModeTurnedOffIsSaidLoudlyAndTriedSlowly(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{}, socket.Config{DisabledWait: 300 * time.Millisecond})
	h.slack.Disconnect(bottest.LinkDisabled)
	h.eventually(t, "an error in the log", func() bool { return strings.Count(h.log.String(), "Socket Mode is turned off") >= 1 })
	asked, since := count(h.slack, "apps.connections.open"), time.Now()
	time.Sleep(700 * time.Millisecond)
	n, within := count(h.slack, "apps.connections.open")-asked, time.Since(since)
	if most := int(within/(300*time.Millisecond)) + 1; n > most {
		t.Errorf("asked %d times in %s although Socket Mode is off, at most %d are slow", n, within, most)
	}
	h.slack.EnableSocketMode()
	h.slack.ExpectConnected(t, 1)
	h.expectAnswer(t, "ok")
}

func count(s *bottest.Slack, word string) int {
	n := 0
	for _, b := range s.Traffic() {
		if strings.Contains(string(b), word) {
			n++
		}
	}
	return n
}

func TestADroppedConnectionIsOpenedAgain(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{}, socket.Config{})
	for range 3 {
		h.slack.DropConnections()
		h.eventually(t, "a command answered", func() bool {
			a, err := h.alice.Type(t.Context(), h.room, "/rotate list")
			return err == nil && a.Err == ""
		})
	}
}

func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{PingInterval: 20 * time.Millisecond}, socket.Config{PingTimeout: 2 * time.Second})
	opened := count(h.slack, "apps.connections.open")
	time.Sleep(3 * time.Second) // pings come: nothing happens
	if n := count(h.slack, "apps.connections.open"); n != opened {
		t.Fatalf("reconnected %d times although pings came", n-opened)
	}
	h.slack.StopPings(true)
	h.eventually(t, "a new connection", func() bool { return count(h.slack, "apps.connections.open") > opened })
	h.slack.StopPings(false)
	if !strings.Contains(h.log.String(), "no ping from Slack for too long") {
		t.Errorf("the log does not say why:\n%s", h.log)
	}
	h.eventually(t, "a command answered", func() bool {
		a, err := h.alice.Type(t.Context(), h.room, "/rotate list")
		return err == nil && a.Err == ""
	})
}

func TestGarbageIsIgnored(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{}, socket.Config{})
	h.slack.SendGarbage(t.Context())
	h.expectAnswer(t, "ok")
	h.slack.ExpectNoErrors(t)
}

func TestSlackBeingDownIsWaitedOut(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{}, socket.Config{})
	h.slack.Down(true)
	h.eventually(t, "a warning", func() bool { return strings.Contains(h.log.String(), "no connection to Slack") })
	h.slack.Down(false)
	h.slack.ExpectConnected(t, 1)
	h.slack.On("apps.connections.open").RateLimit(1, time.Second)
	h.slack.RefuseConnections(true)
	h.slack.DropConnections()
	h.eventually(t, "the rate limit noticed", func() bool { return strings.Contains(h.log.String(), "limits how often") })
	h.slack.RefuseConnections(false)
	h.slack.ExpectConnected(t, 1)
	h.expectAnswer(t, "ok")
}

func TestATokenSlackRefusesEndsRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		world bottest.SlackConfig
		token func(*bottest.Slack) string
		code  string
		says  string
	}{
		"wrong": {token: func(*bottest.Slack) string { return "xapp-1-A0-nonsense" }, code: "invalid_auth", says: "copy the app-level token"},
		"kind":  {token: (*bottest.Slack).BotToken, code: "not_allowed_token_type", says: "use the app-level token"},
		"scope": {
			world: bottest.SlackConfig{AppScopes: []string{"authorizations:read"}},
			token: (*bottest.Slack).AppToken, code: "missing_scope", says: "connections:write",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := bottest.StartSlack(test.world)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			k, err := socket.New(socket.Config{
				API:    slack.New("", slack.OptionAppLevelToken(test.token(s)), slack.OptionAPIURL(s.APIURL())),
				Handle: say("ok"), Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var fatal *socket.FatalError
			if err := k.Run(ctx); !errors.As(err, &fatal) || fatal.Code != test.code || !strings.Contains(fatal.Error(), test.says) {
				t.Errorf("Run: %v, want %s with %q", err, test.code, test.says)
			}
		})
	}
}

func TestAnAcknowledgementGoesOutOnAnotherConnectionWhenItsOwnDied(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := start(t, bottest.SlackConfig{}, socket.Config{
		AckWait: patience,
		Handle: func(context.Context, socket.Envelope) (any, error) {
			entered <- struct{}{}
			<-release
			return map[string]string{"text": "taken"}, nil
		},
	})
	answers := make(chan bottest.Answer, 1)
	go func() {
		a, _ := h.alice.Type(context.Background(), h.room, "/rotate list")
		answers <- a
	}()
	<-entered
	h.slack.DropConnections()
	close(release)
	if a := <-answers; a.Err != "" || a.Text != "taken" {
		t.Errorf("answer %q, error %q; log:\n%s", a.Text, a.Err, h.log)
	}
}

func TestShutdownFinishesWhatWasReceived(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := start(t, bottest.SlackConfig{}, socket.Config{
		Grace: patience,
		Handle: func(ctx context.Context, _ socket.Envelope) (any, error) {
			entered <- struct{}{}
			<-release
			return map[string]string{"text": "taken"}, ctx.Err()
		},
	})
	answers := make(chan bottest.Answer, 1)
	go func() {
		a, _ := h.alice.Type(context.Background(), h.room, "/rotate list")
		answers <- a
	}()
	<-entered
	h.stop()
	close(release)
	if a := <-answers; a.Err != "" || a.Text != "taken" {
		t.Errorf("answer %q, error %q; log:\n%s", a.Text, a.Err, h.log)
	}
	if err := <-h.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	h.ended <- nil // for the clean-up
	h.eventually(t, "every connection is closed", func() bool { return h.slack.Connections() == 0 })
}

func TestAHandlerThatDoesNotFinishIsCancelledAtTheEndOfTheGrace(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	h := start(t, bottest.SlackConfig{}, socket.Config{
		Grace: 20 * time.Millisecond,
		Handle: func(ctx context.Context, _ socket.Envelope) (any, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		},
	})
	go func() { _, _ = h.alice.Type(t.Context(), h.room, "/rotate list") }()
	<-entered
	h.stop()
	select {
	case <-h.ended:
		h.ended <- nil
	case <-time.After(patience):
		t.Fatal("Run waits for a handler that never ends")
	}
}

func TestAPanicIsOneCommandsAffair(t *testing.T) {
	t.Parallel()
	first := make(chan struct{}, 1)
	first <- struct{}{}
	h := start(t, bottest.SlackConfig{AckTimeout: 2 * time.Second}, socket.Config{
		Handle: func(context.Context, socket.Envelope) (any, error) {
			select {
			case <-first:
				panic("s3cret typed by a person")
			default:
				return map[string]string{"text": "ok"}, nil
			}
		},
	})
	if a := h.alice.Types(t, h.room, "/rotate s3cret"); a.Err != bottest.TimedOut {
		t.Errorf("a command whose handler panicked was acknowledged: %+v", a)
	}
	h.expectAnswer(t, "ok")
	if log := h.log.String(); strings.Contains(log, "s3cret") || !strings.Contains(log, "handler panicked (string)") {
		t.Errorf("log:\n%s", log)
	}
}

func TestHandlersAreBoundedAndNothingIsDropped(t *testing.T) {
	t.Parallel()
	const handlers, all = 3, 40
	var mu sync.Mutex
	running, most := 0, 0
	release := make(chan struct{})
	h := start(t, bottest.SlackConfig{AckTimeout: patience, PingInterval: 20 * time.Millisecond}, socket.Config{
		Handlers: handlers, Queue: 2, PingTimeout: 2 * time.Second,
		Handle: func(context.Context, socket.Envelope) (any, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return map[string]string{"text": "ok"}, nil
		},
	})
	var typing sync.WaitGroup
	for range all {
		typing.Go(func() {
			if a, err := h.alice.Type(t.Context(), h.room, "/rotate list"); err != nil || a.Err != "" {
				t.Errorf("lost: %v %q", err, a.Err)
			}
		})
	}
	// The queue is full for longer than the ping time-out: that is no silence.
	time.Sleep(3 * time.Second)
	close(release)
	typing.Wait()
	if most > handlers {
		t.Errorf("%d handlers at once, want at most %d", most, handlers)
	}
	if n := count(h.slack, "apps.connections.open"); n != 1 {
		t.Errorf("%d connections were opened: back-pressure was taken for silence", n)
	}
	h.slack.ExpectNoErrors(t)
}

func TestAnAnswerTooLargeForSlackStillAcknowledges(t *testing.T) {
	t.Parallel()
	h := start(t, bottest.SlackConfig{}, socket.Config{Handle: say(strings.Repeat("x", 21*1024))})
	h.expectAnswer(t, "")
	if !strings.Contains(h.log.String(), "larger than Slack takes") {
		t.Errorf("the log does not say so:\n%s", h.log)
	}
	h.slack.ExpectNoErrors(t)
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	api := slack.New("")
	for want, cfg := range map[string]socket.Config{
		"API":    {},
		"Handle": {API: api},
		"Log":    {API: api, Handle: say("")},
	} {
		if _, err := socket.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New without %s: %v", want, err)
		}
	}
}
