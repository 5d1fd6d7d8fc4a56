package rehearsal_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
)

// TestMain may find itself to be a service of an estate, or a rekey of its own that
// a test started to kill it.
func TestMain(m *testing.M) {
	estatetest.Main()
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

const (
	childVariable = "REHEARSAL_CHILD"
	holdVariable  = "REHEARSAL_HOLD" // "publish/set/api acted": stand still there for ever
)

// child is a whole rekey in a process of its own. It says when it is on duty, and it
// stands still where it is told to, so that it can be killed there.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := rehearsal.AppConfig(os.Getenv, slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	hold := os.Getenv(holdVariable)
	cfg.Observer = func(_ ledger.Run, s ledger.Step, m journal.Moment) {
		if hold == s.Key+" "+string(m) {
			fmt.Println("held", hold) //nolint:forbidigo // this is what the parent waits for
			select {}
		}
	}
	a, err := app.Open(ctx, cfg, true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer a.Close()
	if err := a.Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
