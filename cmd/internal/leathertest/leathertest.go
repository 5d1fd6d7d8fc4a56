// Package leathertest runs the estate of the guide as it really is: Django under
// gunicorn, a Celery worker, Redis, PostgreSQL with passwords, a mail server, Sentry and
// the signing side under Node.js, all of deploy/examples, as processes of their own in
// one folder on free ports. It exists because a procedure is proven on the software that
// it is for, and by nothing less. Tests and the drill use it; the production program
// never does.
//
// The software is Debian's (python3-django, gunicorn, celery, redis-server, nodejs,
// postgresql and Python's modules for them); what is missing is named in one sentence.
package leathertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"rekey/audit/audittest"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
)

// The services of the estate that read secrets, as the catalogue calls them.
const (
	Django = "django" // under gunicorn: accepts signatures, has sessions, uses everything
	Celery = "celery" // the worker: mails, tasks
	Web    = "nextjs" // signs, under Node.js
)

// Services lists them in the order of the catalogue.
var Services = []string{Django, Celery, Web}

// Config describes an estate. The zero value with Dir set is the usual one.
type Config struct {
	// Dir is where everything is kept; made with mode 0700 when missing. Required.
	Dir string
	// Examples is the folder deploy/examples of the source; "" looks for it upwards from
	// the working folder.
	Examples string
	// Workers are how many processes answer: gunicorn's, Celery's and Node's; 0 means 3,
	// 1 and 2.
	Workers, CeleryWorkers, WebWorkers int
	// SessionEngine is Django's; "" means sessions in the database.
	SessionEngine string
	// Preload starts gunicorn with preload_app, so that a reload changes nothing.
	Preload bool
	// CeleryModule starts Celery as "python -m celery", so that a reload ends it.
	CeleryModule bool
}

// Estate is a running estate. It is safe for concurrent use.
type Estate struct {
	// Mail is the provider of EMAIL_HOST_PASSWORD; MailUser is who logs in.
	Mail *smtptest.Server
	// Sentry gives out SENTRY_DSN.
	Sentry *audittest.Sentry

	cfg    Config
	tools  tools
	values map[string]secret.Value // by variable, as at the start
	editor secret.Value            // the password of the user editor
	super  secret.Value            // PostgreSQL's superuser's URL
	ports  map[string]int

	mu    sync.Mutex
	procs map[string]*process
	pids  map[string]string
	order []string
	homes []string // folders outside Dir, removed at the end
}

// MailUser logs in to the mail server, and Editor to Django.
const (
	MailUser = "leather-api"
	Editor   = "editor"
)

// Start runs everything and waits until all of it is well. ctx bounds the start alone;
// call Stop in the end. The processes also end when this one does, however it ends.
func Start(ctx context.Context, cfg Config) (_ *Estate, err error) {
	e := &Estate{cfg: cfg.withDefaults(), values: map[string]secret.Value{}, ports: map[string]int{}, procs: map[string]*process{}, pids: map[string]string{}}
	if e.tools, err = findTools(ctx); err != nil {
		return nil, err
	}
	if err := e.furnish(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	if e.Mail, err = smtptest.Start(smtptest.Config{Dir: e.path("run")}); err != nil {
		return nil, err
	}
	if e.Sentry, err = audittest.StartSentry(); err != nil {
		return nil, err
	}
	e.Sentry.Grant("event:read", "project:read", "project:write", "project:admin")
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() error { return e.startPostgres(starting) })
	group.Go(func() error { return e.startRedis(starting) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := e.writeEnvFiles(); err != nil {
		return nil, err
	}
	if err := e.prepareDatabase(ctx); err != nil {
		return nil, err
	}
	group, starting = errgroup.WithContext(ctx)
	for _, service := range Services {
		group.Go(func() error { return e.startService(starting, service) })
	}
	return e, group.Wait()
}

// Stop ends everything, gracefully where it ends within patience.
func (e *Estate) Stop() error {
	e.mu.Lock()
	order := e.order
	e.mu.Unlock()
	var errs []error
	// Users first, then what they use.
	for i := len(order) - 1; i >= 0; i-- {
		errs = append(errs, e.process(order[i]).stop())
	}
	if e.Mail != nil {
		errs = append(errs, e.Mail.Close())
	}
	if e.Sentry != nil {
		errs = append(errs, e.Sentry.Close())
	}
	for _, home := range e.homes {
		errs = append(errs, os.RemoveAll(home))
	}
	return errors.Join(errs...)
}

// Dir is the folder everything is in.
func (e *Estate) Dir() string { return e.cfg.Dir }

// EnvFile is a service's .env file.
func (e *Estate) EnvFile(service string) string { return e.path(service, ".env") }

// PIDFile holds the number of a service's main process.
func (e *Estate) PIDFile(service string) string { return e.path("run", service+".pid") }

// Log is one of Django's log files: "security", "django", "access" or "rekey".
func (e *Estate) Log(name string) string { return e.path("logs", name+".log") }

// URL is where Django or Web answers, without a slash at the end.
func (e *Estate) URL(service string) string {
	return fmt.Sprintf("http://127.0.0.1:%d", e.ports[service])
}

// Reload is the command that tells a service to read its .env file again: SIGHUP to its
// main process. The number is the process's as it was started last; that of PIDFile is
// away for a moment during a reload.
func (e *Estate) Reload(service string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return []string{e.tools.kill, "-HUP", e.pids[service]}
}

// Manage is manage.py in the environment of Django, as an argument list to add to.
func (e *Estate) Manage(args ...string) []string {
	return append([]string{e.path("bin", "manage")}, args...)
}

// Values answers the secrets the estate began with, by variable.
func (e *Estate) Values() map[string]secret.Value {
	all := map[string]secret.Value{}
	for name, v := range e.values {
		all[name] = v
	}
	return all
}

// AdminURL is the URL of the role that may make login roles; AdminFile holds it for
// rekey.
func (e *Estate) AdminURL() secret.Value { return e.values["ADMIN_URL"] }

// AdminFile is the file that AdminURL stands in.
func (e *Estate) AdminFile() string { return e.path("run", "admin.url") }

// SentryTokenFile holds the token that may make Sentry's client keys.
func (e *Estate) SentryTokenFile() string { return e.path("run", "sentry.token") }

// SuperURL is the URL of PostgreSQL's superuser, for tests to look with.
func (e *Estate) SuperURL() secret.Value { return e.super }

func (e *Estate) path(parts ...string) string {
	return filepath.Join(append([]string{e.cfg.Dir}, parts...)...)
}

func (c Config) withDefaults() Config {
	for n, otherwise := range map[*int]int{&c.Workers: 3, &c.CeleryWorkers: 1, &c.WebWorkers: 2} {
		if *n == 0 {
			*n = otherwise
		}
	}
	return c
}

// examples finds deploy/examples upwards from the working folder.
func examples() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding deploy/examples: %w", err)
	}
	for {
		found := filepath.Join(dir, "deploy", "examples")
		if _, err := os.Stat(filepath.Join(found, "leather-api", "manage.py")); err == nil {
			return found, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("deploy/examples/leather-api was not found: run from within rekey's source")
		}
		dir = parent
	}
}
