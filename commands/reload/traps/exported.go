package traps

import (
	"fmt"
	"slices"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

// exported looks for variables with which the main process was started. They win over
// the env file in every loader that does not override, and a reload cannot change them;
// a restart can, unless whatever starts the process has them itself.
func (l *look) exported(p *process) {
	if !l.dotenv() || p.env == nil {
		return
	}
	if !l.command.restarts {
		for _, name := range l.variables {
			if value, ok := p.env[name]; ok && !slices.Contains(l.told, name) {
				l.add(Exported, l.stale(), fmt.Sprintf("Process %d (%s) was started with %s in its environment%s, which %s and cannot be reloaded. Unset it where %s is started, and restart that once.",
					p.pid, p.program(), name, l.origin(p, name), l.compared(name, value), l.consumer.Name))
			}
		}
		return
	}
	if l.command.tool == systemctl || p.parent <= 1 {
		return // systemd starts it, and its unit was looked at
	}
	folder := fmt.Sprintf("/proc/%d", p.parent)
	env, err := environ(folder)
	if err != nil {
		l.cannot(fmt.Sprintf("the environment of process %d, which started it: %s", p.parent, plain(err)))
		return
	}
	for _, name := range l.variables {
		if value, ok := env[name]; ok {
			l.add(Exported, Refuse, fmt.Sprintf("Process %d, which starts %s, has %s in its environment, which %s and is handed on at each restart. Unset it there.",
				p.parent, l.consumer.Name, name, l.compared(name, value)))
		}
	}
}

// dotenv reports whether the consumer reads an env file.
func (l *look) dotenv() bool { return l.consumer.Store == "" || l.consumer.Store == secret.Dotenv }

// origin says whether the parent has a variable too.
func (l *look) origin(p *process, name string) string {
	if p.parent <= 1 {
		return ""
	}
	env, err := environ(fmt.Sprintf("/proc/%d", p.parent))
	if _, ok := env[name]; err != nil || !ok {
		return ""
	}
	return fmt.Sprintf(" (as process %d has, which started it)", p.parent)
}

// compared says how an exported value stands to the env file's.
func (l *look) compared(name string, exported secret.Value) string {
	state, err := dotenv.New().Read(l.ctx, store.Ref{Location: l.consumer.Location, Variable: name})
	switch {
	case err != nil:
		return "wins over the env file"
	case state.Current.Equal(exported):
		return "is the env file's now, will win over the new one"
	}
	return "differs from the env file's already, wins over it"
}
