package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rekey/commands/issue"
	"rekey/commands/reload"
	"rekey/commands/secret"
)

// version is the protocol's, in docs/protocol.md.
const version = 1

// longestSentence bounds what a command may say to people, in bytes.
const longestSentence = 300

// input is what a command reads. Its values are text because this is the one place
// where they are meant to leave rekey: into a pipe of the command's own.
type input struct {
	Version     int        `json:"version"`
	Step        issue.Step `json:"step"`
	Run         string     `json:"run"`
	Secret      string     `json:"secret"`
	Environment string     `json:"environment"`
	Compromised bool       `json:"compromised"`
	Old         string     `json:"old"`
	New         string     `json:"new"`
	Value       string     `json:"value,omitempty"` // of test: the one to try
}

// call is one command about to be run.
type call struct {
	order   issue.Order
	step    issue.Step
	argv    []string
	timeout time.Duration
	value   secret.Value // of test
}

// refusal is exit 3 of test.
type refusal struct{ why string }

func (r *refusal) Error() string { return "refused: " + r.why }

// do runs a step that answers a note. The last line of standard output is the note.
func do(ctx context.Context, o issue.Order, step issue.Step) (string, error) {
	own, err := commands(o)
	if err != nil {
		return "", err
	}
	argv := list(own, step)
	if len(argv) == 0 {
		return "", nil
	}
	if step != issue.Check {
		if err := still(ctx, o); err != nil {
			return "", err
		}
	}
	c := call{order: o, step: step, argv: argv, timeout: own.Timeout}
	stdout, err := c.run(ctx)
	if err != nil {
		return "", err
	}
	return c.sentence(string(stdout)), nil
}

// run runs the command and puts its end into words. stdout is not scrubbed.
func (c call) run(ctx context.Context) (stdout []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, v := range []secret.Value{c.order.Old, c.order.New, c.value} {
		if !utf8.ValidString(v.Reveal()) {
			return nil, issue.Faultf("The %s command cannot be given a value that is no UTF-8 text.", c.step)
		}
	}
	given, err := json.Marshal(input{
		Version: version, Step: c.step, Run: c.order.Run, Secret: c.order.Secret.Name, Environment: c.order.Place.Environment,
		Compromised: c.order.Compromised, Old: c.order.Old.Reveal(), New: c.order.New.Reveal(), Value: c.value.Reveal(),
	})
	if err != nil {
		return nil, fmt.Errorf("writing the input of the %s command: %w", c.step, err)
	}
	said, err := reload.RunInput(ctx, c.argv, c.timeout, append(given, '\n'))
	if err == nil {
		return said.Stdout, nil
	}
	return nil, c.explain(said, err)
}

// explain tells what definitely failed from what is not known: a command that was
// stopped or killed may have done its work.
func (c call) explain(said reload.Said, err error) error {
	var failed *reload.Error
	switch {
	case errors.Is(err, reload.ErrTooMuch):
		return &issue.Fault{Sentence: fmt.Sprintf("The %s command wrote more than 64 KiB to its standard output.", c.step), Err: err}
	case !errors.As(err, &failed):
		return fmt.Errorf("running the %s command: %w", c.step, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrPermission):
		return &issue.Fault{Sentence: fmt.Sprintf("The %s command %s cannot be run: it is not there, or is no program for rekey's user.", c.step, failed.Command), Err: err}
	case failed.TimedOut > 0, failed.Signal != "", failed.Err != nil:
		return fmt.Errorf("the %s command: %w", c.step, err)
	}
	// What create wrote before it failed may be a value that nobody knows yet, so that
	// nobody could scrub it.
	out := string(said.Stdout)
	if c.step == issue.Create {
		c.value, out = secret.NewValue(strings.TrimSpace(out)), ""
	}
	why := c.sentence(said.Stderr)
	switch failed.Code {
	case exitWait:
		if s := c.sentence(out); s != "" {
			why = s
		}
		if why == "" {
			why = fmt.Sprintf("The %s command asks for patience and does not say what for.", c.step)
		}
		return &issue.Wait{Sentence: why}
	case exitRefused:
		if c.step == issue.Test {
			return &refusal{why: why}
		}
	}
	sentence := fmt.Sprintf("The %s command exited with %d and said nothing on standard error.", c.step, failed.Code)
	if why != "" {
		sentence = fmt.Sprintf("The %s command exited with %d: %s", c.step, failed.Code, why)
	}
	return &issue.Fault{Sentence: sentence, Err: err}
}

// sentence answers the last line of what a command said, for people: no value in it,
// nothing that looks like one, no control characters.
func (c call) sentence(text string) string {
	text = c.scrub(strings.ToValidUTF8(text, "�"))
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	text = secret.MaskTokens(text)
	if len(text) > longestSentence {
		text = strings.ToValidUTF8(text[:longestSentence], "") + "…"
	}
	return text
}

// scrub takes out the values this call knows, in every form they may be written in.
func (c call) scrub(text string) string {
	key, err := secret.NewKey(nil)
	if err != nil {
		return "(what it said could not be cleaned of values)"
	}
	guard := secret.NewGuard(key)
	for _, v := range []secret.Value{c.order.Old, c.order.New, c.value} {
		if v.IsZero() {
			continue
		}
		guard.Add(secret.Fingerprints(key, c.order.Secret.Name, c.order.Place.Environment, secret.RoleLive, v))
		if v.Len() < secret.MinFingerprint { // too short for a fingerprint, not for a leak
			text = strings.ReplaceAll(text, v.Reveal(), v.String())
		}
	}
	return guard.ScrubString(text)
}
