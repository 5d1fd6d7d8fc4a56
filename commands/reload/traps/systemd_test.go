package traps_test

import (
	"fmt"
	"strings"
	"testing"
)

// shown is what "systemctl show" of systemd 252 prints, with these changes.
func shown(changes map[string]string) string {
	properties := []struct{ name, value string }{
		{"MainPID", "0"},
		{"ExecStart", "{ path=/usr/bin/gunicorn ; argv[]=/usr/bin/gunicorn --workers 3 app.wsgi ; ignore_errors=no ; start_time=[Sun 2026-11-22 19:00:00 UTC] ; stop_time=[n/a] ; pid=812 ; code=(null) ; status=0/0 }"},
		{"ExecReload", "{ path=/bin/kill ; argv[]=/bin/kill -s HUP $MAINPID ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"},
		{"Environment", "LANG=C.UTF-8 \"GREETING=good day\""},
		{"EnvironmentFiles", ""},
		{"WorkingDirectory", "/nonexistent"},
		{"LoadState", "loaded"},
		{"ActiveState", "active"},
		{"CanReload", "yes"},
	}
	var out strings.Builder
	for _, p := range properties {
		value := p.value
		if changed, ok := changes[p.name]; ok {
			value = changed
		}
		for line := range strings.Lines(value + "\n") {
			_, _ = fmt.Fprintf(&out, "%s=%s", p.name, line)
		}
	}
	return out.String()
}

func TestSystemd(t *testing.T) {
	t.Parallel()
	const module = "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -m celery -A app worker ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
	tests := []struct {
		name    string
		verb    string
		changes map[string]string // ENV is the consumer's env file, PID its process, OTHER another env file
		argv    []string
		env     []string
		want    []string
	}{
		{"all is well", "reload", nil, []string{"/usr/bin/gunicorn", "app.wsgi"}, nil, nil},
		{"no such unit", "reload", map[string]string{"LoadState": "not-found", "MainPID": "0"}, nil, nil, []string{"no-such-service refuse"}},
		{"it cannot be reloaded", "reload", map[string]string{"CanReload": "no", "ExecReload": ""}, []string{"/srv/api"}, nil, []string{"no-such-service refuse"}},
		{"then it is restarted", "reload-or-restart", map[string]string{"CanReload": "no", "ExecReload": ""}, []string{"/srv/api"}, nil, []string{"restart warn"}},
		{"a restart", "restart", nil, []string{"/usr/bin/gunicorn", "--preload", "app.wsgi"}, nil, []string{"restart warn"}},
		{"a restart of what serves nobody", "restart", map[string]string{"ExecStart": module}, []string{"/usr/bin/python3", "-m", "celery"}, nil, nil},
		{"Celery as a module", "reload", map[string]string{"ExecStart": module}, []string{"/usr/bin/python3", "-m", "celery"}, nil, []string{"celery-as-module refuse"}},
		{"behind a title", "reload", map[string]string{"ExecStart": module}, []string{"[celeryd: celery@host:MainProcess]"}, nil, []string{"celery-as-module refuse"}},
		{"preload", "reload", nil, []string{"/usr/bin/python3", "/usr/bin/gunicorn", "--preload", "app.wsgi"}, nil, []string{"gunicorn-preload refuse"}},
		{"not running", "reload", map[string]string{"MainPID": "0", "ActiveState": "inactive"}, nil, nil, []string{"cannot-look unknown"}},
		{"the unit sets it", "restart", map[string]string{"Environment": `LANG=C "SECRET=` + other + `"`}, []string{"/srv/api"}, nil, []string{"exported-variable refuse", "restart warn"}},
		{"systemd reads the env file", "reload", map[string]string{"EnvironmentFiles": "ENV (ignore_errors=no)"}, []string{"/srv/api"}, []string{"SECRET=" + oldValue}, []string{"exported-variable refuse"}},
		{"systemd reads it at a restart", "restart", map[string]string{"EnvironmentFiles": "ENV (ignore_errors=yes)"}, []string{"/srv/api"}, []string{"SECRET=" + oldValue}, []string{"restart warn"}},
		{"another file comes later", "restart", map[string]string{"EnvironmentFiles": "ENV (ignore_errors=no)\nOTHER (ignore_errors=no)"}, []string{"/srv/api"}, nil, []string{"exported-variable refuse", "restart warn"}},
		{"another file comes first", "restart", map[string]string{"EnvironmentFiles": "OTHER (ignore_errors=no)\nENV (ignore_errors=no)"}, []string{"/srv/api"}, nil, []string{"restart warn"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := consumer(t)
			if tt.argv != nil {
				pid := service(t, t.TempDir(), tt.env, tt.argv...)
				if tt.changes["MainPID"] == "" {
					changes := map[string]string{"MainPID": fmt.Sprint(pid)}
					for name, value := range tt.changes {
						changes[name] = value
					}
					tt.changes = changes
				}
			}
			text := strings.NewReplacer("ENV (", c.Location+" (", "OTHER (", file(t, "other.env", "SECRET="+other+"\n")+" (").Replace(shown(tt.changes))
			c.Reload = []string{"sudo", "-n", tool(t, "systemctl", "show", text), "--no-block", tt.verb, "api.service"}
			want(t, look(t, c), tt.want...)
		})
	}
}

func TestSystemdDoesNotAnswer(t *testing.T) {
	t.Parallel()
	c := consumer(t, tool(t, "systemctl", "nothing", ""), "reload", "api")
	found := look(t, c)
	want(t, found, "cannot-look unknown")
	says(t, found, "systemctl exited with 1")

	c = consumer(t, "/nonexistent/systemctl", "restart", "api")
	c.PIDFile = pidFile(t, service(t, t.TempDir(), nil, "gunicorn", "--preload"))
	want(t, look(t, c), "restart warn", "cannot-look unknown")
}
