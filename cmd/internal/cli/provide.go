package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"rekey/audit"
	"rekey/cmd/internal/app"
	"rekey/commands"
	"rekey/commands/secret"
	"rekey/commands/store"
)

type provideCmd struct {
	ID        string `arg:"" name:"run" help:"The run that waits for a value."`
	File      string `help:"Take the value from a file that only you can read." placeholder:"PATH" xor:"source"`
	FromStore string `name:"from-store" help:"Take it from a variable of an env file: /etc/new.env#EMAIL_HOST_PASSWORD. Or from a key in a store of the catalogue: vault:app/mail#PASSWORD; without #KEY the whole AWS secret." placeholder:"[STORE:]LOCATION[#KEY]" xor:"source"`
}

// Help says where the value comes from, and why it is no argument.
func (c *provideCmd) Help() string {
	return "Asks for the value without showing it, or reads standard input, a file, an env file or a store of the catalogue. The value is tried before anything is changed. It is never an argument: the shell's history and the list of processes keep those."
}

const (
	// longestValue is how much is taken for a value, in bytes.
	longestValue = 64 << 10
	// provideWithin bounds the proof of a value and its keeping.
	provideWithin = 2 * time.Minute
)

var runNumber = regexp.MustCompile(`^r-[0-9a-z-]{1,40}$`)

// Run brings a run the value it waits for.
func (c *provideCmd) Run(s *session) error {
	if !runNumber.MatchString(c.ID) { // it may be the value
		return &failure{code: ExitUsage, text: "that is not the number of a run; nothing was done.", hint: "rekey runs"}
	}
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	// A number that was mistyped is told before the person types the value.
	answer, err := s.take(a, commands.Request{Verb: commands.Status, Run: c.ID})
	if err != nil {
		return err
	}
	run := answer.Runs[0]
	v, err := c.value(s, a.Stores(), run.Secret+" in "+run.Environment)
	if err != nil {
		return err
	}
	actor, err := s.operator()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, provideWithin)
	defer cancel()
	said, err := a.Provide(ctx, actor, run.ID, v)
	var refused *app.RefusedError
	switch {
	case errors.As(err, &refused):
		return &failure{code: ExitRefused, text: refused.Sentence}
	case err != nil:
		return err
	}
	s.say(said + "\n")
	if alone, err := a.Alone(ctx); err != nil || !alone {
		return err
	}
	s.complain("no rekey is serving here, so the run stands still. Start one, or type: rekey resume " + run.ID)
	return nil
}

// value reads the new value from where the person says it is.
func (c *provideCmd) value(s *session, stores map[string]store.Store, what string) (secret.Value, error) {
	var text string
	var err error
	switch {
	case c.FromStore != "":
		var v secret.Value
		if v, err = fromStore(s.ctx, stores, c.FromStore); err == nil {
			text = v.Reveal()
		}
	case c.File != "":
		text, err = fromFile(c.File)
	case isTerminal(os.Stdin):
		text, err = askHidden(s.ctx, os.Stdin, s.Err, "New value of "+what+" (it is not shown): ")
		if err == nil {
			fmt.Fprintf(s.Err, "%s read.\n", audit.Count(utf8.RuneCountInString(text), "character"))
		}
	default:
		text, err = bounded(os.Stdin, "standard input")
	}
	if err != nil {
		return secret.Value{}, err
	}
	return tidy(text)
}

// tidy takes one line's end off and refuses what no value is. What it says of the text
// holds nothing of it.
func tidy(text string) (secret.Value, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case text == "":
		return secret.Value{}, unfit("no value was given")
	case !utf8.ValidString(text):
		return secret.Value{}, unfit("what was given is no text in UTF-8")
	case strings.ContainsAny(text, "\r\n"):
		return secret.Value{}, unfit("more than one line was given")
	case strings.ContainsFunc(text, unicode.IsControl):
		return secret.Value{}, unfit("what was given holds a control character, such as an arrow key makes")
	case strings.TrimSpace(text) != text:
		return secret.Value{}, unfit("what was given begins or ends with a space")
	}
	return secret.NewValue(text), nil
}

func unfit(why string) error {
	return &failure{code: ExitRefused, text: why + "; nothing was changed."}
}

// fromFile reads a file that only its owner may read. It looks at the very file that
// it reads, whatever stands under the name meanwhile.
func fromFile(name string) (string, error) {
	// A pipe without a writer would be waited for, for ever.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", unfit(fmt.Sprintf("the file cannot be read: %v", err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return "", unfit(name + " is no file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", &failure{code: ExitRefused, text: name + " can be read by others; nothing was changed.", hint: "chmod 600 " + name + ", and another value if somebody may have read this one"}
	}
	return bounded(f, name)
}

// bounded reads all of r, which holds one value.
func bounded(r io.Reader, name string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, longestValue+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	if len(text) > longestValue {
		return "", unfit(name + " holds more than 64 KiB, which is no value")
	}
	return string(text), nil
}

// fromStore reads [STORE:]LOCATION[#KEY]: a variable of an env file, or a key of a
// secret in one of the catalogue's stores.
func fromStore(ctx context.Context, stores map[string]store.Store, text string) (secret.Value, error) {
	name, rest, err := storeOf(stores, text)
	if err != nil {
		return secret.Value{}, err
	}
	location, key, _ := strings.Cut(rest, "#")
	if location == "" || key == "" && (name == secret.Dotenv || strings.HasSuffix(rest, "#")) {
		return secret.Value{}, &failure{
			code: ExitUsage, text: "where a value is kept is written LOCATION#KEY for an env file and STORE:LOCATION#KEY for a store; nothing was changed.",
			hint: "rekey provide RUN --from-store /etc/new.env#EMAIL_HOST_PASSWORD",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, provideWithin)
	defer cancel()
	state, err := stores[name].Read(ctx, store.Ref{Location: location, Variable: key})
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		return secret.Value{}, context.Cause(ctx)
	case err != nil:
		return secret.Value{}, unfit(sentence(err.Error()))
	}
	return state.Current, nil
}

// storeOf answers the store that a reference names, and the rest of it. A path may hold a
// colon, so what stands before one is a store only where it could be a name.
func storeOf(stores map[string]store.Store, text string) (name, rest string, err error) {
	name, rest, found := strings.Cut(text, ":")
	if !found || name == "" || strings.ContainsAny(name, "/#") {
		return secret.Dotenv, text, nil
	}
	if _, known := stores[name]; known {
		return name, rest, nil
	}
	if _, err := os.Lstat(strings.SplitN(text, "#", 2)[0]); err == nil {
		return secret.Dotenv, text, nil
	}
	shown := "that name" // it may be a value
	if len(name) <= longestEcho && secret.MaskTokens(name) == name {
		shown = "the name " + name
	}
	return "", "", &failure{
		code: ExitUsage, text: fmt.Sprintf("there is no store of %s; the catalogue has %s. Nothing was changed.", shown, strings.Join(slices.Sorted(maps.Keys(stores)), ", ")),
		hint: "rekey provide RUN --from-store ./FILE#KEY for an env file whose name has a colon",
	}
}

// mayBeTyped reports whether kong's complaint is about something that may be the value.
func mayBeTyped(err error) bool {
	return strings.HasPrefix(err.Error(), "unexpected argument ") || strings.HasPrefix(err.Error(), "unknown flag ")
}

// typedValue is said to somebody who may have typed the value. It repeats nothing.
func typedValue() error {
	return &failure{
		code: ExitUsage,
		text: "a value is never typed as an argument: the shell's history and the list of processes keep it. Nothing was done; if that was the value, have another one made.",
		hint: "rekey provide RUN, which asks for the value without showing it",
	}
}
