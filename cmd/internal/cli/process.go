package cli

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Process runs this process's command line and answers its exit code. The version is
// the linker's; where it said nothing, that of the sources.
func Process(version string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// The second signal ends the process as if nobody listened. That holds before
		// anybody learns of the first, and tells the person so.
		signal.Stop(signals)
		cancel()
	}()
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		version = info.Main.Version
	}
	if version == "" {
		version = "unversioned"
	}
	// Threads that read logs stand back for all others, but keep one of the runtime's
	// processors while they wait for the kernel's; so there are as many again.
	readers := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * readers)
	return Main(ctx, os.Args[1:], Env{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version, Readers: readers})
}
