package traps

import (
	"slices"
	"strconv"
	"strings"
)

// tool is what a reload command makes use of.
type tool int

const (
	unknownTool tool = iota
	systemctl
	pm2
	signal    // kill, pkill, supervisorctl signal
	restarter // something that can only restart
)

// command is a reload command, understood.
type command struct {
	tool tool
	said string // for people: "systemctl reload"
	// prefix runs the tool as somebody else: "sudo -n -u web".
	prefix   []string
	program  string   // as it was written
	flags    []string // of the tool, that decide where it looks: "--user"
	target   string   // unit, app
	hup      bool     // it is known to send HUP
	restarts bool     // it is known to restart
	maybe    bool     // it restarts what cannot be reloaded
	pid      int
	pidFile  string
}

// parse understands a reload command. It never runs anything.
func parse(argv []string) command {
	prefix, rest := unwrap(argv)
	if len(rest) == 0 {
		return command{said: "the reload command"}
	}
	c := command{prefix: prefix, program: rest[0], said: base(rest[0])}
	args := rest[1:]
	switch base(rest[0]) {
	case "systemctl":
		c.systemctl(args)
	case "service", "rc-service", "invoke-rc.d":
		c.service(args)
	case "pm2":
		c.pm2(args)
	case "kill", "pkill", "killall":
		c.kill(args)
	case "supervisorctl":
		c.supervisorctl(args)
	case "docker", "podman":
		if slices.Contains(args, "restart") {
			c.tool, c.restarts, c.said = restarter, true, c.said+" restart"
		}
	}
	return c
}

// unwrap takes off what runs a command as somebody else or with another environment.
func unwrap(argv []string) (prefix, rest []string) {
	i := 0
	for i < len(argv) {
		switch base(argv[i]) {
		case "sudo", "doas", "runuser":
			i++
			for i < len(argv) && strings.HasPrefix(argv[i], "-") {
				takesValue := slices.Contains([]string{"-u", "-g", "-h", "-p", "-C", "-D", "--user", "--group"}, argv[i])
				end := argv[i] == "--"
				i++
				if end {
					break
				}
				if takesValue {
					i++
				}
			}
		case "env":
			i++
			for i < len(argv) && (strings.Contains(argv[i], "=") || argv[i] == "-i" || argv[i] == "--") {
				i++
			}
		default:
			return argv[:i], argv[i:]
		}
	}
	return argv, nil
}

func (c *command) systemctl(args []string) {
	c.tool = systemctl
	var words []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-H" || args[i] == "-M" || args[i] == "--host" || args[i] == "--machine":
			if i+1 < len(args) {
				c.flags = append(c.flags, args[i], args[i+1])
			}
			i++
		case args[i] == "-s" || args[i] == "--signal":
			if i+1 < len(args) {
				c.hup = isHUP(args[i+1])
			}
			i++
		case strings.HasPrefix(args[i], "--signal="):
			c.hup = isHUP(strings.TrimPrefix(args[i], "--signal="))
		case args[i] == "--user" || strings.HasPrefix(args[i], "--host=") || strings.HasPrefix(args[i], "--machine="):
			c.flags = append(c.flags, args[i])
		case !strings.HasPrefix(args[i], "-"):
			words = append(words, args[i])
		}
	}
	if len(words) < 2 {
		c.tool = unknownTool
		return
	}
	c.verb(words[0])
	c.target = words[1]
	c.said += " " + words[0]
}

func (c *command) verb(verb string) {
	switch verb {
	case "restart", "try-restart", "condrestart", "stop", "start", "force-restart":
		c.restarts = true
	case "reload-or-restart", "try-reload-or-restart", "force-reload":
		c.maybe = true
	case "kill":
		c.restarts = !c.hup
	}
}

func (c *command) service(args []string) {
	if len(args) < 2 {
		return
	}
	c.tool, c.program, c.target = systemctl, "systemctl", args[0]
	c.verb(args[1])
	c.said += " " + args[0] + " " + args[1]
}

func (c *command) pm2(args []string) {
	var words []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--env" || args[i] == "--only" || args[i] == "--parallel" {
			i++
			continue
		}
		if !strings.HasPrefix(args[i], "-") {
			words = append(words, args[i])
		}
	}
	if len(words) < 2 {
		return
	}
	switch words[0] {
	case "reload", "gracefulReload":
	case "restart":
		c.restarts = true
	default:
		return // startOrReload and the like: they start what they are given
	}
	c.tool, c.target, c.said = pm2, words[1], "pm2 "+words[0]
}

func (c *command) kill(args []string) {
	c.tool, c.restarts = signal, true
	for i := 0; i < len(args); i++ {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch arg := args[i]; {
		case arg == "-s" || arg == "--signal":
			c.signal(next)
			i++
		case arg == "-F" || arg == "--pidfile":
			c.pidFile = next
			i++
		case strings.HasPrefix(arg, "--signal="):
			c.signal(strings.TrimPrefix(arg, "--signal="))
		case strings.HasPrefix(arg, "--pidfile="):
			c.pidFile = strings.TrimPrefix(arg, "--pidfile=")
		case strings.HasPrefix(arg, "-") && isSignal(arg[1:]):
			c.signal(arg[1:])
		default:
			if pid, err := strconv.Atoi(arg); err == nil && pid > 0 && base(c.program) == "kill" {
				c.pid = pid
			}
		}
	}
}

// signal takes up which signal is sent. USR1, USR2 and WINCH are programs' own and end
// nothing that knows them.
func (c *command) signal(name string) {
	c.hup = isHUP(name)
	c.restarts = !c.hup && !slices.Contains([]string{"USR1", "USR2", "WINCH", "10", "12", "28"}, trimSIG(name))
	c.said += " -" + trimSIG(name)
}

func (c *command) supervisorctl(args []string) {
	words := slices.DeleteFunc(slices.Clone(args), func(s string) bool { return strings.HasPrefix(s, "-") })
	switch {
	case len(words) >= 3 && words[0] == "signal":
		c.tool, c.said = signal, c.said+" signal"
		c.signal(words[1])
	case len(words) >= 2 && words[0] == "restart":
		c.tool, c.restarts, c.said = restarter, true, c.said+" restart"
	}
}

func trimSIG(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "SIG") }

func isHUP(name string) bool { return trimSIG(name) == "HUP" || name == "1" }

func isSignal(name string) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n > 0 && n < 65
	}
	return slices.Contains([]string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH", "CONT", "STOP"}, trimSIG(name))
}
