// Package estatetest is a practice estate: two real processes that read real .env
// files, check HMAC signatures, reload on SIGHUP and write logs as Django and
// gunicorn do. It exists because a rotation is proven against processes that lag,
// hang and die, and by nothing less. Tests and the drill use it; the production
// program never does.
//
// "api" is the accepting service (Django's part): POST /api/revalidate/ and
// /api/track-view/ check X-Signature against [X, X_OLD] of REVALIDATE_SECRET and
// ANALYTICS_SECRET. "web" is the signing service (Next.js's part): POST /publish and
// /view do what an editor's and a reader's click does: sign a body and call api. Both
// answer GET /api/healthcheck/, and GET /rekey/proof?variable=NAME&nonce=N with a
// proof of the value of NAME that the answering worker runs on.
//
// Each process has several workers. As gunicorn's, each has a snapshot of the
// settings of its own, and after SIGHUP they change one after the other.
//
// The processes are this very program, run again: call Main first thing in main or
// TestMain.
package estatetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rekey/commands/secret"
)

// The services of the estate.
const (
	API = "api"
	Web = "web"
)

// Config describes an estate.
type Config struct {
	// Dir is where everything is kept; made with mode 0700 when missing. Required.
	Dir string
	// APIWorkers and WebWorkers are how many workers answer; 0 means 4 and 2.
	APIWorkers, WebWorkers int
	// SpreadFrom and SpreadTo bound when, after SIGHUP, the first and the last worker
	// change. Both 0 means 300 and 900 ms; gunicorn was measured at 1.7 and 3.1 s.
	SpreadFrom, SpreadTo time.Duration
	// Past begins the logs with what happened before the start: see PastAccepted.
	Past bool
	// HideWorkers leaves the worker's name out of all answers.
	HideWorkers bool
}

// Estate is a running estate. It is safe for concurrent use.
type Estate struct {
	cfg    Config
	exe    string
	values map[string]secret.Value
	procs  map[string]*process
}

// Start writes the .env files, runs both services and waits until both are well. ctx
// bounds the start alone; call Stop in the end. The services also end when this
// process does, however it ends.
func Start(ctx context.Context, cfg Config) (*Estate, error) {
	exe, err := executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("finding %s: %w", cfg.Dir, err)
	}
	// Symlinks are resolved so that the catalogue names the places themselves.
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the estate: %w", err)
	}
	if cfg.Dir, err = filepath.EvalSymlinks(cfg.Dir); err != nil {
		return nil, fmt.Errorf("finding %s: %w", cfg.Dir, err)
	}
	if cfg.APIWorkers == 0 {
		cfg.APIWorkers = 4
	}
	if cfg.WebWorkers == 0 {
		cfg.WebWorkers = 2
	}
	if cfg.SpreadFrom == 0 && cfg.SpreadTo == 0 {
		cfg.SpreadFrom, cfg.SpreadTo = 300*time.Millisecond, 900*time.Millisecond
	}
	e := &Estate{cfg: cfg, exe: exe, values: map[string]secret.Value{}}
	e.procs = map[string]*process{
		API: {estate: e, spec: spec{Service: API, Dir: cfg.Dir, Workers: cfg.APIWorkers, From: cfg.SpreadFrom, To: cfg.SpreadTo, Hide: cfg.HideWorkers}},
		Web: {estate: e, spec: spec{Service: Web, Dir: cfg.Dir, Workers: cfg.WebWorkers, From: cfg.SpreadFrom, To: cfg.SpreadTo, Hide: cfg.HideWorkers}},
	}
	if err := e.furnish(); err != nil {
		return nil, err
	}
	if err := e.procs[API].start(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	if err := e.procs[Web].start(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// ExecutableVariable names the program whose processes are the services, in the
// environment of the test or drill; without it this program's own binary is.
const ExecutableVariable = "ESTATETEST_EXECUTABLE"

func executable() (string, error) {
	if exe := os.Getenv(ExecutableVariable); exe != "" {
		return exe, nil
	}
	return os.Executable()
}

// Stop ends both services gracefully.
func (e *Estate) Stop() error {
	return errors.Join(e.procs[Web].stop(), e.procs[API].stop())
}

// URL is where a service answers, without a slash at the end.
func (e *Estate) URL(service string) string { return "http://" + e.procs[service].addr() }

// EnvFile is a service's .env file.
func (e *Estate) EnvFile(service string) string { return envFile(e.cfg.Dir, service) }

// Log is one of the log files: "security", "django" or "access".
func (e *Estate) Log(name string) string { return filepath.Join(e.cfg.Dir, "logs", name+".log") }

// Values answers the secrets the estate began with, by variable: what a canary test
// looks for everywhere.
func (e *Estate) Values() map[string]secret.Value {
	all := map[string]secret.Value{}
	for name, v := range e.values {
		all[name] = v
	}
	return all
}

// InFile answers what a service's .env file assigns to variable; the zero Value when
// nothing.
func (e *Estate) InFile(service, variable string) (secret.Value, error) {
	env, err := loadEnv(e.EnvFile(service))
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the environment of %s: %w", service, err)
	}
	return secret.NewValue(env[variable]), nil
}

// Reload is the command that tells a service to read its .env file again.
func (e *Estate) Reload(service string) []string {
	argv := []string{e.exe, reloadArgument, pidFile(e.cfg.Dir, service)}
	// Nobody hands that on to a reload command: without it, each is kept for a second
	// after its end where the race detector watches it.
	if options, set := os.LookupEnv(raceVariable); set {
		argv = append([]string{"env", raceVariable + "=" + options}, argv...)
	}
	return argv
}

// raceVariable holds the race detector's options.
const raceVariable = "GORACE"

// Kill ends a service at once (SIGKILL) and waits until it is gone.
func (e *Estate) Kill(service string) error { return e.procs[service].kill() }

// Restart ends a service gracefully, if it runs, and runs it again at its address.
func (e *Estate) Restart(ctx context.Context, service string) error {
	if err := e.procs[service].stop(); err != nil {
		return err
	}
	return e.procs[service].start(ctx)
}

// furnish makes folders and .env files with what such files hold in practice.
func (e *Estate) furnish() error {
	for _, dir := range []string{e.cfg.Dir, filepath.Join(e.cfg.Dir, API), filepath.Join(e.cfg.Dir, Web), filepath.Join(e.cfg.Dir, "logs"), filepath.Join(e.cfg.Dir, "run")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the estate: %w", err)
		}
		// Whatever the umask was.
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("making the estate: %w", err)
		}
	}
	// What an earlier estate in this folder left.
	for _, service := range []string{API, Web} {
		for _, name := range []string{addrFile(e.cfg.Dir, service), pidFile(e.cfg.Dir, service), faultsFile(e.cfg.Dir, service)} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("making the estate: %w", err)
			}
		}
	}
	fresh := func(name string) string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		e.values[name] = secret.NewValue(hex.EncodeToString(b))
		return e.values[name].Reveal()
	}
	revalidate, analytics := fresh("REVALIDATE_SECRET"), fresh("ANALYTICS_SECRET")
	files := map[string]string{
		API: "# Django. Owner: DevOps.\nDEBUG=False\nSECRET_KEY='" + fresh("SECRET_KEY") + "'\nALLOWED_HOSTS=api.example.com,localhost\n\n" +
			"# shared with Next.js, see the rotation guide\nREVALIDATE_SECRET=" + revalidate + "\nANALYTICS_SECRET=\"" + analytics + "\"  # view tracking\n\n" +
			"EMAIL_HOST_PASSWORD=" + fresh("EMAIL_HOST_PASSWORD") + "\nDATABASE_URL=postgresql://leather_api:" + fresh("DATABASE_PASSWORD") + "@localhost:5432/leather_api\n",
		Web: "# Next.js\nNEXT_PUBLIC_SITE_URL=https://example.com\nexport REVALIDATE_SECRET=" + revalidate + "\nANALYTICS_SECRET='" + analytics + "'\nNODE_ENV=production\n",
	}
	for service, text := range files {
		if err := os.WriteFile(e.EnvFile(service), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the environment of %s: %w", service, err)
		}
	}
	if e.cfg.Past {
		if err := e.writePast(time.Now()); err != nil {
			return err
		}
	}
	for _, name := range []string{"security", "django", "access"} {
		f, err := os.OpenFile(e.Log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("making a log: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("making a log: %w", err)
		}
	}
	return nil
}

func (e *Estate) healthy(ctx context.Context, service string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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
	return res.StatusCode == http.StatusOK && res.Body.Close() == nil
}

func envFile(dir, service string) string { return filepath.Join(dir, service, ".env") }
func pidFile(dir, service string) string { return filepath.Join(dir, "run", service+".pid") }
