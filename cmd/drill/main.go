// Command drill plays a leaked secret on this machine: the real App against a Slack,
// a PagerDuty and a Sentry in this process, and an estate of two real processes
// under honest and hostile traffic. It needs nothing but Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kong"

	"rekey/commands/estatetest"
)

// options is the command line.
type options struct {
	Keep     bool   `help:"Leave everything running afterwards, to type commands in the browser."`
	Listen   string `help:"Where the practice Slack listens." default:"127.0.0.1:0" placeholder:"ADDR"`
	Database string `help:"A PostgreSQL URL to use instead of SQLite." env:"REKEY_DATABASE_URL" placeholder:"URL"`
	Page     string `help:"Write #devops-alerts as an HTML page to this file." type:"path" placeholder:"FILE"`
	Chart    string `help:"Write the chart of the evidence, as it was attached in Slack, to this file." type:"path" placeholder:"FILE.png"`
	Log      bool   `help:"Show rekey's own log as well."`
}

func main() {
	// The services of the estate and their reload commands are this program, too.
	estatetest.Main()
	var o options
	kong.Parse(&o, kong.Name("drill"), kong.Description("Plays a leaked secret on this machine. Nothing outside it is touched."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// As rekey does: a thread that reads logs and stands back keeps one of these.
	runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	if err := play(ctx, o, os.Stdout); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("stopped")
		}
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1) //nolint:gocritic // the handler for signals needs no undoing at the end
	}
}
