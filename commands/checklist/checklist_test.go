package checklist_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/commands/checklist"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

func TestNewNeedsAGuard(t *testing.T) {
	t.Parallel()
	if _, err := checklist.New(checklist.Deps{}); err == nil {
		t.Error("a checklist without a guard would show what commands say")
	}
}

// Guide: checklist/healthcheck
func TestHealth(t *testing.T) {
	t.Parallel()
	c := start(t, checklist.Deps{})
	asked := new(atomic.Int32)
	slow := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	sick := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	check := func(url string, within time.Duration) checklist.Line {
		return run(t, c, input(secret.HMACOverlap, secret.Check{Name: "Django is healthy", Kind: secret.CheckHealth, URL: url, Within: within, Every: often}))
	}
	want(t, check(slow, minute), verify.Passed, "healthy")
	want(t, check(sick, soon), verify.FailedCheck, "204")
	want(t, check(closed(t), soon), verify.UnknownCheck, "connection refused")
	if got := check(sick, soon).Sentence(); got != "Django is healthy: failed: not healthy after 100 ms: it answered 204." {
		t.Errorf("got %q", got)
	}
}

// webhook answers a service that takes what accepts says.
func webhook(t *testing.T, accepts func(signature string) bool) secret.Check {
	t.Helper()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "{}" || r.UserAgent() != verify.UserAgent {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !accepts(r.Header.Get("X-Signature")) {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	return secret.Check{
		Name: "Next.js can revalidate pages", Kind: secret.CheckRequest, Within: soon, Every: often,
		Request: &secret.SignedRequest{URLs: []string{url}, Method: http.MethodPost, Body: "{}", Header: "X-Signature"},
	}
}

// Guide: checklist/revalidate, checklist/view-tracking
func TestRequest(t *testing.T) {
	t.Parallel()
	c := start(t, checklist.Deps{})
	// printf '{}' | openssl dgst -sha256 -hmac canary-5f3a90c1b7d2e844-canary
	const right = "05ca6f4f303b3321945a8d6ed986f408f0d745b90ebdf2f49f80ffc84e2c4cb2"
	good := webhook(t, func(s string) bool { return s == right })
	good.Within = minute
	want(t, run(t, c, input(secret.HMACOverlap, good)), verify.Passed, "accepts the live value", "refuses a made-up one")
	want(t, run(t, c, input(secret.HMACOverlap, webhook(t, func(string) bool { return true }))), verify.FailedCheck, "accepts anything")
	want(t, run(t, c, input(secret.HMACOverlap, webhook(t, func(string) bool { return false }))), verify.FailedCheck, "refuses the live value")
	down := good
	down.Within, down.Request = soon, &secret.SignedRequest{URLs: []string{good.Request.URLs[0], closed(t)}, Method: http.MethodPost, Body: "{}", Header: "X-Signature"}
	want(t, run(t, c, input(secret.HMACOverlap, down)), verify.UnknownCheck, "instance 2 of 2", "connection refused")
	want(t, run(t, c, input(secret.PostgresRole, good)), verify.UnknownCheck, "THE_SECRET signs no requests")
	want(t, run(t, c, input(secret.HMACOverlap, secret.Check{Kind: secret.CheckRequest})), verify.UnknownCheck, "names no request")
	in := input(secret.HMACOverlap, good)
	in.Live = secret.Value{}
	in.Place.Checks[0].Within = soon
	want(t, run(t, c, in), verify.UnknownCheck, "no value")
}

// Guide: checklist/celery
func TestCommand(t *testing.T) {
	t.Parallel()
	c := start(t, checklist.Deps{})
	check := func(kind secret.CheckKind, within time.Duration, argv ...string) checklist.Line {
		return run(t, c, input(secret.OwnCommands, secret.Check{Name: "a command", Kind: kind, Argv: argv, Within: within, Every: often}))
	}
	want(t, check(secret.CheckCommand, minute, "true"), verify.Passed, "exited with 0")
	want(t, check(secret.CheckCommand, minute, sh(`echo "using $1"; echo "all is well"`, canary)...), verify.Passed, `"all is well"`)
	want(t, check(secret.CheckCommand, minute, sh(`echo "using $1"`, canary)...), verify.Passed, `"using [redacted]"`)
	want(t, check(secret.CheckCommand, soon, sh(`echo fine; echo "bad password $1" >&2; exit 3`, canary)...), verify.FailedCheck, "sh exited with 3", `"bad password [redacted]"`)
	want(t, check(secret.CheckCommand, soon, sh(`echo "$1" >&2; exit 1`, strings.Repeat("word ", 38)+canary)...), verify.FailedCheck, "word [redacted]")
	want(t, check(secret.CheckCommand, soon, sh(`echo "only here"; exit 1`)...), verify.FailedCheck, "only here")
	want(t, check(secret.CheckCommand, soon, "/no/such/command"), verify.UnknownCheck, "could not be run")
	want(t, check(secret.CheckCommand, minute), verify.UnknownCheck, "names no command")

	want(t, check(secret.CheckTask, minute, sh("echo sent; echo ok; echo bye")...), verify.Passed, "through the broker and back")
	want(t, check(secret.CheckTask, soon, sh("echo 6ba7b810-9dad-11d1-80b4-00c04fd430c8; echo okay")...), verify.FailedCheck, "did not print")
	want(t, check(secret.CheckTask, soon, sh("echo ok; exit 1")...), verify.FailedCheck, "exited with 1")

	hangs := secret.Check{Kind: secret.CheckCommand, Argv: []string{"sleep", "3600"}, Timeout: 50 * time.Millisecond, Within: often, Every: often}
	want(t, run(t, c, input(secret.OwnCommands, hangs)), verify.FailedCheck, "sleep did not end within 50ms")
	want(t, run(t, c, input(secret.OwnCommands, secret.Check{Kind: "tarot"})), verify.UnknownCheck, `"tarot"`)
}

func TestTriedAgainUntilItPasses(t *testing.T) {
	t.Parallel()
	count := filepath.Join(t.TempDir(), "count")
	third := sh(`echo x >>"$1"; test "$(wc -l <"$1")" -ge 3`, count)
	l := run(t, start(t, checklist.Deps{}), input(secret.OwnCommands, secret.Check{Kind: secret.CheckCommand, Argv: third, Within: minute, Every: often}))
	want(t, l, verify.Passed)
	if l.Tries != 3 || l.Took <= 0 || l.Name != "command" {
		t.Errorf("got %+v, want the third try", l)
	}
}

// TestAtOnce: each command waits for the other, so that neither passes alone.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	meet := func(me, other string) secret.Check {
		return secret.Check{
			Name: me, Kind: secret.CheckCommand, Within: often, Timeout: minute,
			Argv: sh(`touch "$1"; until test -e "$2"; do sleep 0.01; done; echo met`, filepath.Join(dir, me), filepath.Join(dir, other)),
		}
	}
	for _, l := range start(t, checklist.Deps{Parallel: 2}).Run(t.Context(), input(secret.OwnCommands, meet("a", "b"), meet("b", "a"))) {
		want(t, l, verify.Passed, "met")
	}
	// One at a time, each finds the other gone.
	alone := func(me string) secret.Check {
		return secret.Check{
			Name: me, Kind: secret.CheckCommand, Within: often,
			Argv: sh(`mkdir "$1/alone" && sleep 0.05 && rmdir "$1/alone"`, dir),
		}
	}
	for _, l := range start(t, checklist.Deps{Parallel: 1}).Run(t.Context(), input(secret.OwnCommands, alone("c"), alone("d"), alone("e"))) {
		want(t, l, verify.Passed)
	}
}

func TestLinesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	in := input(
		secret.HMACOverlap,
		secret.Check{Name: "1", Kind: secret.CheckLogs},
		secret.Check{Name: "2", Kind: secret.CheckCommand, Argv: sh("sleep 0.1")},
		secret.Check{Name: "3", Kind: secret.CheckSentry},
		secret.Check{Name: "4", Kind: secret.CheckCommand, Argv: []string{"true"}},
	)
	lines := start(t, checklist.Deps{}).Run(t.Context(), in)
	names := ""
	for _, l := range lines {
		names += l.Name
	}
	if names != "1234" {
		t.Errorf("the lines came as %s", names)
	}
	seen, failed := checklist.Split(lines)
	if len(seen) != 2 || len(failed) != 2 || !strings.HasPrefix(seen[0], "2: passed: ") || !strings.HasPrefix(failed[1], "3: not known: ") {
		t.Errorf("seen %q, failed %q", seen, failed)
	}
}

func TestStoppedIsUnknown(t *testing.T) {
	t.Parallel()
	started := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	in := input(
		secret.OwnCommands,
		secret.Check{Kind: secret.CheckCommand, Argv: sh(`touch "$1"; sleep 3600`, started), Timeout: time.Hour},
		secret.Check{Kind: secret.CheckCommand, Argv: []string{"false"}, Within: time.Hour, Every: time.Hour},
	)
	ended := make(chan []checklist.Line, 1)
	c := start(t, checklist.Deps{})
	go func() { ended <- c.Run(ctx, in) }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(started); len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command did not start within 20 s")
		}
	}
	cancel(errors.New("enough"))
	for _, l := range <-ended {
		want(t, l, verify.UnknownCheck, "stopped")
	}
}
