package traps

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rekey/commands/secret"
)

// process is what /proc shows of one. Its environment is the one it was started with:
// what a program read from an env file later does not show there, what was exported
// does.
type process struct {
	pid    int
	parent int
	argv   []string
	dir    string
	// env is nil where it could not be read.
	env map[string]secret.Value
}

// fromFile reads the process whose number a file holds; nil after saying why not.
func (l *look) fromFile(name string) *process {
	text, err := os.ReadFile(name)
	if err != nil {
		l.cannot("its main process, because " + name + " could not be read: " + plain(err))
		return nil
	}
	// postgres and others write more lines; the first is the number.
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		l.cannot("its main process, because " + name + " holds no process number")
		return nil
	}
	return l.read(pid)
}

// read reads a process; nil after saying why not.
func (l *look) read(pid int) *process {
	folder := fmt.Sprintf("/proc/%d", pid)
	line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		l.cannot(fmt.Sprintf("process %d: %s", pid, plain(err)))
		return nil
	}
	p := &process{pid: pid, argv: split(line)}
	if dir, err := os.Readlink(filepath.Join(folder, "cwd")); err == nil {
		p.dir = dir
	}
	p.parent = parentOf(folder)
	env, err := environ(folder)
	if err != nil {
		l.cannot(fmt.Sprintf("the environment of process %d (%s): %s; rekey must run as the service's user or as root", pid, p.program(), plain(err)))
	}
	p.env = env
	return p
}

// program names a process for people.
func (p *process) program() string {
	if len(p.argv) == 0 {
		return "no command line"
	}
	return base(strings.Fields(p.argv[0] + " ?")[0])
}

// environ reads the environment a process was started with.
func environ(folder string) (map[string]secret.Value, error) {
	text, err := os.ReadFile(filepath.Join(folder, "environ"))
	if err != nil {
		return nil, err
	}
	env := map[string]secret.Value{}
	for _, pair := range split(text) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = secret.NewValue(value)
		}
	}
	return env, nil
}

func split(text []byte) []string {
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\x00")
}

// parentOf reads the parent's number from a stat file, whose second field may hold any
// character; 0 where it cannot.
func parentOf(folder string) int {
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// plain says why a file could not be read, without its name.
func plain(err error) string {
	switch {
	case errors.Is(err, os.ErrPermission):
		return "permission denied"
	case errors.Is(err, os.ErrNotExist):
		return "it is not there"
	}
	return "it cannot be read"
}

// process looks for the traps that a main process shows.
func (l *look) process(p *process) {
	l.gunicorn(p.argv, p.env, p.dir)
	l.celery(p.argv)
	l.exported(p)
}
