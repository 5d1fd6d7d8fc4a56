package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"os/user"
	"time"

	"rekey/cmd/internal/app"
	"rekey/commands"
)

// submitWithin bounds the recording of a request.
const submitWithin = 10 * time.Second

// take submits a request under the operating-system user's name.
func (s *session) take(a *app.App, req commands.Request) (commands.Answer, error) {
	actor, err := s.operator()
	if err != nil {
		return commands.Answer{}, err
	}
	req.ID, req.At, req.Actor = "cli-"+rand.Text(), time.Now(), actor
	ctx, cancel := context.WithTimeout(s.ctx, submitWithin)
	defer cancel()
	answer, err := a.Take(ctx, req)
	if err != nil {
		return answer, err
	}
	if answer.Outcome == commands.Asking {
		return answer, &failure{code: ExitRefused, text: answer.Text, hint: "the same command with --yes"}
	}
	if answer.Outcome == commands.Denied || answer.Outcome == commands.Unusable {
		f := &failure{code: ExitRefused, text: answer.Text}
		if answer.Run != "" { // it is busy with this one
			f.hint = "rekey resume " + answer.Run
		}
		return answer, f
	}
	return answer, nil
}

// operator is who types. Behind sudo the person's own name is shown beside root's;
// the decision is made on the user the process really runs as.
func (s *session) operator() (commands.Actor, error) {
	u, err := user.Current()
	if err != nil {
		return commands.Actor{}, fmt.Errorf("finding out who you are: %w", err)
	}
	actor := commands.Actor{Via: "cli", ID: u.Username, Name: u.Username}
	if by := s.Getenv("SUDO_USER"); by != "" {
		actor.Name = "sudo by " + by
	}
	return actor, nil
}
