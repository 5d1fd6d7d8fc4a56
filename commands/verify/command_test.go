package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/commands/verify"
)

// TestMain lets the test program be the command that proves a value: arguments
// decide, because a command gets next to nothing of the environment.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "prove" {
		prove(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// prove answers as a worker; the nonce is its last argument.
func prove(how string, args []string) {
	nonce := args[len(args)-1]
	proof := fmt.Sprintf(`{"proof":%q,"worker":"celery-1"}`, hexMAC("new-0123456789", "rekey-proof-v1\n"+nonce))
	switch how {
	case "well":
		fmt.Fprintln(os.Stderr, "RuntimeWarning: you are running this as root")
		fmt.Println(proof)
	case "count":
		f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, nonce)
		_ = f.Close()
		fmt.Println(proof)
	case "fail":
		fmt.Println(proof)
		os.Exit(7)
	case "chat":
		fmt.Println("asking celery@web-1 …\n" + proof)
	case "stale":
		fmt.Printf(`{"proof":%q}`, hexMAC("new-0123456789", "rekey-proof-v1\nanother-nonce-0001"))
	case "hang":
		time.Sleep(time.Hour)
	}
}

func proving(t *testing.T, how string, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{exe, "prove", how}, args...)
}

func TestCommandProvesAValue(t *testing.T) {
	t.Parallel()
	p := verify.NewCommand(proving(t, "well"), 0)
	if got := p.Try(t.Context(), newV); got.Answer != verify.Accepted || got.Worker != "celery-1" {
		t.Errorf("the right value: %+v", got)
	}
	if got := p.Try(t.Context(), oldV); got.Answer != verify.Refused || got.Worker != "celery-1" {
		t.Errorf("another value: %+v", got)
	}
	if got := verify.NewCommand(proving(t, "stale"), 0).Try(t.Context(), newV); got.Answer != verify.Refused {
		t.Errorf("the proof of another nonce: %+v, want refused", got)
	}
}

func TestCommandThatProvesNothing(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{"fail": "exited with 7", "chat": "its answer is no proof", "silent": "its answer is no proof"} {
		got := verify.NewCommand(proving(t, how), 0).Try(t.Context(), newV)
		if got.Answer != verify.Unknown || !strings.HasSuffix(got.Why, want) {
			t.Errorf("%s: %+v, want unknown because %q", how, got, want)
		}
	}
	if got := verify.NewCommand(proving(t, "hang"), 50*time.Millisecond).Try(t.Context(), newV); got.Answer != verify.Unknown || !strings.Contains(got.Why, "did not end within 50ms") {
		t.Errorf("a command that hangs: %+v", got)
	}
	if got := verify.NewCommand([]string{"/no/such/command"}, 0).Try(t.Context(), newV); got.Answer != verify.Unknown || !strings.Contains(got.Why, "could not be run") {
		t.Errorf("no such command: %+v", got)
	}
	if got := verify.NewCommand(nil, 0).Try(t.Context(), newV); got.Answer != verify.Unknown {
		t.Errorf("no command at all: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := verify.NewCommand(proving(t, "well"), 0).Try(ctx, newV); got.Answer != verify.Unknown || got.Why != "the check was stopped" {
		t.Errorf("a check that was stopped: %+v", got)
	}
}

// TestCommandIsRunOnceARound: one answer says what its worker makes of every value.
func TestCommandIsRunOnceARound(t *testing.T) {
	t.Parallel()
	asked := filepath.Join(t.TempDir(), "asked")
	res := verify.Agree(t.Context(), []verify.Prober{verify.NewCommand(proving(t, "count", asked), 0)}, exps(),
		verify.Options{Consumer: "worker", Streak: 3, Within: time.Minute})
	if res.Outcome != verify.Passed {
		t.Fatalf("got %+v", res)
	}
	text, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	nonces := map[string]bool{}
	for _, nonce := range strings.Fields(string(text)) {
		nonces[nonce] = true
	}
	if len(nonces) != 3 || strings.Count(string(text), "\n") != 3 {
		t.Errorf("three rounds ran the command %d times with %d nonces", strings.Count(string(text), "\n"), len(nonces))
	}
}
