package rehearsal_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/cmd/internal/testtools/plain"
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
	if code, is := props(); is {
		os.Exit(code)
	}
	// As in rekey itself, a thread that reads logs and stands back must not hold up
	// whatever else the process does; here several rekeys share one.
	runtime.GOMAXPROCS(worlds * (runtime.NumCPU() + 1))
	abreast(worlds)
	os.Exit(run(m))
}

// run lets the services and the rekeys to be killed be processes that the race detector
// does not watch.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rekey-rehearsal-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	exe, err := plain.Executable(context.Background(), dir)
	if err != nil {
		panic(err)
	}
	// A server of our own, whose pg_hba.conf can be written.
	if err := os.Unsetenv("REKEY_TEST_POSTGRES"); err != nil {
		panic(err)
	}
	for name, text := range map[string]string{
		estatetest.ExecutableVariable: exe,
		// Where the SDK of AWS looks for them first.
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE00000000", awsKeyVariable: "rehearsal/" + rand.Text(),
	} {
		if err := os.Setenv(name, text); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// worlds is how many tests run side by side.
const worlds = 6

// abreast lets n tests run side by side unless -parallel says otherwise: they mostly
// wait, for leases to pass and for Slack's one message a second, whatever the number
// of cores.
func abreast(n int) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err) // the flag has been testing's since Go 1
	}
}

const (
	childVariable  = "REHEARSAL_CHILD"
	awsKeyVariable = "AWS_SECRET_ACCESS_KEY"
	// holdVariable says where to stand still: "publish/set/api acted" for ever,
	// "pause at …" until it is continued (SIGCONT), "end at …" until it is told to end;
	// "NAME: …" in a run of that secret alone. There may be several.
	holdVariable  = "REHEARSAL_HOLD"
	holdSeparator = "; "
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
	cfg.Observer = holds(ctx, os.Getenv(holdVariable))
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

// holds stands still once at each of the points, where and how they say.
func holds(ctx context.Context, points string) journal.Observer {
	var all []func(ledger.Run, ledger.Step, journal.Moment)
	for point := range strings.SplitSeq(points, holdSeparator) {
		all = append(all, holdAt(ctx, point))
	}
	return func(r ledger.Run, s ledger.Step, m journal.Moment) {
		for _, hold := range all {
			hold(r, s, m)
		}
	}
}

func holdAt(ctx context.Context, hold string) journal.Observer {
	name, point, of := strings.Cut(hold, ": ")
	if !of {
		name, point = "", hold
	}
	point, pause := strings.CutPrefix(point, "pause at ")
	point, end := strings.CutPrefix(point, "end at ")
	var once sync.Once
	return func(r ledger.Run, s ledger.Step, m journal.Moment) {
		if point != s.Key+" "+string(m) || of && name != r.Secret {
			return
		}
		once.Do(func() {
			fmt.Println("held", hold) //nolint:forbidigo // this is what the parent waits for
			switch {
			case pause:
				// The signal stops this thread a moment after the call, at the latest while
				// it sleeps.
				_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
				time.Sleep(50 * time.Millisecond)
			case end:
				<-ctx.Done()
			default:
				select {}
			}
		})
	}
}
