package rehearsal_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/cmd/internal/testtools/tied"
	"rekey/commands/estatetest"
)

// process is a whole rekey of its own.
type process struct {
	cmd  *exec.Cmd
	held chan struct{} // closed when it stands still wherever it was told to
	gone chan struct{} // closed when it has ended
	err  *logs
}

// spawn starts a rekey that stands still where it is told to, see holdVariable.
func (s *stage) spawn(points ...string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command(os.Getenv(estatetest.ExecutableVariable)), held: make(chan struct{}), gone: make(chan struct{}), err: &logs{}}
	p.cmd.Env = append(s.Environ(), childVariable+"=1", holdVariable+"="+strings.Join(points, holdSeparator))
	p.cmd.Stderr = p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	letGo, err := tied.Start(p.cmd)
	if err != nil {
		s.t.Fatalf("starting a rekey: %v", err)
	}
	go func() {
		defer close(p.gone)
		defer letGo()
		left := len(points)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "held ") {
				if left--; left == 0 {
					close(p.held)
				}
			}
		}
		_ = p.cmd.Wait() // it was killed
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of a rekey (held at %q):\n%s", points, p.err)
		}
	})
	return p
}

// kill is SIGKILL: no handler runs, nothing is flushed.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// end lets a rekey end in order.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-p.gone
}

// reaches waits until a rekey stands still where it was told to, and does something ten
// times a second meanwhile; nil for nothing.
func (s *stage) reaches(p *process, point string, meanwhile func()) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-p.held:
			return
		case <-p.gone:
			s.t.Fatalf("%s: rekey has ended before it", point)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: never reached", point)
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
}

// watcher opens the database beside whoever works on it.
func (s *stage) watcher() *app.App {
	s.t.Helper()
	cfg, err := rehearsal.AppConfig(s.Getenv, newLog(s.log))
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := app.Open(s.t.Context(), cfg, false)
	if err != nil {
		s.t.Fatalf("opening the database to look: %v", err)
	}
	s.t.Cleanup(a.Close)
	return a
}
