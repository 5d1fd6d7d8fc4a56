package bot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"go.uber.org/goleak"

	"rekey/audit/ledger"
	"rekey/bot"
	"rekey/bot/bottest"
	"rekey/commands"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// desk is a Desk that does what the test says and remembers what it was asked.
type desk struct {
	mu    sync.Mutex
	asked []commands.Request
	take  func(ctx context.Context, req commands.Request) (commands.Answer, error)
}

func (d *desk) Take(ctx context.Context, req commands.Request) (commands.Answer, error) {
	d.mu.Lock()
	d.asked = append(d.asked, req)
	d.mu.Unlock()
	return d.take(ctx, req)
}

func (d *desk) requests() []commands.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]commands.Request(nil), d.asked...)
}

type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, d *desk, change func(*bot.Config)) (*bottest.Slack, *log) {
	t.Helper()
	s, err := bottest.StartSlack(bottest.SlackConfig{Interactive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l := &log{}
	cfg := bot.Config{
		API:  slack.New(s.BotToken(), slack.OptionAppLevelToken(s.AppToken()), slack.OptionAPIURL(s.APIURL())),
		Desk: d, Log: slog.New(slog.NewTextHandler(l, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	b, err := bot.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	s.ExpectConnected(t, 1)
	return s, l
}

func taken(_ context.Context, req commands.Request) (commands.Answer, error) {
	return commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Text: "Rotating " + req.Secret + ".", Run: "r-1"}, nil
}

func TestACommandReachesTheDeskAsARequest(t *testing.T) {
	t.Parallel()
	d := &desk{take: taken}
	s, _ := start(t, d, nil)
	room := s.Channel("devops-alerts")
	a := s.User("U0ALICE", "alice").Types(t, room, "/rotate REVALIDATE_SECRET compromised found in a CI log")
	if a.Err != "" || a.InChannel || !strings.Contains(a.Text, "Rotating REVALIDATE_SECRET.") || !strings.Contains(a.Text, "r-1") {
		t.Errorf("answer %+v", a)
	}
	got := d.requests()
	if len(got) != 1 || got[0].At.IsZero() {
		t.Fatalf("requests %+v", got)
	}
	want := commands.Request{
		ID: a.EnvelopeID, At: got[0].At,
		Actor: commands.Actor{Via: "slack", ID: "U0ALICE", Name: "alice", Channel: room.ID},
		Verb:  commands.Rotate, Secret: "REVALIDATE_SECRET", Mode: commands.Compromised, Reason: "found in a CI log",
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
	s.ExpectNoErrors(t)
}

func TestAnswersPassTheOutboundGuard(t *testing.T) {
	t.Parallel()
	d := &desk{take: func(context.Context, commands.Request) (commands.Answer, error) {
		return commands.Answer{Outcome: commands.Told, Text: "the value is hunter2-hunter2"}, nil
	}}
	s, _ := start(t, d, func(c *bot.Config) {
		c.Scrub = func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("hunter2-hunter2"), []byte("[redacted]")) }
	})
	a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate list")
	if a.Err != "" || a.Text != "the value is [redacted]" {
		t.Errorf("answer %+v", a)
	}
}

func TestARedeliveredCommandCarriesTheSameID(t *testing.T) {
	t.Parallel()
	d := &desk{take: taken}
	s, _ := start(t, d, nil)
	a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate A_SECRET routine")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Redeliver(ctx, a.EnvelopeID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitAcks(ctx, a.EnvelopeID, 2); err != nil {
		t.Fatal(err)
	}
	got := d.requests()
	if len(got) != 2 || got[0].ID != got[1].ID {
		t.Errorf("requests %+v", got)
	}
}

func TestEveryFailureIsASentence(t *testing.T) {
	t.Parallel()
	canary := "postgres://user:hunter2@db"
	for name, test := range map[string]struct {
		line string
		err  error
		want []string
		not  string
	}{
		"usage":       {line: "/rotate REVALIDATE_SECRET", want: []string{"compromised", "Try: /rotate REVALIDATE_SECRET"}},
		"not started": {err: fmt.Errorf("taking: %w", ledger.ErrNotStarted), want: []string{"Nothing was started", "rekey rotate"}},
		"unknown":     {err: fmt.Errorf("taking: %w", ledger.ErrUnknownOutcome), want: []string{"not known yet", "/rotate status"}},
		"other":       {err: errors.New("dialling " + canary), want: []string{"Something went wrong inside rekey", "Reference for the log"}, not: canary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{take: func(context.Context, commands.Request) (commands.Answer, error) { return commands.Answer{}, test.err }}
			s, l := start(t, d, nil)
			line := test.line
			if line == "" {
				line = "/rotate A_SECRET routine"
			}
			a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), line)
			if a.Err != "" || a.InChannel {
				t.Errorf("answer %+v", a)
			}
			for _, w := range test.want {
				if !strings.Contains(a.Text, w) {
					t.Errorf("%q lacks %q", a.Text, w)
				}
			}
			if test.not != "" && strings.Contains(a.Text, test.not) {
				t.Errorf("%q repeats the error", a.Text)
			}
			if _, ref, ok := strings.Cut(a.Text, "Reference for the log: "); ok && !strings.Contains(l.String(), strings.TrimSpace(ref)) {
				t.Errorf("reference %q is not in the log:\n%s", ref, l)
			}
			s.ExpectNoErrors(t)
		})
	}
}

func TestTheDeskHasToAnswerBeforeSlackGivesUp(t *testing.T) {
	t.Parallel()
	deadlines := make(chan time.Duration, 1)
	s, _ := start(t, &desk{take: func(ctx context.Context, req commands.Request) (commands.Answer, error) {
		at, _ := ctx.Deadline()
		deadlines <- at.Sub(req.At)
		return commands.Answer{Text: "ok"}, nil
	}}, nil)
	s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate A_SECRET routine")
	if d := <-deadlines; d < 2*time.Second || d > 2900*time.Millisecond {
		t.Errorf("the desk has %s from the arrival of the command; Slack waits 3 s", d)
	}
}

func TestADeskThatHonoursItsDeadlineIsHeard(t *testing.T) {
	t.Parallel()
	s, _ := start(t, &desk{take: func(ctx context.Context, _ commands.Request) (commands.Answer, error) {
		<-ctx.Done()
		return commands.Answer{}, fmt.Errorf("taking: %w", ledger.ErrNotStarted)
	}}, func(c *bot.Config) { c.TakeWithin = 300 * time.Millisecond })
	a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate A_SECRET routine")
	if a.Err != "" || !strings.Contains(a.Text, "Nothing was started") {
		t.Errorf("answer %+v", a)
	}
}

func TestADeskThatIgnoresItsDeadlineIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, _ := start(t, &desk{take: func(context.Context, commands.Request) (commands.Answer, error) {
		<-release
		return commands.Answer{Text: "too late"}, nil
	}}, func(c *bot.Config) { c.TakeWithin, c.AnswerWithin = 200*time.Millisecond, 500*time.Millisecond })
	a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate A_SECRET routine")
	close(release)
	if a.Err != "" || !strings.Contains(a.Text, "not known yet") || !strings.Contains(a.Text, "/rotate status") {
		t.Errorf("answer %+v", a)
	}
}

func TestAPanicInTheDeskIsReportedAndAnswered(t *testing.T) {
	t.Parallel()
	reported := make(chan any, 1)
	d := &desk{take: func(context.Context, commands.Request) (commands.Answer, error) { panic("a secret somebody typed") }}
	s, l := start(t, d, func(c *bot.Config) { c.Panicked = func(p any) { reported <- p } })
	a := s.User("U0ALICE", "alice").Types(t, s.Channel("devops-alerts"), "/rotate A_SECRET routine")
	if a.Err != "" || !strings.Contains(a.Text, "Something went wrong") {
		t.Errorf("answer %+v", a)
	}
	if p := <-reported; p != "a secret somebody typed" {
		t.Errorf("reported %v", p)
	}
	if strings.Contains(l.String(), "somebody typed") {
		t.Errorf("the panic's text is in the log:\n%s", l)
	}
}

func TestEventsAndClicksAreAcknowledged(t *testing.T) {
	t.Parallel()
	d := &desk{take: taken}
	s, _ := start(t, d, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := s.Event(ctx, map[string]any{"type": "app_mention", "text": "hello"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitAcks(ctx, e.ID, 1); err != nil {
		t.Fatal(err)
	}
	if got := d.requests(); len(got) != 0 {
		t.Errorf("the desk was asked %+v", got)
	}
	s.ExpectNoErrors(t)
}
