// Package command is an issuer made of the owner's own commands: one argument list a
// step. It exists for every credential that rekey has no procedure for, so that these
// are rotated by the same engine, with the same way back and the same record.
//
// Values reach a command on standard input alone, as docs/protocol.md says: arguments
// and the environment can be read by others.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Exit codes with a meaning of their own; any other but 0 is a failure.
const (
	exitRefused = 3  // of test: the value was turned away
	exitWait    = 75 // EX_TEMPFAIL of sysexits.h: try again later
)

// Issuer runs the commands that o.Place.Issuer.Commands lists. It keeps nothing, so
// that any number of processes may have one.
type Issuer struct{}

var _ issue.Issuer = Issuer{}

// New answers an Issuer.
func New() Issuer { return Issuer{} }

// Check runs the command that looks.
func (Issuer) Check(ctx context.Context, o issue.Order) (string, error) {
	return do(ctx, o, issue.Check)
}

// Create answers what the command wrote to standard output. Without a command the
// generator makes the value, or, where it is supplied, a person brings it.
func (Issuer) Create(ctx context.Context, o issue.Order) (secret.Value, string, error) {
	own, err := commands(o)
	if err != nil {
		return secret.Value{}, "", err
	}
	if err := ctx.Err(); err != nil {
		return secret.Value{}, "", err
	}
	if len(own.Create) == 0 {
		return generate(o)
	}
	if err := still(ctx, o); err != nil {
		return secret.Value{}, "", err
	}
	c := call{order: o, step: issue.Create, argv: own.Create, timeout: own.Timeout}
	stdout, err := c.run(ctx)
	if err != nil {
		return secret.Value{}, "", err
	}
	v, err := answered(stdout, o.Old)
	if err != nil {
		return secret.Value{}, "", err
	}
	return v, "Its owner's command made the new value.", nil
}

// generate makes a value here.
func generate(o issue.Order) (secret.Value, string, error) {
	v, err := secret.Generate(o.Secret.Generator, nil)
	if errors.Is(err, secret.ErrSupplied) {
		return v, "", &issue.Wait{Sentence: fmt.Sprintf("A person has to bring the new value of %s: run rekey provide %s on rekey's host.", o.Secret.Name, o.Run)}
	}
	if err != nil {
		return v, "", fmt.Errorf("making a value: %w", err)
	}
	return v, "rekey made the new value.", nil
}

// answered takes a value from what a command wrote: one line, its end left out. More
// lines are refused because the likeliest is a message that would become the secret.
func answered(stdout []byte, old secret.Value) (secret.Value, error) {
	text := bytes.TrimSuffix(bytes.TrimSuffix(stdout, []byte("\n")), []byte("\r"))
	v := secret.NewValue(string(text))
	switch {
	case v.IsZero():
		return v, issue.Faultf("The create command answered nothing: the new value belongs on its standard output.")
	case !utf8.Valid(text) || bytes.ContainsFunc(text, unicode.IsControl):
		return secret.Value{}, issue.Faultf("The create command answered more than one line, or bytes that are no text: standard output is for the new value alone.")
	case v.Equal(old):
		return secret.Value{}, issue.Faultf("The create command answered the value that is in use already.")
	}
	return v, nil
}

// Set runs the command that makes o.New valid.
func (Issuer) Set(ctx context.Context, o issue.Order) (string, error) { return do(ctx, o, issue.Set) }

// Test runs the command that tries a value. Without one nothing is known, which is
// never a pass.
func (Issuer) Test(ctx context.Context, o issue.Order, v secret.Value) verify.Try {
	own, err := commands(o)
	switch {
	case err != nil:
		return verify.Try{Why: err.Error()}
	case len(own.Test) == 0:
		return verify.Try{Why: "no command of its owner's tries a value"}
	}
	c := call{order: o, step: issue.Test, argv: own.Test, timeout: own.Timeout, value: v}
	_, err = c.run(ctx)
	var refused *refusal
	switch {
	case err == nil:
		return verify.Try{Answer: verify.Accepted}
	case errors.As(err, &refused):
		return verify.Try{Answer: verify.Refused, Why: refused.why}
	}
	return verify.Try{Why: strings.TrimRight(err.Error(), ".")}
}

// Usage is not known.
func (Issuer) Usage(context.Context, issue.Order) (issue.Usage, error) {
	return issue.Usage{}, issue.ErrCannotTell
}

// Retire runs the command that stops o.Old from working.
func (Issuer) Retire(ctx context.Context, o issue.Order) (string, error) {
	return do(ctx, o, issue.Retire)
}

// Revive runs the command that takes Retire back. Where Retire has a command and
// Revive has none, the way back is closed.
func (Issuer) Revive(ctx context.Context, o issue.Order) (string, error) {
	own, err := commands(o)
	if err != nil {
		return "", err
	}
	if len(own.Retire) > 0 && len(own.Revive) == 0 {
		return "", issue.Faultf("The old value cannot be brought back: its owner names a command that retires it and none that revives it.")
	}
	return do(ctx, o, issue.Revive)
}

// Finish runs the command that removes o.Old.
func (Issuer) Finish(ctx context.Context, o issue.Order) (string, error) {
	return do(ctx, o, issue.Finish)
}

// Rollback runs the command that makes o.New invalid.
func (Issuer) Rollback(ctx context.Context, o issue.Order) (string, error) {
	return do(ctx, o, issue.Rollback)
}

// Plan names the command of a step.
func (Issuer) Plan(o issue.Order, step issue.Step) []string {
	own, err := commands(o)
	if err != nil {
		return nil
	}
	argv := list(own, step)
	if len(argv) == 0 {
		if step == issue.Create && o.Secret.Generator != secret.Supplied {
			return []string{fmt.Sprintf("make a new value here (%s)", o.Secret.Generator)}
		}
		return nil
	}
	return []string{"run " + shown(argv) + ", with what it needs on its standard input"}
}

// shown writes an argument list for people. An owner's mistake must not be repeated: a
// token among the arguments is masked.
func shown(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = secret.MaskTokens(a)
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			words[i] = fmt.Sprintf("%q", words[i])
		}
	}
	return strings.Join(words, " ")
}

// commands answers the owner's lists.
func commands(o issue.Order) (*secret.CommandIssuer, error) {
	if own := o.Place.Issuer.Commands; own != nil {
		return own, nil
	}
	return nil, fmt.Errorf("the catalogue names no commands for %s in %s", o.Secret.Name, o.Place.Environment)
}

// list answers the argument list of a step.
func list(own *secret.CommandIssuer, step issue.Step) []string {
	switch step {
	case issue.Check:
		return own.Check
	case issue.Create:
		return own.Create
	case issue.Set:
		return own.Set
	case issue.Test:
		return own.Test
	case issue.Retire:
		return own.Retire
	case issue.Revive:
		return own.Revive
	case issue.Finish:
		return own.Finish
	case issue.Rollback:
		return own.Rollback
	}
	return nil
}

// still asks whether the run is ours yet.
func still(ctx context.Context, o issue.Order) error {
	if o.Still == nil {
		return nil
	}
	if err := o.Still(ctx); err != nil {
		return fmt.Errorf("before its owner's command: %w", err)
	}
	return nil
}
