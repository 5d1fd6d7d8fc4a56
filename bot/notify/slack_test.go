package notify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	api "github.com/slack-go/slack"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/notify"
	"rekey/commands/journal"
)

// Guide: support/slack, emergency/notify
func TestTheBoardIsPostedOnceAndEditedAsTheRunGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	deliver(t, n, run+"/board")
	first := expectOne(t, w.alerts)
	if !strings.Contains(first.Plain(), "rotation waiting to start") || !strings.Contains(first.Plain(), "security log entry 1") {
		t.Errorf("board:\n%s", first.Plain())
	}
	w.step(t, run, func(r *ledger.Run) { r.State, r.StartedAt = ledger.Running, time.Now() },
		ledger.Step{Index: 0, Key: "check", Title: "Check that every service can be asked", State: ledger.StepDone})
	deliver(t, n, run+"/board")
	w.step(t, run, func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, time.Now() })
	deliver(t, n, run+"/board")
	deliver(t, n, run+"/board") // nothing left to do
	last := expectOne(t, w.alerts)
	if last.TS != first.TS || last.Edits != 2 || !strings.Contains(last.Plain(), "the old value is dead") {
		t.Errorf("after %d edits:\n%s", last.Edits, last.Plain())
	}
	d := w.delivery(t, run+"/board")
	if d.Sent < d.Wanted || d.Holder != "" || d.Attempts != 0 || d.LastError != "" || d.SentAt.IsZero() || d.Ref != w.alerts.ID+"/"+last.TS {
		t.Errorf("delivery %+v", d)
	}
	if diff := cmp.Diff([]string{"told.slack posted", "told.slack edited"}, w.acts(t, run)); diff != "" {
		t.Error(diff)
	}
}

// Whatever happens to the first calls, the message is there once in the end.
func TestNoMessageIsLostOrMadeTwice(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*bottest.Slack){
		"the answer is lost":       func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(1) },
		"the answer is lost twice": func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(2) },
		"every answer is lost":     func(s *bottest.Slack) { s.LoseResponse(4) },
		"Slack has an error":       func(s *bottest.Slack) { s.On("chat.postMessage").Fail(500, 2) },
		"Slack is not available":   func(s *bottest.Slack) { s.Fail(503, 3) },
		"Slack answers garbage":    func(s *bottest.Slack) { s.Garbage(3) },
		"Slack limits the rate":    func(s *bottest.Slack) { s.On("chat.postMessage").RateLimit(1, time.Second) },
		"the search fails": func(s *bottest.Slack) {
			s.On("chat.postMessage").LoseResponse(1)
			s.On("conversations.history").Fail(500, 2)
		},
		"the search is limited": func(s *bottest.Slack) {
			s.On("chat.postMessage").LoseResponse(1)
			s.On("conversations.history").RateLimit(1, time.Second)
		},
		"lost, then limited, then not": func(s *bottest.Slack) {
			s.On("chat.postMessage").LoseResponse(1)
			s.On("chat.update").RateLimit(1, time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			n := w.replica(t, "a")
			run := w.run(t, "r-1", func(r *ledger.Run) { withReport(r) })
			trouble(w.slack)
			if tries := deliver(t, n, run+"/board"); tries < 2 {
				t.Errorf("delivered at the first try: no trouble was met")
			}
			w.slack.Heal()
			trouble(w.slack)
			deliver(t, n, w.want(t, run, journal.Thread, "report", ""))
			w.slack.Heal()
			w.step(t, run, func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, time.Now() })
			deliver(t, n, run+"/board")

			board := expectOne(t, w.alerts)
			if !strings.Contains(board.Plain(), "the old value is dead") {
				t.Errorf("the board is out of date:\n%s", board.Plain())
			}
			if thread := w.alerts.Thread(board.TS); replies(thread, board.TS) != 1 {
				t.Errorf("%d replies instead of one:\n%s", replies(thread, board.TS), w.alerts.Transcript())
			}
			w.noErrors(t)
		})
	}
}

func replies(thread []bottest.Message, parent string) int {
	n := 0
	for _, m := range thread {
		if m.TS != parent {
			n++
		}
	}
	return n
}

func (w *world) noErrors(t *testing.T) {
	t.Helper()
	if es := w.slack.Errors(); len(es) > 0 {
		t.Errorf("the stand-in saw %q", es)
	}
}

func TestSlackBeingDownDelaysTheMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.Down(true)
	var failed notify.Failed
	if err := n.Deliver(t.Context(), run+"/board"); !errors.As(err, &failed) || failed.Class != "unreachable" {
		t.Errorf("with Slack down: %v", err)
	}
	if d := w.delivery(t, run+"/board"); d.LastError != "unreachable" || d.Holder != "" || d.Token == "" {
		t.Errorf("delivery %+v", d)
	}
	w.slack.Down(false)
	deliver(t, n, run+"/board")
	expectOne(t, w.alerts)
	if d := w.delivery(t, run+"/board"); d.LastError != "" {
		t.Errorf("delivery %+v", d)
	}
}

func TestAPostCarriedOutLongAfterWeGaveUpDoesNotStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	late := &laggard{release: make(chan struct{}), done: make(chan error, 1)}
	n := w.replica(t, "a", within(300*time.Millisecond), through(func(next http.RoundTripper) http.RoundTripper {
		late.next = next
		return late
	}))
	run := w.run(t, "r-1", nil)
	var failed notify.Failed
	if err := n.Deliver(t.Context(), run+"/board"); !errors.As(err, &failed) || failed.Class != "timed out" {
		t.Errorf("with Slack slow: %v", err)
	}
	deliver(t, n, run+"/board")
	board := expectOne(t, w.alerts)
	close(late.release)
	if err := <-late.done; err != nil {
		t.Fatal(err)
	}
	if ms := w.alerts.Messages(); len(ms) != 2 {
		t.Fatalf("the late post made no second message:\n%s", w.alerts.Transcript())
	}
	w.step(t, run, func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, time.Now() })
	deliver(t, n, run+"/board")
	if m := expectOne(t, w.alerts); m.TS != board.TS || !strings.Contains(m.Plain(), "the old value is dead") {
		t.Errorf("board:\n%s", m.Plain())
	}
}

func TestWhatSlackAsksToWaitIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.On("chat.postMessage").RateLimit(1, 7*time.Second)
	var later notify.RetryAfter
	if err := n.Deliver(t.Context(), run+"/board"); !errors.As(err, &later) || later.Delay != 7*time.Second || later.Class != "rate limited" {
		t.Errorf("rate limited: %v", err)
	}
	if d := w.delivery(t, run+"/board"); d.Attempts != 0 {
		t.Errorf("a refused post counts as %d that may have gone through", d.Attempts)
	}
}

func TestAChannelWeAreNotInNeedsAPersonAndIsThenDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.alerts.SetMember(false)
	var mend notify.Permanent
	err := n.Deliver(t.Context(), run+"/board")
	if !errors.As(err, &mend) || mend.Class != "not_in_channel" || mend.RetryAfter() < time.Minute {
		t.Errorf("not a member: %v", err)
	}
	if d := w.delivery(t, run+"/board"); d.LastError != "not_in_channel" {
		t.Errorf("delivery %+v", d)
	}
	w.alerts.SetMember(true)
	deliver(t, n, run+"/board")
	expectOne(t, w.alerts)
}

func TestABoardSomebodyDeletedIsPostedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	deliver(t, n, run+"/board")
	gone := expectOne(t, w.alerts)
	client := api.New(w.slack.BotToken(), api.OptionAPIURL(w.slack.APIURL()))
	if _, _, err := client.DeleteMessageContext(t.Context(), w.alerts.ID, gone.TS); err != nil {
		t.Fatal(err)
	}
	w.step(t, run, func(r *ledger.Run) { r.State = ledger.Running })
	deliver(t, n, run+"/board")
	m := expectOne(t, w.alerts)
	if m.TS == gone.TS || w.delivery(t, run+"/board").Ref != w.alerts.ID+"/"+m.TS {
		t.Errorf("board %s, delivery %+v", m.TS, w.delivery(t, run+"/board"))
	}
}

func TestAThreadWaitsForItsBoard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.step(t, run, nil, ledger.Step{Index: 0, Key: "test/api", Title: "Test api", State: ledger.StepFailed, Note: "api refuses the new value"})
	id := w.want(t, run, journal.Thread, "step/test/api", "test/api")
	var later notify.RetryAfter
	if err := n.Deliver(t.Context(), id); !errors.As(err, &later) || later.Class != "waiting for the board" {
		t.Errorf("before the board: %v", err)
	}
	if d := w.delivery(t, id); d.Attempts != 0 || d.Holder != "" {
		t.Errorf("delivery %+v", d)
	}
	deliver(t, n, run+"/board")
	deliver(t, n, id)
	board := expectOne(t, w.alerts)
	thread := w.alerts.Thread(board.TS)
	if replies(thread, board.TS) != 1 || !strings.Contains(thread[len(thread)-1].Plain(), "api refuses the new value") {
		t.Errorf("thread:\n%s", w.alerts.Transcript())
	}
}

func TestTheReplyGoesWhereItWasAskedOrElseToTheIncidentChannel(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		room   string // where it was asked
		member bool
		in     string // where the reply is
	}{
		"in the incident channel":    {room: "devops-alerts", member: true, in: "devops-alerts"},
		"in another channel":         {room: "backend", member: true, in: "backend"},
		"where the bot is no member": {room: "secret-plans", in: "devops-alerts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			n := w.replica(t, "a")
			w.slack.User("U0ALICE", "alice")
			room := w.slack.Channel(test.room)
			room.SetMember(test.member)
			run := w.run(t, "r-1", func(r *ledger.Run) { withReport(r); r.ReplyTo, r.State = room.ID, ledger.Succeeded })
			deliver(t, n, run+"/board")
			deliver(t, n, w.want(t, run, journal.Reply, "reply", ""))
			got := w.slack.Channel(test.in).ExpectMessage(t, "@alice", "the old value is dead", "What is left to do")
			if test.in == "devops-alerts" && got.ThreadTS != expectOne(t, w.alerts).TS {
				t.Errorf("the reply is not in the board's thread:\n%s", w.alerts.Transcript())
			}
		})
	}
}

func TestChangesWhileAMessageIsUnderWayBecomeOneEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.On("chat.postMessage").Slow(time.Second)
	var delivering sync.WaitGroup
	delivering.Go(func() { deliver(t, n, run+"/board") })
	for w.delivery(t, run+"/board").Holder == "" {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		w.step(t, run, func(r *ledger.Run) { r.State = ledger.Running })
	}
	delivering.Wait()
	m := expectOne(t, w.alerts)
	if d := w.delivery(t, run+"/board"); m.Edits != 1 || d.Sent < d.Wanted || !strings.Contains(m.Plain(), "rotating") {
		t.Errorf("%d edits, delivery %+v:\n%s", m.Edits, d, m.Plain())
	}
}

// A process that was paused in the middle of a post and taken for dead wakes up and
// finishes: the copy it makes does not stay, and the board shows the newest state.
func TestAProcessTakenForDeadLeavesNoSecondMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	paused, other := w.replica(t, "paused"), w.replica(t, "other")
	run := w.run(t, "r-1", nil)
	w.slack.On("chat.postMessage").Slow(800 * time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- paused.Deliver(context.Background(), run+"/board") }()
	w.called(t, "chat.postMessage")
	w.slack.Heal()
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Bury(ctx, "paused")
		return err
	})
	w.step(t, run, func(r *ledger.Run) { r.State = ledger.Running })
	deliver(t, other, run+"/board")
	if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the one taken for dead: %v", err)
	}
	deliver(t, other, run+"/board") // asked for once more, by the one that came late
	if m := expectOne(t, w.alerts); !strings.Contains(m.Plain(), "rotating") {
		t.Errorf("board:\n%s", m.Plain())
	}
}

func TestAnEditThatComesTooLateIsPutRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	h := &hold{method: "chat.update", held: make(chan struct{}), release: make(chan struct{})}
	paused, other := w.replica(t, "paused", through(func(next http.RoundTripper) http.RoundTripper {
		h.next = next
		return h
	})), w.replica(t, "other")
	run := w.run(t, "r-1", nil)
	deliver(t, other, run+"/board")
	w.step(t, run, func(r *ledger.Run) { r.State = ledger.Running })
	ended := make(chan error, 1)
	go func() { ended <- paused.Deliver(context.Background(), run+"/board") }()
	<-h.held
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Bury(ctx, "paused")
		return err
	})
	w.step(t, run, func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, time.Now() })
	deliver(t, other, run+"/board")
	close(h.release)
	if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the one taken for dead: %v", err)
	}
	if m := expectOne(t, w.alerts); strings.Contains(m.Plain(), "the old value is dead") {
		t.Fatalf("the late edit did not come last:\n%s", m.Plain())
	}
	if d := w.delivery(t, run+"/board"); d.Sent >= d.Wanted {
		t.Errorf("the board is not asked for again: %+v", d)
	}
	deliver(t, other, run+"/board")
	if m := expectOne(t, w.alerts); !strings.Contains(m.Plain(), "the old value is dead") {
		t.Errorf("board:\n%s", m.Plain())
	}
}

func TestADeliveryHeldByAnotherIsPutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	w.replica(t, "b")
	run := w.run(t, "r-1", nil)
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.ClaimDelivery(ctx, run+"/board", "b")
		return err
	})
	var later notify.RetryAfter
	if err := n.Deliver(t.Context(), run+"/board"); !errors.As(err, &later) {
		t.Errorf("held by another: %v", err)
	}
	if len(w.alerts.Messages()) != 0 {
		t.Errorf("delivered all the same:\n%s", w.alerts.Transcript())
	}
}

func TestWithoutTheRightToSearchAMessageIsStillNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{Scopes: []string{"commands", "chat:write"}})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.On("chat.postMessage").Fail(500, 1)
	deliver(t, n, run+"/board")
	expectOne(t, w.alerts)
}

func TestTheEndOfTheJobsContextReleasesTheDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.On("chat.postMessage").Slow(300 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Deliver(ctx, run+"/board") }()
	w.called(t, "chat.postMessage")
	cancel()
	if err := <-ended; err == nil {
		t.Error("a delivery that was interrupted reports success")
	}
	if d := w.delivery(t, run+"/board"); d.Holder != "" || d.Attempts != 1 {
		t.Errorf("delivery %+v", d)
	}
	w.slack.Heal()
	time.Sleep(400 * time.Millisecond)
	deliver(t, n, run+"/board")
	expectOne(t, w.alerts)
}
