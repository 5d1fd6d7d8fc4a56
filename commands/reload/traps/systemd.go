package traps

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/commands/reload"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

const (
	toolTimeout = 10 * time.Second
	maxShown    = 256 << 10 // bytes of what systemctl shows
)

// unit is what systemctl shows of one: property by property, some more than once.
type unit map[string][]string

func (u unit) first(property string) string {
	if len(u[property]) == 0 {
		return ""
	}
	return u[property][0]
}

// systemd looks at a unit and at its main process.
func (l *look) systemd() {
	u := l.show()
	if u == nil {
		if l.command.restarts {
			l.restart(l.command.said)
		}
		l.named()
		return
	}
	name := l.command.target
	switch {
	case u.first("LoadState") == "not-found":
		l.add(NoService, Refuse, "systemd knows no unit "+name+", so that "+l.command.said+" would reload nothing.")
		return
	case u.first("CanReload") == "no" && l.command.maybe:
		l.command.restarts = true
	case u.first("CanReload") == "no" && !l.command.restarts && !l.command.hup:
		l.add(NoService, Refuse, "The unit "+name+" has no ExecReload, so that "+l.command.said+" would fail.")
	}
	if exec := strings.Join(u["ExecReload"], " "); strings.Contains(exec, "HUP") || strings.Contains(exec, "kill -1") {
		l.command.hup = l.command.hup || !l.command.restarts
	}
	started := argvOf(u.first("ExecStart"))
	if module, script := pythonRuns(started); l.command.restarts && module != "celery" && base(script) != "celery" && (len(started) == 0 || base(started[0]) != "celery") {
		l.restart(l.command.said)
	}
	l.unitSets(u)
	pid, _ := strconv.Atoi(u.first("MainPID"))
	if pid > 0 {
		if p := l.read(pid); p != nil {
			if titled(p.argv) && len(started) > 0 {
				p.argv = started // the title hides it; the unit does not
			}
			l.process(p)
		}
		return
	}
	if l.consumer.PIDFile != "" {
		l.named()
		return
	}
	l.gunicorn(started, nil, u.first("WorkingDirectory"))
	l.celery(started)
	l.cannot("its main process: systemd shows none of " + name + " (it is " + orElse(u.first("ActiveState"), "in no known state") + ")")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// titled reports whether a process has written a title over its command line.
func titled(argv []string) bool {
	return len(argv) > 0 && (strings.HasPrefix(argv[0], "gunicorn: ") || strings.HasPrefix(argv[0], "[celeryd: "))
}

// show asks systemctl; nil after saying why not. It is asked without sudo: showing is
// open to all.
func (l *look) show() unit {
	argv := append([]string{l.command.program}, l.command.flags...)
	argv = append(argv, "show", l.command.target, "--no-pager")
	for _, p := range []string{"LoadState", "ActiveState", "CanReload", "ExecStart", "ExecReload", "MainPID", "Environment", "EnvironmentFiles", "WorkingDirectory"} {
		argv = append(argv, "-p", p)
	}
	said, err := reload.Ask(l.ctx, argv, toolTimeout, maxShown)
	if err != nil {
		l.cannot("the unit " + l.command.target + ", because systemctl show did not answer: " + err.Error())
		return nil
	}
	u := unit{}
	for line := range strings.Lines(string(said.Stdout)) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			u[name] = append(u[name], value)
		}
	}
	return u
}

// argvOf reads the first command of ExecStart as systemctl shows it:
//
//	{ path=/usr/bin/gunicorn ; argv[]=/usr/bin/gunicorn --preload app ; ignore_errors=no ; … }
//
// Arguments are joined by spaces there; those with spaces in them fall apart, which
// does no harm here.
func argvOf(shown string) []string {
	_, rest, ok := strings.Cut(shown, "argv[]=")
	if !ok {
		return nil
	}
	line, _, _ := strings.Cut(rest, " ; ")
	return strings.Fields(line)
}

// unitSets looks for variables that systemd sets at each start: from the unit itself,
// where no env file can change them, and from files, which only a restart reads again.
func (l *look) unitSets(u unit) {
	if !l.dotenv() {
		return
	}
	var files []string
	for _, shown := range u["EnvironmentFiles"] {
		for line := range strings.Lines(shown) {
			name, _, _ := strings.Cut(line, " (ignore_errors=")
			files = append(files, strings.TrimPrefix(strings.TrimSpace(name), "-"))
		}
	}
	ours := slices.Contains(files, l.consumer.Location)
	set := names(u.first("Environment"))
	tell := func(variable, sentence string) {
		l.add(Exported, Refuse, sentence)
		l.told = append(l.told, variable)
	}
	for _, variable := range l.variables {
		switch {
		case slices.Contains(set, variable) && !ours:
			tell(variable, "The unit "+l.command.target+" sets "+variable+" itself (Environment=), which wins over the env file. Take it out there, then run systemctl daemon-reload and restart the unit.")
		case ours && !l.command.restarts && holds(l, l.consumer.Location, variable):
			tell(variable, "The unit "+l.command.target+" takes "+variable+" from the env file by EnvironmentFile=, which systemd reads at a start alone: "+l.command.said+
				" would leave "+l.consumer.Name+" with the old value. Let the application read the file itself, or reload it with a restart.")
		}
		for _, other := range files {
			// What is read later wins.
			if other != l.consumer.Location && holds(l, other, variable) && (!ours || slices.Index(files, other) > slices.Index(files, l.consumer.Location)) {
				tell(variable, "The unit "+l.command.target+" takes "+variable+" from "+other+", which wins over "+l.consumer.Location+". Take it out there.")
			}
		}
	}
}

// holds reports whether an env file has a variable.
func holds(l *look, file, variable string) bool {
	state, err := dotenv.New().Read(l.ctx, store.Ref{Location: file, Variable: variable})
	return err == nil && !state.Current.IsZero()
}

// names are those of the variables in Environment= as systemctl shows it: words, those
// with special characters quoted whole. The values are dropped here.
func names(shown string) []string {
	var found []string
	quoted, word := rune(0), []rune{}
	end := func() {
		if name, _, ok := strings.Cut(string(word), "="); ok {
			found = append(found, strings.TrimPrefix(name, "$"))
		}
		word = word[:0]
	}
	escaped := false
	for _, r := range shown {
		switch {
		case escaped:
			escaped, word = false, append(word, r)
		case r == '\\':
			escaped = true
		case quoted == 0 && (r == '"' || r == '\''):
			quoted = r
		case r == quoted:
			quoted = 0
		case r == ' ' && quoted == 0:
			end()
		default:
			word = append(word, r)
		}
	}
	end()
	return found
}
