package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/cli"
	"rekey/cmd/internal/rehearsal"
	"rekey/cmd/internal/testtools/tied"
	"rekey/commands/estatetest"
)

// stage is a world in which processes of rekey are started and hurt.
type stage struct {
	*rehearsal.World
	t *testing.T
}

func newStage(t *testing.T, databaseURL string) *stage {
	t.Helper()
	cfg := rehearsal.Config{Dir: t.TempDir(), DatabaseURL: databaseURL}
	cfg.Estate.SpreadFrom, cfg.Estate.SpreadTo = 30*time.Millisecond, 150*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := rehearsal.Build(ctx, cfg)
	if err != nil {
		t.Fatalf("building the world: %v", err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("ending the world: %v", err)
		}
	})
	return &stage{World: w, t: t}
}

// process is a rekey under way.
type process struct {
	*exec.Cmd
	t    *testing.T
	said *heard
	ears *os.File // where it is heard; to be closed early, or left
	gone chan struct{}
}

// heard is what a process says, while it says it.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// rekey starts one.
func (s *stage) rekey(args ...string) *process {
	s.t.Helper()
	path, err := exec.LookPath("rekey") // TestMain put it there
	if err != nil {
		s.t.Fatal(err)
	}
	ears, mouth, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(path, args...), t: s.t, said: &heard{}, ears: ears, gone: make(chan struct{})}
	p.Env, p.Stdout, p.Stderr = s.Environ(), mouth, mouth
	letGo, err := tied.Start(p.Cmd)
	if err != nil {
		s.t.Fatalf("starting rekey: %v", err)
	}
	_ = mouth.Close()                              // the child has its own
	go func() { _, _ = io.Copy(p.said, p.ears) }() // until the child ends or ears are closed
	go func() {
		defer close(p.gone)
		defer letGo()
		_ = p.Wait() // exits says how
	}()
	s.t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.gone
		_ = p.ears.Close() // it may be closed
		if s.t.Failed() {
			s.t.Logf("rekey %s said:\n%s", strings.Join(args, " "), p.said)
		}
	})
	return p
}

// says waits for a text.
func (p *process) says(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.said.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not said within %v: %s", patience, text)
		}
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatalf("sending %v: %v", sig, err)
	}
}

// exits waits for the end and holds it to a code.
func (p *process) exits(code int) {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.t.Fatalf("rekey still runs after %v", patience)
	}
	if got := p.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit code %d, want %d", got, code)
	}
}

// mustHaveRotated checks the files.
func (s *stage) mustHaveRotated(name string, want bool) {
	s.t.Helper()
	first := s.Estate.Values()[name]
	for _, service := range []string{estatetest.API, estatetest.Web} {
		now, err := s.Estate.InFile(service, name)
		if err != nil {
			s.t.Fatal(err)
		}
		if now.Equal(first) == want {
			s.t.Errorf("%s in %s changed: %v, want %v", name, service, !want, want)
		}
	}
}

// firstStep is the title of the step that is done before a run stands still in a
// slowed estate.
const firstStep = "Publish the new value to api"

// slowed makes api keep its settings, so that a run stands at proving that it runs on
// new ones until it is mended.
func (s *stage) slowed() (mend func()) {
	s.t.Helper()
	if err := s.Estate.SetFaults(estatetest.API, estatetest.Faults{IgnoreReload: true}); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if err := s.Estate.SetFaults(estatetest.API, estatetest.Faults{}); err != nil {
			s.t.Fatal(err)
		}
		if out, err := exec.Command(s.Estate.Reload(estatetest.API)[0], s.Estate.Reload(estatetest.API)[1:]...).CombinedOutput(); err != nil {
			s.t.Fatalf("reloading api: %v: %s", err, out)
		}
	}
}

func onBoth(t *testing.T, fn func(*stage)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(newStage(t, ""))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(newStage(t, ledgertest.Postgres(t)))
	})
}

// Ctrl-C ends the process after the step at hand; the next one brings the run to its
// end.
func TestCtrlCLosesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *stage) {
		mend := s.slowed()
		p := s.rekey("rotate", "REVALIDATE_SECRET", "compromised")
		p.says(firstStep)
		p.signal(syscall.SIGINT)
		p.says("stopping after the step at hand")
		mend()
		p.exits(cli.ExitStopped)
		p.says("Try: rekey resume r-")
		s.mustNotHaveEnded()

		s.rekey("resume").exits(cli.ExitOK)
		s.mustHaveRotated("REVALIDATE_SECRET", true)
		s.rekey("ledger", "verify").exits(cli.ExitOK)
	})
}

// Who cannot wait for the step at hand presses Ctrl-C twice, or loses the machine.
func TestKilledRekeyIsResumed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *stage) {
		mend := s.slowed()
		p := s.rekey("rotate", "REVALIDATE_SECRET", "compromised")
		p.says(firstStep)
		p.signal(syscall.SIGINT)
		p.says("once more stops at once")
		p.signal(syscall.SIGINT)
		<-p.gone
		if p.ProcessState.Exited() {
			s.t.Fatalf("the second Ctrl-C did not end rekey: %v", p.ProcessState)
		}
		mend()
		s.rekey("resume").exits(cli.ExitOK)
		s.mustHaveRotated("REVALIDATE_SECRET", true)
	})
}

// The connection to the host drops in the middle: the rotation goes on to its end,
// although nobody reads what it says.
func TestALostConnectionDoesNotStopARotation(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	mend := s.slowed()
	p := s.rekey("rotate", "REVALIDATE_SECRET", "compromised")
	p.says(firstStep)
	p.signal(syscall.SIGHUP)
	_ = p.ears.Close()
	mend()
	p.exits(cli.ExitOK)
	s.mustHaveRotated("REVALIDATE_SECRET", true)
}

// The rekey that serves dies under a run that the command line only watches: the
// command line takes the run over.
func TestTheCommandLineTakesOver(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	server := s.rekey("serve")
	server.says("rekey is on duty")
	mend := s.slowed()
	p := s.rekey("rotate", "REVALIDATE_SECRET", "compromised")
	p.says(firstStep)
	server.signal(syscall.SIGKILL)
	<-server.gone
	mend()
	p.exits(cli.ExitOK)
	s.mustHaveRotated("REVALIDATE_SECRET", true)
	s.rekey("ledger", "verify").exits(cli.ExitOK)
}

// mustNotHaveEnded checks that a run is recorded and unfinished.
func (s *stage) mustNotHaveEnded() {
	s.t.Helper()
	cfg, err := rehearsal.AppConfig(s.Getenv, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	st, err := app.OpenLedger(s.t.Context(), cfg.Settings)
	if err != nil {
		s.t.Fatal(err)
	}
	var active []ledger.Run
	err = st.View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		active, err = tx.Runs(ctx, ledger.RunFilter{Active: true})
		return err
	})
	if err = errors.Join(err, st.Close()); err != nil || len(active) != 1 {
		s.t.Fatalf("%d runs are under way, want 1 (%v)", len(active), err)
	}
}
