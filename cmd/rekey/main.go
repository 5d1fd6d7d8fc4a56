// Command rekey rotates leaked secrets; see the README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rekey/cmd/internal/cli"
)

// version is set by the linker.
var version = "unversioned"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], cli.Env{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version})
	stop()
	os.Exit(code)
}
