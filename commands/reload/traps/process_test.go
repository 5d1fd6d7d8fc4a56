package traps_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Guide: procedures/secret-key/reload
func TestGunicornPreload(t *testing.T) {
	t.Parallel()
	configured := func(name, text string) func(t *testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			path := file(t, name, text)
			return filepath.Dir(path), path
		}
	}
	none := func(t *testing.T) (string, string) { dir := t.TempDir(); return dir, dir }
	tests := []struct {
		name string
		at   func(t *testing.T) (dir, conf string)
		env  []string
		argv []string // CONF is the configuration's path
		want []string
	}{
		{"without", none, nil, []string{"/usr/bin/gunicorn", "--workers", "2", "app.wsgi"}, nil},
		{"on the command line", none, nil, []string{"/usr/bin/python3", "/usr/bin/gunicorn", "--preload", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"as a module", none, nil, []string{"python3.11", "-u", "-m", "gunicorn", "--preload", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"in GUNICORN_CMD_ARGS", none, []string{"GUNICORN_CMD_ARGS=--preload --workers 3"}, []string{"/usr/bin/gunicorn", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"in the usual file", configured("gunicorn.conf.py", "workers = 2\npreload_app = True  # faster\n"), nil, []string{"gunicorn", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"in a file that is named", configured("prod.py", "preload_app=True\n"), nil, []string{"gunicorn", "-c", "CONF", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"in a file that is named from elsewhere", configured("prod.py", "preload_app=True\n"), nil, []string{"gunicorn", "--config=file:prod.py", "app.wsgi"}, []string{"gunicorn-preload refuse"}},
		{"taken back", configured("prod.py", "preload_app = True\npreload_app = False\n"), nil, []string{"gunicorn", "-cprod.py", "app.wsgi"}, nil},
		{"in a comment", configured("gunicorn.conf.py", "# preload_app = True\n"), nil, []string{"gunicorn", "app.wsgi"}, nil},
		{"computed", configured("gunicorn.conf.py", "import os\npreload_app = bool(os.environ.get('FAST'))\n"), nil, []string{"gunicorn", "app.wsgi"}, []string{"cannot-look unknown"}},
		{"under a condition", configured("gunicorn.conf.py", "if FAST:\n    preload_app = False\n"), nil, []string{"gunicorn", "app.wsgi"}, []string{"cannot-look unknown"}},
		{"in a module", none, nil, []string{"gunicorn", "-c", "python:app.conf", "app.wsgi"}, []string{"cannot-look unknown"}},
		{"in a file that is gone", none, nil, []string{"gunicorn", "-c", "gone.py", "app.wsgi"}, []string{"cannot-look unknown"}},
		{"behind a title", none, nil, []string{"gunicorn: master [app.wsgi]"}, []string{"cannot-look unknown"}},
		{"not gunicorn", none, nil, []string{"/usr/bin/uwsgi", "--preload"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, conf := tt.at(t)
			argv := strings.Split(strings.ReplaceAll(strings.Join(tt.argv, "\x00"), "CONF", conf), "\x00")
			c := consumer(t, "kill", "-HUP", strconv.Itoa(service(t, dir, tt.env, argv...)))
			want(t, look(t, c), tt.want...)
		})
	}
}

// A restart reads everything anew, and costs connections.
func TestARestartHasNoOtherTrapsThanItself(t *testing.T) {
	t.Parallel()
	pid := service(t, t.TempDir(), []string{"SECRET=" + other}, "gunicorn", "--preload", "app.wsgi")
	for _, argv := range [][]string{
		{"kill", strconv.Itoa(pid)},
		{"kill", "-s", "TERM", strconv.Itoa(pid)},
		{"sudo", "-n", "-u", "web", "kill", "-SIGTERM", strconv.Itoa(pid)},
	} {
		want(t, look(t, consumer(t, argv...)), "restart warn")
	}
	want(t, look(t, consumer(t, "kill", "-USR2", strconv.Itoa(pid))), "gunicorn-preload refuse", "exported-variable refuse")
}

func TestCelery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, signal string
		argv, want   []string
	}{
		{"as a module", "-HUP", []string{"/usr/bin/python3", "-m", "celery", "-A", "app", "worker"}, []string{"celery-as-module refuse"}},
		{"as a module, with options", "-1", []string{"python3.11", "-X", "dev", "-OO", "-mcelery", "-A", "app", "worker"}, []string{"celery-as-module refuse"}},
		{"by its script", "-HUP", []string{"/usr/bin/python3", "/usr/bin/celery", "-A", "app", "worker"}, nil},
		{"something else as a module", "-HUP", []string{"/usr/bin/python3", "-m", "app", "celery"}, nil},
		{"behind a title", "-HUP", []string{"[celeryd: celery@host:MainProcess] -active- (-A app worker)"}, []string{"cannot-look unknown"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := consumer(t, "pkill", tt.signal, "-F", pidFile(t, service(t, t.TempDir(), nil, tt.argv...)))
			want(t, look(t, c), tt.want...)
		})
	}
}

func TestExportedVariable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, env, says string
		want            []string
	}{
		{"another value", "SECRET=" + other, "differs from the env file's already", []string{"exported-variable refuse"}},
		{"the same value", "SECRET=" + oldValue, "will win over the new one", []string{"exported-variable refuse"}},
		{"the previous one", "SECRET_OLD=" + other, "SECRET_OLD", []string{"exported-variable refuse"}},
		{"a longer name", "SECRETS=" + other, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := consumer(t, "kill", "-HUP")
			c.PIDFile = pidFile(t, service(t, t.TempDir(), []string{tt.env}, "/srv/api"))
			found := look(t, c)
			want(t, found, tt.want...)
			if tt.says != "" {
				says(t, found, tt.says)
			}
		})
	}

	t.Run("of another store's consumer", func(t *testing.T) {
		t.Parallel()
		c := consumer(t, "kill", "-HUP", strconv.Itoa(service(t, t.TempDir(), []string{"SECRET=" + other}, "/srv/api")))
		c.Store, c.Location = "vault", "leather-api/production"
		want(t, look(t, c))
	})
}

// A real Python has the variable and starts the service, as a supervisor does.
func TestTheParentHasTheVariable(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed to play the parent of a service")
	}
	child := func(t *testing.T, handsOn string) int {
		t.Helper()
		cmd := exec.Command(python, "-c", `import os, subprocess, sys, time
env = dict(os.environ)
if sys.argv[1] == "no":
    del env["SECRET"]
print(subprocess.Popen(["sleep", "3600"], env=env).pid, flush=True)
time.sleep(3600)`, handsOn)
		cmd.Env = append(os.Environ(), "SECRET="+other)
		return start(t, cmd)
	}

	handed := strconv.Itoa(child(t, "yes"))
	found := look(t, consumer(t, "kill", "-HUP", handed))
	want(t, found, "exported-variable refuse")
	says(t, found, "which started it")

	kept := strconv.Itoa(child(t, "no"))
	want(t, look(t, consumer(t, "kill", "-HUP", kept)))
	found = look(t, consumer(t, "kill", kept))
	want(t, found, "exported-variable refuse", "restart warn")
	says(t, found, "handed on at each restart")
}

func TestWhatCannotBeLookedAtIsSaid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		reload     []string
		pidFile    string
	}{
		{"no process is named", "names no pid_file", []string{"kill", "-HUP"}, ""},
		{"no such process", "process 4194304", []string{"kill", "-HUP", "4194304"}, ""},
		{"no such file", "it is not there", []string{"kill", "-HUP"}, "/nonexistent/main.pid"},
		{"a file with something else", "holds no process number", []string{"kill", "-HUP"}, file(t, "pid", "soon\n")},
		{"a command of the owner's", "what deploy.sh does", []string{"/srv/deploy.sh", "api"}, ""},
		{"no command", "what the reload command does", nil, ""},
	} {
		c := consumer(t, tt.reload...)
		c.PIDFile = tt.pidFile
		found := look(t, c)
		want(t, found, "cannot-look unknown")
		says(t, found, tt.says)
	}
}

// Of an owner's script it is not known that it is no restart.
func TestAnUnknownCommandIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := consumer(t, "/srv/deploy.sh")
	c.PIDFile = pidFile(t, service(t, t.TempDir(), []string{"SECRET=" + other}, "gunicorn", "--preload", "app.wsgi"))
	want(t, look(t, c), "gunicorn-preload warn", "exported-variable warn", "cannot-look unknown")
}

// Looking at a process of another user needs his or root's rights.
func TestAnotherUsersProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.ReadFile("/proc/1/environ"); err == nil {
		// Whoever runs this may look at everything: then there is nothing to say.
		want(t, look(t, consumer(t, "kill", "-HUP", "1")))
		return
	}
	found := look(t, consumer(t, "kill", "-HUP", "1"))
	want(t, found, "cannot-look unknown")
	says(t, found, "permission denied")
}
