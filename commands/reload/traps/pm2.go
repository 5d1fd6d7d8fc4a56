package traps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"rekey/commands/reload"
	"rekey/commands/secret"
)

const maxListed = 32 << 20 // bytes; pm2 lists the whole environment of each process

// app is one process in pm2's list. pm2 writes the environment twice: beside its own
// fields, and in env.
type app struct {
	Name string `json:"name"`
	ID   int    `json:"pm_id"`
	PID  int    `json:"pid"`
	Env  appEnv `json:"pm2_env"`
}

type appEnv struct {
	Mode string
	vars map[string]secret.Value
}

// UnmarshalJSON keeps the mode and, sealed, the variables.
func (e *appEnv) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("reading pm2_env: %w", err)
	}
	_ = json.Unmarshal(all["exec_mode"], &e.Mode)
	var env map[string]json.RawMessage
	_ = json.Unmarshal(all["env"], &env)
	e.vars = map[string]secret.Value{}
	for _, from := range []map[string]json.RawMessage{all, env} {
		for name, raw := range from {
			var value string
			if json.Unmarshal(raw, &value) == nil {
				e.vars[name] = secret.NewValue(value)
			}
		}
	}
	return nil
}

// pm2 looks at the processes that pm2 would reload.
func (l *look) pm2() {
	if l.command.restarts {
		l.restart(l.command.said)
	}
	apps, ok := l.list()
	if !ok {
		l.named()
		return
	}
	found := 0
	for _, a := range apps {
		if l.command.target != "all" && a.Name != l.command.target && strconv.Itoa(a.ID) != l.command.target {
			continue
		}
		found++
		if a.Env.Mode == "fork_mode" && !l.command.restarts {
			l.add(ForkMode, Warn, "pm2 runs "+a.Name+" in fork mode, in which a reload is a restart: connections to "+l.consumer.Name+
				" are refused until it is up again. Start it in cluster mode (pm2 start -i 2) to lose none.")
		}
		l.fromPM2(a)
	}
	if found == 0 {
		l.add(NoService, Refuse, "pm2 knows no "+l.command.target+", so that "+l.command.said+" would reload nothing.")
	}
}

// fromPM2 looks for variables that pm2 keeps for an app and gives it at each start.
func (l *look) fromPM2(a app) {
	if !l.dotenv() {
		return
	}
	for _, name := range l.variables {
		if value, ok := a.Env.vars[name]; ok {
			l.add(Exported, Refuse, fmt.Sprintf("pm2 keeps %s for %s, from the shell that started it or from its ecosystem file. It %s, and neither a reload nor --update-env takes it away. Unset it, then pm2 delete %s and start it again.",
				name, a.Name, l.compared(name, value), a.Name))
		}
	}
}

// list asks pm2 for its processes; false after saying why not. pm2 would start a daemon
// where there is none, so that is looked for first.
func (l *look) list() ([]app, bool) {
	if len(l.command.prefix) == 0 {
		home := os.Getenv("PM2_HOME")
		if home == "" {
			home = filepath.Join(os.Getenv("HOME"), ".pm2")
		}
		if _, err := os.Stat(filepath.Join(home, "rpc.sock")); err != nil {
			l.cannot("pm2's processes, because no pm2 runs for this user (" + home + ")")
			return nil, false
		}
	}
	argv := append(slices.Clone(l.command.prefix), l.command.program, "jlist")
	said, err := reload.Ask(l.ctx, argv, toolTimeout, maxListed)
	if err != nil {
		l.cannot("pm2's processes, because pm2 jlist did not answer: " + err.Error())
		return nil, false
	}
	// Hints about updates may stand before the list.
	for _, line := range bytes.Split(said.Stdout, []byte("\n")) {
		var apps []app
		if len(line) > 0 && line[0] == '[' && json.Unmarshal(line, &apps) == nil {
			return apps, true
		}
	}
	l.cannot("pm2's processes, because pm2 jlist answered with no list")
	return nil, false
}
