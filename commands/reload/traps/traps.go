// Package traps looks, before anything is touched, whether reloading a service can make
// it take up a new value at all. It exists because a reload that exits with 0 and
// changes nothing is the worst kind: gunicorn with --preload, a variable exported in a
// shell long ago, Celery started in a way that does not survive a HUP. Each was met on
// real software.
//
// It only looks: at the reload command, at what systemctl and pm2 show, at the main
// process in /proc, at gunicorn's configuration. What it could not look at it says.
// Values are compared and never told.
package traps

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"rekey/commands/secret"
)

// Severity is what a trap means for a rotation.
type Severity string

// The severities.
const (
	Refuse  Severity = "refuse"  // the service would not take up the new value, or not survive
	Warn    Severity = "warn"    // it would, at the cost that the sentence names
	Unknown Severity = "unknown" // something could not be looked at
)

// The names of the traps.
const (
	Preload    = "gunicorn-preload"  // HUP does not re-read the environment file
	ForkMode   = "pm2-fork-mode"     // reload is a restart
	Restart    = "restart"           // refuses connections for some seconds
	Exported   = "exported-variable" // wins over the edited env file
	CeleryHUP  = "celery-as-module"  // HUP ends it
	NoService  = "no-such-service"   // the reload command names nothing that runs
	CannotLook = "cannot-look"       // of severity Unknown, always
)

// Trap is one thing that stands between an edited env file and a service that runs on
// it.
type Trap struct {
	Name     string
	Sentence string // for people; holds no value
	Severity Severity
}

// Look answers the traps of reloading a consumer after one of the variables was
// changed, the worst first. It takes some seconds at most and touches nothing.
func Look(ctx context.Context, consumer secret.Consumer, variables []string) []Trap {
	l := &look{ctx: ctx, consumer: consumer, variables: variables}
	l.command = parse(consumer.Reload)
	switch l.command.tool {
	case systemctl:
		l.systemd()
	case pm2:
		l.pm2()
	case signal:
		l.signalled()
	case restarter:
		l.restart(l.command.said + " restarts it")
		l.named()
	default:
		l.cannot("what " + l.command.said + " does to it: rekey knows systemctl, service, pm2, kill, pkill and supervisorctl")
		l.named()
	}
	slices.SortStableFunc(l.traps, func(a, b Trap) int { return rank(a.Severity) - rank(b.Severity) })
	return l.traps
}

// stale is the severity of keeping the old value after a reload: of a command that
// rekey does not know it cannot say that it is no restart.
func (l *look) stale() Severity {
	if l.command.tool == unknownTool {
		return Warn
	}
	return Refuse
}

func rank(s Severity) int { return slices.Index([]Severity{Refuse, Warn, Unknown}, s) }

// look is one looking.
type look struct {
	ctx       context.Context //nolint:containedctx // lives as long as one Look
	consumer  secret.Consumer
	variables []string
	command   command
	traps     []Trap
	told      []string // variables that were told to win over the env file
}

// add adds a trap once.
func (l *look) add(name string, severity Severity, sentence string) {
	t := Trap{Name: name, Severity: severity, Sentence: sentence}
	if !slices.Contains(l.traps, t) {
		l.traps = append(l.traps, t)
	}
}

// cannot tells what could not be looked at.
func (l *look) cannot(what string) {
	l.add(CannotLook, Unknown, "At "+l.consumer.Name+" this could not be looked at: "+what+".")
}

// restart warns of the cost of a restart.
func (l *look) restart(why string) {
	l.add(Restart, Warn, "Reloading "+l.consumer.Name+" is a restart ("+why+"): connections are refused until it is up again.")
}

// named looks at the process whose number the catalogue's file holds.
func (l *look) named() {
	if l.consumer.PIDFile == "" {
		return
	}
	if p := l.fromFile(l.consumer.PIDFile); p != nil {
		l.process(p)
	}
}

// signalled looks at the process that a kill or pkill reaches.
func (l *look) signalled() {
	if !l.command.hup && l.command.restarts {
		l.restart(l.command.said + " ends it")
	}
	file := l.consumer.PIDFile
	if file == "" {
		file = l.command.pidFile
	}
	switch {
	case file != "":
		if p := l.fromFile(file); p != nil {
			l.process(p)
		}
	case l.command.pid > 0:
		if p := l.read(l.command.pid); p != nil {
			l.process(p)
		}
	default:
		l.cannot("its main process: the catalogue names no pid_file")
	}
}

// base is a program's name: "/usr/bin/python3.11" is "python3.11".
func base(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// isPython reports whether a program is a Python interpreter.
func isPython(program string) bool {
	return strings.HasPrefix(base(program), "python") || strings.HasPrefix(base(program), "pypy")
}
