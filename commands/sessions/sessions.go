// Package sessions counts, ends and tidies what a secret has minted for others: the
// sessions SECRET_KEY signs, password reset links. It exists because a new value alone
// does not take back what the old one has signed, and because the person who rotates
// must know beforehand how many people are logged out.
//
// The commands are the owner's. They are run as package reload runs commands: no
// shell, none of rekey's tokens, a bounded time. What they say is scrubbed before it is
// answered.
package sessions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rekey/audit"
	"rekey/commands/reload"
	"rekey/commands/secret"
)

// ErrCannotTell reports that the catalogue has no command that counts, so that nobody
// knows what ends.
var ErrCannotTell = errors.New("nothing tells how many sessions end")

// Count asks how much would end with the old value and ends nothing. ErrCannotTell when
// m is nil or has no such command; any other error holds what went wrong in plain words
// without a value in it, or is ctx's.
func Count(ctx context.Context, m *secret.Sessions, guard *secret.Guard) (Minted, error) {
	if m == nil || len(m.Count) == 0 {
		return nil, ErrCannotTell
	}
	said, err := reload.RunInput(ctx, m.Count, m.Timeout, nil)
	if err != nil {
		return nil, explain("counting the sessions", err, said, guard)
	}
	minted, err := parse(said.Stdout, guard)
	if err != nil {
		return nil, fmt.Errorf("counting the sessions: %w", err)
	}
	return minted, nil
}

// End ends everything the old value has minted, at once. The note is for people; it is
// "" when the catalogue has no such command and nothing was done. Errors as Count's. It
// may be repeated: what has ended stays ended.
func End(ctx context.Context, m *secret.Sessions, guard *secret.Guard) (note string, err error) {
	if m == nil || len(m.End) == 0 {
		return "", nil
	}
	return act(ctx, m.End, m, guard, "ending the sessions", "Everything the old value had signed was ended.")
}

// Tidy removes what is dead anyway, as Django's clearsessions does. As End.
func Tidy(ctx context.Context, m *secret.Sessions, guard *secret.Guard) (note string, err error) {
	if m == nil || len(m.Tidy) == 0 {
		return "", nil
	}
	return act(ctx, m.Tidy, m, guard, "clearing dead sessions", "Dead sessions were cleared.")
}

func act(ctx context.Context, argv []string, m *secret.Sessions, guard *secret.Guard, doing, done string) (string, error) {
	said, err := reload.RunInput(ctx, argv, m.Timeout, nil)
	// What a command printed beyond 64 KiB does not undo what it did.
	if err != nil && !errors.Is(err, reload.ErrTooMuch) {
		return "", explain(doing, err, said, guard)
	}
	if line := lastLine(string(said.Stdout), guard); line != "" {
		done += " The command said: " + line
	}
	return done, nil
}

// explain says why a command did not do its work, with the last it said.
func explain(doing string, err error, said reload.Said, guard *secret.Guard) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	line := lastLine(said.Stderr, guard)
	if line == "" {
		line = lastLine(string(said.Stdout), guard)
	}
	if line == "" {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w; it said: %s", doing, err, line)
}

// lineRunes is how much of a line people are shown.
const lineRunes = 200

// lastLine is the last line of text that is not blank, fit to show. The whole text is
// scrubbed first: a value may go over several lines.
func lastLine(text string, guard *secret.Guard) string {
	text = strings.TrimSpace(secret.MaskTokens(guard.ScrubString(text)))
	return audit.Clean(text[strings.LastIndexByte(text, '\n')+1:], lineRunes)
}
