package estatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	specVariable   = "REKEY_ESTATE_SPEC"
	reloadArgument = "estate-reload"
	// patience is how long a service may take to end when asked to; a loaded machine
	// is no reason to fail.
	patience = 15 * time.Second
)

// spec is what a service process is told. It holds no secret: those are read from
// the .env file, as in production.
type spec struct {
	Service  string
	Dir      string
	Addr     string // "" at the first start: any free port
	API      string // web: where api answers
	Workers  int
	From, To time.Duration
	Hide     bool
}

func addrFile(dir, service string) string { return filepath.Join(dir, "run", service+".addr") }

// process is one service, running or not.
type process struct {
	estate *Estate

	mu    sync.Mutex
	spec  spec
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when cmd has ended
}

func (p *process) addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spec.Addr
}

// start runs the service and waits until it is well.
func (p *process) start(ctx context.Context) error {
	service := p.spec.Service
	if err := p.spawn(); err != nil {
		return fmt.Errorf("starting %s: %w", service, err)
	}
	for {
		if p.learnAddr() && p.estate.healthy(ctx, service) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", service, ctx.Err())
		case <-p.ended:
			said, _ := os.ReadFile(p.output())
			return fmt.Errorf("%s ended at once: %s", service, strings.TrimSpace(string(said)))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *process) output() string {
	return filepath.Join(p.spec.Dir, "run", p.spec.Service+".out")
}

func (p *process) spawn() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("it runs already")
	}
	if p.spec.Service == Web {
		p.spec.API = p.estate.URL(API)
	}
	told, err := json.Marshal(p.spec)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(p.output(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.estate.exe)
	cmd.Env = []string{specVariable + "=" + string(told), "PATH=" + os.Getenv("PATH"), raceVariable + "=" + os.Getenv(raceVariable)}
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own keeps a terminal's Ctrl-C from it; the pipe ends it with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // how it ended shows in its output
		_ = os.Remove(pidFile(p.spec.Dir, p.spec.Service))
		p.mu.Lock()
		p.cmd = nil
		p.mu.Unlock()
		close(ended)
	}(p.ended)
	return nil
}

// learnAddr reads where the service listens, which it writes once it does. From then
// on it keeps that address.
func (p *process) learnAddr() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spec.Addr == "" {
		text, _ := os.ReadFile(addrFile(p.spec.Dir, p.spec.Service))
		p.spec.Addr = string(text)
	}
	return p.spec.Addr != ""
}

func (p *process) stop() error { return p.end(syscall.SIGTERM) }
func (p *process) kill() error { return p.end(syscall.SIGKILL) }

// end sends a signal and waits. A service that does not end when asked is killed,
// which is an error.
func (p *process) end(sig syscall.Signal) error {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending %s: %w", p.spec.Service, err)
	}
	select {
	case <-ended:
		return nil
	case <-time.After(patience):
	}
	_ = cmd.Process.Kill()
	<-ended
	return fmt.Errorf("%s did not end within %v and was killed", p.spec.Service, patience)
}
