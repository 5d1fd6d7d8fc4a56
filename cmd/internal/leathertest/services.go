package leathertest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// api is the Django project's folder.
func (e *Estate) api() string { return filepath.Join(e.cfg.Examples, "leather-api") }

// djangoEnv is the environment of Django's processes: where things are, and no secret.
func (e *Estate) djangoEnv(service string) []string {
	return []string{
		// Debian's console scripts look for python3 in PATH.
		"PATH=" + filepath.Dir(e.tools.python) + ":/usr/bin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + e.path("run"),
		"DJANGO_SETTINGS_MODULE=leather.settings",
		"PYTHONPATH=" + e.api(),
		"PYTHONPYCACHEPREFIX=" + e.path("run", "pycache"), // nothing is written into the source
		"PYTHONUNBUFFERED=1",
		"PYTHONWARNINGS=ignore",
		"LEATHER_ENV=" + e.EnvFile(service),
		"LEATHER_LOGS=" + e.path("logs"),
		"LEATHER_PID=" + e.PIDFile(service),
		fmt.Sprintf("LEATHER_BIND=127.0.0.1:%d", e.ports[Django]),
		"LEATHER_WORKERS=" + strconv.Itoa(e.cfg.Workers),
	}
}

// startService runs one of Services and waits until it is well.
func (e *Estate) startService(ctx context.Context, service string) error {
	// What an earlier process left would be taken for the new one's.
	if err := os.Remove(e.PIDFile(service)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("starting %s: %w", service, err)
	}
	var p program
	well := func(ctx context.Context) bool { return e.healthy(ctx, service) }
	switch service {
	case Django:
		p = program{argv: []string{e.tools.gunicorn, "--config", filepath.Join(e.api(), "gunicorn.conf.py"), "--chdir", e.api(), "leather.wsgi"}, env: e.djangoEnv(service)}
		if e.cfg.Preload {
			p.argv = append(p.argv, "--preload")
		}
	case Celery:
		p, well = e.celery(), e.celeryAnswers
	case Web:
		p = program{
			argv: []string{e.tools.node, filepath.Join(e.cfg.Examples, "nextjs", "server.mjs")},
			env: []string{
				"PATH=/usr/bin:/bin", "API_URL=" + e.URL(Django), "PORT=" + strconv.Itoa(e.ports[Web]), "WORKERS=" + strconv.Itoa(e.cfg.WebWorkers),
				"ENV_FILE=" + e.EnvFile(Web), "PID_FILE=" + e.PIDFile(Web),
			},
		}
	default:
		return fmt.Errorf("there is no service %q", service)
	}
	p.name, p.dir = service, e.path("run")
	running, err := e.run(p)
	if err != nil {
		return err
	}
	var pid string
	err = running.await(ctx, func(ctx context.Context) bool {
		text, err := os.ReadFile(e.PIDFile(service))
		pid = strings.TrimSpace(string(text))
		return err == nil && pid != "" && well(ctx)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pids[service] = pid
	return err
}

// celery is the worker: by its console script, which runs itself again on SIGHUP.
func (e *Estate) celery() program {
	argv := []string{e.tools.celery}
	if e.cfg.CeleryModule {
		argv = []string{e.tools.python, "-m", "celery"}
	}
	argv = append(argv, "-A", "leather", "worker", "--loglevel", "INFO", "--concurrency", strconv.Itoa(e.cfg.CeleryWorkers),
		"--pidfile", e.PIDFile(Celery), "--without-gossip", "--without-mingle")
	return program{argv: argv, env: e.djangoEnv(Celery)}
}

// celeryAnswers reports that a task comes back from the worker. It waits in the broker
// until there is one.
func (e *Estate) celeryAnswers(ctx context.Context) bool {
	out, err := e.RunManage(ctx, "", "rekey_celery_check", "--timeout", "60")
	return err == nil && strings.TrimSpace(out) == "ok"
}

// healthy reports that a service answers 200.
func (e *Estate) healthy(ctx context.Context, service string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL(service)+healthPath, nil)
	if err != nil {
		return false
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

const healthPath = "/api/healthcheck/"

// RunManage runs manage.py with input on standard input and answers its standard
// output.
func (e *Estate) RunManage(ctx context.Context, input string, args ...string) (string, error) {
	return e.runManage(ctx, nil, input, args...)
}

func (e *Estate) runManage(ctx context.Context, env []string, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.tools.python, append([]string{filepath.Join(e.api(), "manage.py")}, args...)...)
	cmd.Env = append(e.djangoEnv(Django), env...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("manage.py %s: %w: %s", args[0], err, stderr.String())
	}
	return string(out), nil
}

// prepareDatabase makes the tables, as the group that is to own them, and fills them.
func (e *Estate) prepareDatabase(ctx context.Context) error {
	owner := []string{"PGOPTIONS=-c role=" + Owner}
	if _, err := e.runManage(ctx, owner, "", "migrate", "--verbosity", "0"); err != nil {
		return err
	}
	_, err := e.RunManage(ctx, e.editor.Reveal()+"\n", "leather_seed")
	return err
}

func (e *Estate) redisURL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", e.ports["redis"]) }

func (e *Estate) startRedis(ctx context.Context) error {
	port := strconv.Itoa(e.ports["redis"])
	p, err := e.run(program{
		name: "redis", dir: e.path("redis"), env: []string{"PATH=/usr/bin:/bin"},
		argv: []string{e.tools.redis, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", e.path("redis")},
	})
	if err != nil {
		return err
	}
	return p.await(ctx, func(ctx context.Context) bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}
