package leathertest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"rekey/cmd/internal/leathertest"
	"rekey/commands/reload"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
	"rekey/commands/verify"
)

// deadline is generous: the estate is a dozen processes, and machines are slow.
const deadline = 3 * time.Minute

func start(t *testing.T, cfg leathertest.Config) *leathertest.Estate {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	e, err := leathertest.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// set makes a service's .env file hold a value, and a previous one: by the store that
// rekey writes with, so that Django's and Node's reading of it is tested as well.
func set(t *testing.T, e *leathertest.Estate, service, variable string, current, previous secret.Value) {
	t.Helper()
	ref := store.Ref{Location: e.EnvFile(service), Variable: variable}
	if service != leathertest.Web {
		ref.Previous = variable + "_OLD"
	}
	files := dotenv.New()
	at, err := files.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = files.Write(t.Context(), ref, store.Change{
		From: at.Revision, Want: store.State{Current: current, Previous: previous},
		Run: "test", FenceNumber: 1, Fence: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func hup(t *testing.T, e *leathertest.Estate, service string) {
	t.Helper()
	if out, err := reload.Run(t.Context(), e.Reload(service), time.Minute); err != nil {
		t.Fatalf("reloading %s: %v: %s", service, err, out)
	}
}

// agree waits until every worker behind an address runs on v.
func agree(t *testing.T, address string, v secret.Value, workers int) verify.Result {
	t.Helper()
	return verify.Agree(t.Context(), []verify.Prober{verify.NewChallenge(address, nil)},
		[]verify.Expectation{{Label: "new", Value: v, Want: verify.Accepted}, {Label: "wrong", Value: verify.Wrong(), Want: verify.Refused}},
		verify.Options{Consumer: "the service", Workers: workers, Within: time.Minute})
}

func fresh(t *testing.T, g secret.Generator) secret.Value {
	t.Helper()
	for {
		v, err := secret.Generate(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		if dotenv.Portable(v) == nil {
			return v
		}
	}
}

// eventually waits for a condition of other processes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: %s is not so", what)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
