package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/issue"
	"rekey/commands/issue/command"
	"rekey/commands/secret"
	"rekey/commands/storetest"
	"rekey/commands/verify"
)

// says is a command that ends with code after writing to both streams.
func says(t *testing.T, code, stdout, stderr string) []string {
	t.Helper()
	return self(t, "odd", "say", code, stdout, stderr)
}

func TestHowCommandsEnd(t *testing.T) {
	t.Parallel()
	const leaky = "note: VALUE and more"
	for _, test := range []struct {
		name, code, stdout, stderr string
		fault, wait, note          string
	}{
		{name: "well, in silence", code: "0"},
		{name: "well, with a note", code: "0", stdout: "working\nThe token is valid now.\n", stderr: "debug", note: "The token is valid now."},
		{name: "well, with a leak", code: "0", stdout: leaky, note: "note: [redacted] and more"},
		{name: "failure", code: "1", stdout: "half", stderr: "warming up\nno such tenant\n\n", fault: "The set command exited with 1: no such tenant"},
		{name: "failure in silence", code: "2", fault: "The set command exited with 2 and said nothing on standard error."},
		{name: "failure with a leak", code: "1", stderr: "cannot set VALUE", fault: "The set command exited with 1: cannot set [redacted]"},
		{
			name: "failure with a stranger's token", code: "1", stderr: "used ghp_0123456789abcdefghijABCDEFGHIJ012345",
			fault: "The set command exited with 1: used [masked]",
		},
		{name: "failure with colours", code: "1", stderr: "\x1b[31mbad\x1b[0m\tthing", fault: "The set command exited with 1: [31mbad [0m thing"},
		{name: "refusal is for test alone", code: "3", stderr: "no", fault: "The set command exited with 3: no"},
		{name: "patience", code: "75", stderr: "An approval is awaited in the portal.", wait: "An approval is awaited in the portal."},
		{name: "patience on standard output", code: "75", stdout: "first\nCome back later.", stderr: "debug", wait: "Come back later."},
		{name: "patience without a word", code: "75", wait: "The set command asks for patience and does not say what for."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := order(secret.CommandIssuer{Set: says(t, test.code, test.stdout, test.stderr)})
			note, err := command.New().Set(t.Context(), o)
			var fault *issue.Fault
			var wait *issue.Wait
			switch {
			case test.fault != "":
				if !errors.As(err, &fault) || fault.Sentence != test.fault {
					t.Errorf("got %v, want the fault %q", err, test.fault)
				}
			case test.wait != "":
				if !errors.As(err, &wait) || wait.Sentence != test.wait {
					t.Errorf("got %v, want to wait: %q", err, test.wait)
				}
			case err != nil || note != test.note:
				t.Errorf("got %q, %v; want %q", note, err, test.note)
			}
			storetest.AssertLeaksNoSecret(t, []secret.Value{o.Old, o.New}, note, err)
		})
	}
}

func TestTrying(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		argv []string
		want verify.Try
	}{
		"it works":       {says(t, "0", "chatter", ""), verify.Try{Answer: verify.Accepted}},
		"it is refused":  {says(t, "3", "", "401 Unauthorized"), verify.Try{Answer: verify.Refused, Why: "401 Unauthorized"}},
		"it is not told": {says(t, "1", "", "VALUE: connection refused"), verify.Try{Why: "The test command exited with 1: [redacted]: connection refused"}},
		"later":          {says(t, "75", "", "busy"), verify.Try{Why: "busy"}},
		"no program":     {[]string{"/no/such/tool"}, verify.Try{Why: "The test command tool cannot be run: it is not there, or is no program for rekey's user"}},
		"no command":     {nil, verify.Try{Why: "no command of its owner's tries a value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := order(secret.CommandIssuer{Test: test.argv})
			if d := cmp.Diff(test.want, command.New().Test(t.Context(), o, o.New)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A command that was stopped may have done its work: that is no definite failure.
func TestWhatIsNotKnownIsNoFault(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]secret.CommandIssuer{
		"its time was up": {Set: self(t, "odd", "hang"), Timeout: 200 * time.Millisecond},
		"it was killed":   {Set: self(t, "odd", "die")},
	} {
		_, err := command.New().Set(t.Context(), order(own))
		var fault *issue.Fault
		if err == nil || errors.As(err, &fault) {
			t.Errorf("%s: got %v, want an error that is no fault", name, err)
		}
		if got := command.New().Test(t.Context(), order(secret.CommandIssuer{Test: own.Set, Timeout: own.Timeout}), secret.NewValue("x")); got.Answer != verify.Unknown || got.Why == "" {
			t.Errorf("%s: trying answered %v", name, got)
		}
	}
}

func TestWhatCreateMayAnswer(t *testing.T) {
	t.Parallel()
	old := order(secret.CommandIssuer{}).Old.Reveal()
	for name, test := range map[string]struct{ stdout, value, fault string }{
		"a value":           {stdout: "tok-1", value: "tok-1"},
		"a line":            {stdout: "tok-1\n", value: "tok-1"},
		"a line of DOS":     {stdout: "tok-1\r\n", value: "tok-1"},
		"blanks are kept":   {stdout: " tok 1 \n", value: " tok 1 "},
		"nothing":           {fault: "The create command answered nothing: the new value belongs on its standard output."},
		"an empty line":     {stdout: "\n", fault: "The create command answered nothing: the new value belongs on its standard output."},
		"a message as well": {stdout: "made it\ntok-1\n", fault: "The create command answered more than one line, or bytes that are no text: standard output is for the new value alone."},
		"two line ends":     {stdout: "tok-1\n\n", fault: "The create command answered more than one line, or bytes that are no text: standard output is for the new value alone."},
		"no text":           {stdout: "\xff\xfe", fault: "The create command answered more than one line, or bytes that are no text: standard output is for the new value alone."},
		"the old value":     {stdout: old + "\n", fault: "The create command answered the value that is in use already."},
		"too much":          {stdout: strings.Repeat("x", 70_000), fault: "The create command wrote more than 64 KiB to its standard output."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, note, err := command.New().Create(t.Context(), order(secret.CommandIssuer{Create: says(t, "0", test.stdout, "chatter")}))
			var fault *issue.Fault
			switch {
			case test.fault != "":
				if !errors.As(err, &fault) || fault.Sentence != test.fault || !v.IsZero() {
					t.Errorf("got %v, want the fault %q and no value", err, test.fault)
				}
			case err != nil || v.Reveal() != test.value || note == "":
				t.Errorf("another value, or %q, %v", note, err)
			}
		})
	}
}

// What a failed create wrote may be a value that is known to nobody yet.
func TestAFailedCreateDoesNotShowWhatItMade(t *testing.T) {
	t.Parallel()
	const made = "short-lived 77"
	_, _, err := command.New().Create(t.Context(), order(secret.CommandIssuer{Create: says(t, "1", made+"\n", "cannot store "+made)}))
	if err == nil || strings.Contains(err.Error(), made) || !strings.Contains(err.Error(), "cannot store [redacted]") {
		t.Errorf("got %v", err)
	}
	_, _, err = command.New().Create(t.Context(), order(secret.CommandIssuer{Create: says(t, "75", made+"\n", "")}))
	var wait *issue.Wait
	if !errors.As(err, &wait) || strings.Contains(err.Error(), made) {
		t.Errorf("got %v, want to wait", err)
	}
}

func TestWithoutCommands(t *testing.T) {
	t.Parallel()
	i, o := command.New(), order(secret.CommandIssuer{})
	for _, do := range []func(context.Context, issue.Order) (string, error){i.Check, i.Set, i.Retire, i.Revive, i.Finish, i.Rollback} {
		if note, err := do(t.Context(), o); note != "" || err != nil {
			t.Errorf("nothing to do answered %q, %v", note, err)
		}
	}
	v, _, err := i.Create(t.Context(), o)
	if err != nil || v.Len() != 64 {
		t.Errorf("the generator made %d characters, %v", v.Len(), err)
	}
	o.Secret.Generator = secret.Supplied
	_, _, err = i.Create(t.Context(), o)
	var wait *issue.Wait
	if !errors.As(err, &wait) || !strings.Contains(wait.Sentence, "rekey provide r1") {
		t.Errorf("got %v, want to wait for a person", err)
	}
	o.Place.Issuer.Commands = nil
	if _, err := i.Set(t.Context(), o); err == nil {
		t.Error("a place without commands was served")
	}
}

func TestPlanNamesTheCommands(t *testing.T) {
	t.Parallel()
	o := order(secret.CommandIssuer{Set: []string{"token-tool", "set", "--tenant", "leather works", "xoxb-12345678-abcdefgh"}})
	got := command.New().Plan(o, issue.Set)
	want := []string{`run token-tool set --tenant "leather works" [masked], with what it needs on its standard input`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := command.New().Plan(o, issue.Create); cmp.Diff([]string{"make a new value here (hex32)"}, got) != "" {
		t.Errorf("create: %q", got)
	}
	if got := command.New().Plan(o, issue.Finish); got != nil {
		t.Errorf("finish: %q", got)
	}
}

// A value that would arrive changed is not sent at all.
func TestAValueThatIsNoText(t *testing.T) {
	t.Parallel()
	o := order(secret.CommandIssuer{Set: []string{"true"}})
	o.Old = secret.NewValue("caf\xe9")
	var fault *issue.Fault
	if _, err := command.New().Set(t.Context(), o); !errors.As(err, &fault) {
		t.Errorf("got %v, want a fault", err)
	}
}

// TestValuesAreSeenByNobody looks at a running command and its child as any other user
// of the machine could.
//
// Guide: procedures/anything-else/rotate
func TestValuesAreSeenByNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, gone := filepath.Join(dir, "ready"), filepath.Join(dir, "go")
	o := order(secret.CommandIssuer{Test: self(t, "odd", "linger", ready, gone, "visible-argument"), Timeout: time.Minute})
	tried := secret.NewValue("canary-tried-d205e877")
	done := make(chan verify.Try, 1)
	go func() { done <- command.New().Test(t.Context(), o, tried) }()
	var in []byte
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if in, err = os.ReadFile(ready); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the command did not start within 30 s")
		}
	}
	group := ""
	for _, pid := range processes(t) {
		if strings.Contains(seen(t, pid, "cmdline"), ready) {
			group = pid // rekey makes a command the leader of a group of its own
		}
	}
	members := groupOf(t, group)
	if len(members) < 2 {
		t.Fatalf("the group has %d members, want the command and its child", len(members))
	}
	all := ""
	for _, pid := range members {
		all += seen(t, pid, "cmdline") + seen(t, pid, "environ")
	}
	if !strings.Contains(all, "visible-argument") || !strings.Contains(all, "sleep") || !strings.Contains(all, "PATH=") {
		t.Error("arguments and environment were not seen at all, so their silence proves nothing")
	}
	for name, v := range map[string]secret.Value{"old": o.Old, "new": o.New, "tried": tried} {
		if strings.Contains(all, v.Reveal()) {
			t.Errorf("the %s value can be read from outside", name)
		}
		if !strings.Contains(string(in), v.Reveal()) {
			t.Errorf("the %s value did not arrive on standard input", name)
		}
	}
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.Answer != verify.Accepted {
		t.Errorf("the command ended badly: %v", got)
	}
}
