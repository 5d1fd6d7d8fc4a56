package leathertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// patience is how long a process may take to end when asked to; a loaded machine is
	// no reason to fail.
	patience = 45 * time.Second
	// again is the pause between two looks at whether something is well.
	again = 20 * time.Millisecond
)

// guardian runs a program ($3 and what follows) and ends it by the signal $1 when the
// other end of its descriptor 3 is closed, which happens when we end, however we do. It
// ends when the program does, and then removes the folder $2, unless that is empty.
const guardian = `signal=$1; folder=$2; shift 2
"$@" 3<&- &
pid=$!
{ cat <&3 >/dev/null; kill -s "$signal" $pid; } 2>/dev/null &
exec 3<&-
wait $pid
status=$?
[ -z "$folder" ] || rm -rf "$folder"
exit $status`

// program is a process to be run.
type program struct {
	name   string
	argv   []string
	dir    string
	env    []string
	signal string // that ends it well; "" means TERM
	folder string // removed when it has ended; "" for none
	// credential is whom it runs as; nil for ourselves.
	credential *syscall.Credential
}

// process is a running program.
type process struct {
	program
	output   string // the file it writes to
	lifeline *os.File
	session  int // the process group it leads
	ended    chan struct{}
	err      error // how it ended; read after ended is closed
	once     sync.Once
}

// run starts a program under the estate's care.
func (e *Estate) run(p program) (*process, error) {
	if p.signal == "" {
		p.signal = "TERM"
	}
	proc := &process{program: p, output: e.path("run", p.name+".out"), ended: make(chan struct{})}
	out, err := os.OpenFile(proc.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer out.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer r.Close()
	proc.lifeline = w
	cmd := exec.Command("/bin/sh", append([]string{"-c", guardian, "sh", p.signal, p.folder}, p.argv...)...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = p.dir, p.env, []*os.File{r}
	cmd.Stdout, cmd.Stderr = out, out
	// A session of its own keeps a terminal's Ctrl-C from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.credential}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", p.name, err), w.Close())
	}
	proc.session = cmd.Process.Pid
	go func() {
		proc.err = cmd.Wait()
		close(proc.ended)
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.procs[p.name] == nil {
		e.order = append(e.order, p.name)
	}
	e.procs[p.name] = proc
	return proc, nil
}

// await looks until well answers true, the process ends or ctx does.
func (p *process) await(ctx context.Context, well func(context.Context) bool) error {
	for !well(ctx) {
		select {
		case <-p.ended:
			return fmt.Errorf("starting %s: %w: %s", p.name, errEnded, p.said())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %s", p.name, ctx.Err(), p.said())
		case <-time.After(again):
		}
	}
	return nil
}

// said is the end of what the process wrote.
func (p *process) said() string {
	text, _ := os.ReadFile(p.output) // an explanation, where there is one
	return strings.TrimSpace(string(text[max(0, len(text)-4000):]))
}

// stop ends the process by its signal. One that does not end is killed, with all it
// has started, which is an error.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	p.once.Do(func() { _ = p.lifeline.Close() }) // the guardian sees it
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	_ = syscall.Kill(-p.session, syscall.SIGKILL) // it may have ended just now
	<-p.ended
	return fmt.Errorf("%s did not end within %v and was killed: %s", p.name, patience, p.said())
}

func (e *Estate) process(name string) *process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.procs[name]
}

// Running reports whether a service runs.
func (e *Estate) Running(service string) bool {
	p := e.process(service)
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Restart ends a service gracefully, if it runs, and runs it again at its address.
func (e *Estate) Restart(ctx context.Context, service string) error {
	if err := e.process(service).stop(); err != nil {
		return err
	}
	return e.startService(ctx, service)
}
