package bot_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rekey/bot/bottest"
	"rekey/commands"
)

// asking is a desk that wants a second click before SECRET_KEY is rotated.
func asking(_ context.Context, req commands.Request) (commands.Answer, error) {
	if req.Confirmed {
		return commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: "r-1", Text: "Rotating " + req.Secret + " now."}, nil
	}
	yes := req
	yes.Confirmed = true
	return commands.Answer{
		Outcome: commands.Asking, Verb: req.Verb, Text: "120 sessions end.",
		Confirm: &commands.Confirm{Request: yes, Cost: "120 sessions end.", Yes: "Rotate SECRET_KEY now"},
	}, nil
}

// A question's button is the same request again, confirmed, by whoever clicks; the
// other one starts nothing. The answer takes the question's place.
func TestAQuestionIsAnsweredByAClick(t *testing.T) {
	t.Parallel()
	for action, said := range map[string]string{"rekey-confirm": "Rotating SECRET_KEY now.", "rekey-cancel": "Nothing was started."} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			d := &desk{take: asking}
			s, _ := start(t, d, nil)
			alice := s.User("U0ALICE", "alice")
			alice.Types(t, s.Channel("devops-alerts"), "/rotate SECRET_KEY compromised in a CI log")
			asked := whispered(t, alice, "120 sessions end.")
			if got, err := alice.Click(t.Context(), asked, action); err != nil || got.Err != "" {
				t.Fatalf("clicked: %+v, %v", got, err)
			}
			whispered(t, alice, said)
			reqs := d.requests()
			if action == "rekey-cancel" {
				if len(reqs) != 1 {
					t.Errorf("%d requests after a refusal", len(reqs))
				}
				return
			}
			if len(reqs) != 2 {
				t.Fatalf("%d requests, want 2", len(reqs))
			}
			last := reqs[1]
			if !last.Confirmed || last.Secret != "SECRET_KEY" || last.Mode != commands.Compromised || last.Reason != "in a CI log" ||
				last.Actor.ID != "U0ALICE" || !strings.HasPrefix(last.ID, "click-U0ALICE-") {
				t.Errorf("the click asked for %+v", last)
			}
			s.ExpectNoErrors(t)
		})
	}
}

// whispered waits for something that only the user sees.
func whispered(t *testing.T, u *bottest.User, text string) bottest.Message {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		for _, m := range u.Whispers() {
			if strings.Contains(m.Text+string(m.Blocks), text) {
				return m
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody was told %q", text)
		}
	}
}
