package traps

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rekey/commands/secret"
)

// gunicorn looks for --preload where gunicorn takes it from: its configuration file,
// GUNICORN_CMD_ARGS and the command line, of which the later win. With it the master
// loads the application once, and the workers of a HUP are copies of the old one.
func (l *look) gunicorn(argv []string, env map[string]secret.Value, dir string) {
	if l.command.restarts {
		return // a restart reads everything anew
	}
	if len(argv) > 0 && strings.HasPrefix(argv[0], "gunicorn: ") {
		l.cannot("how gunicorn was started, because its process shows a title instead; make sure that it is not with --preload")
		argv = nil
	} else if !isGunicorn(argv) {
		return
	}
	extra := strings.Fields(env["GUNICORN_CMD_ARGS"].Reveal()) // its options are no secrets
	args := append(slices.Clone(extra), argv...)
	if i := slices.IndexFunc(args, func(a string) bool { return a == "--preload" || a == "--preload-app" }); i >= 0 {
		l.preloaded("with --preload")
		return
	}
	if chdir := option(args, "--chdir"); chdir != "" {
		dir = under(dir, chdir)
	}
	file := option(args, "-c", "--config")
	switch {
	case file == "" && dir == "":
		return
	case file == "":
		file = filepath.Join(dir, "gunicorn.conf.py")
		if _, err := os.Stat(file); err != nil {
			return // there is none
		}
	case strings.HasPrefix(file, "python:"):
		l.cannot("gunicorn's configuration, because it is a Python module (" + file + "); make sure that it does not set preload_app")
		return
	default:
		file = under(dir, strings.TrimPrefix(file, "file:"))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		l.cannot("gunicorn's configuration " + file + ": " + plain(err))
		return
	}
	switch set := lastPreload(text); set {
	case "", "False", "0", "None":
	case "True", "1":
		l.preloaded("with preload_app in " + file)
	default:
		l.cannot("whether gunicorn preloads the application, because " + file + " computes preload_app")
	}
}

func (l *look) preloaded(how string) {
	l.add(Preload, l.stale(), "gunicorn runs "+how+", so that its workers stay copies of the application as it was started and "+
		l.consumer.Name+" would keep the old value after "+l.command.said+". Start it without, or restart it to reload.")
}

// isGunicorn reports whether a command line runs gunicorn: itself, as a script that an
// interpreter runs, or as a module.
func isGunicorn(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	if strings.HasPrefix(base(argv[0]), "gunicorn") {
		return true
	}
	if !isPython(argv[0]) {
		return false
	}
	module, script := pythonRuns(argv)
	return module == "gunicorn" || strings.HasPrefix(module, "gunicorn.") || strings.HasPrefix(base(script), "gunicorn")
}

// pythonRuns answers what an interpreter's command line runs: a module (-m) or a script.
func pythonRuns(argv []string) (module, script string) {
	for i := 1; i < len(argv); i++ {
		switch a := argv[i]; {
		case a == "-m":
			if i+1 < len(argv) {
				return argv[i+1], ""
			}
			return "", ""
		case a == "-W" || a == "-X" || a == "--check-hash-based-pycs":
			i++
		case strings.HasPrefix(a, "-m"):
			return a[2:], ""
		case !strings.HasPrefix(a, "-"):
			return "", a
		}
	}
	return "", ""
}

// option answers the last value of an option, "" for none.
func option(args []string, names ...string) string {
	value := ""
	for i, a := range args {
		for _, name := range names {
			switch {
			case a == name && i+1 < len(args):
				value = args[i+1]
			case strings.HasPrefix(name, "--") && strings.HasPrefix(a, name+"="):
				value = a[len(name)+1:]
			case len(name) == 2 && len(a) > 2 && strings.HasPrefix(a, name) && !strings.HasPrefix(a, "--"):
				value = a[2:]
			}
		}
	}
	return value
}

func under(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

var preloadLine = regexp.MustCompile(`(?m)^([ \t]*)preload_app[ \t]*=[ \t]*([^#\r\n]*)`)

// lastPreload answers what a configuration file sets preload_app to, "" for nothing.
// What is set inside a block depends on something.
func lastPreload(text []byte) string {
	value := ""
	for _, m := range preloadLine.FindAllSubmatch(text, -1) {
		value = strings.TrimSpace(string(m[2]))
		if len(m[1]) > 0 {
			value = "computed"
		}
	}
	return value
}
