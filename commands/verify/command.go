package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"rekey/commands/reload"
	"rekey/commands/secret"
)

// NewCommand asks a service without HTTP (a Celery worker) for a proof of the value it
// runs on, through a command; see secret.Challenge. The command is run with a fresh
// nonce as its last argument and prints the proof, and nothing else, on standard
// output. timeout bounds one run; 0 means 30 s.
//
// It gets no value: comparing is done here. One run is compared with every value of a
// round, because starting a program costs more than a question over HTTP.
func NewCommand(argv []string, timeout time.Duration) Prober {
	return &command{argv: argv, timeout: timeout}
}

type command struct {
	argv    []string
	timeout time.Duration
}

func (p *command) Try(ctx context.Context, v secret.Value) Try {
	return p.tryAll(ctx, []secret.Value{v})[0]
}

func (p *command) tryAll(ctx context.Context, values []secret.Value) []Try {
	tries := make([]Try, len(values))
	nonce := rand.Text()
	// A copy: appending to the catalogue's own list could write into its array.
	argv := append(append([]string{}, p.argv...), nonce)
	if len(p.argv) == 0 {
		argv = nil
	}
	said, err := reload.RunInput(ctx, argv, p.timeout, nil)
	for i, v := range values {
		if err != nil {
			tries[i].Why = unanswered(err)
			continue
		}
		tries[i] = judge(bytes.TrimSpace(said.Stdout), nonce, v, "")
	}
	return tries
}

// unanswered puts a command that failed into plain words; what it said is not among
// them.
func unanswered(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "the check was stopped"
	}
	return err.Error()
}
