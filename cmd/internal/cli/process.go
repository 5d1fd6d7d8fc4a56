package cli

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Process runs this process's command line and answers its exit code. The version is
// the linker's; where it said nothing, that of the sources.
func Process(version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process as if nobody listened
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		version = info.Main.Version
	}
	if version == "" {
		version = "unversioned"
	}
	return Main(ctx, os.Args[1:], Env{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version})
}
