package leathertest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"rekey/audit/audittest/programtest"
	"rekey/commands/secret"
	"rekey/commands/store/dotenv"
)

// furnish makes folders, programs and values, and chooses ports.
func (e *Estate) furnish() (err error) {
	if e.cfg.Examples == "" {
		if e.cfg.Examples, err = examples(); err != nil {
			return err
		}
	}
	if e.cfg.Dir, err = filepath.Abs(e.cfg.Dir); err != nil {
		return fmt.Errorf("finding the estate's folder: %w", err)
	}
	for _, dir := range append([]string{"", "bin", "run", "logs", "redis"}, Services...) {
		if err := os.MkdirAll(e.path(dir), 0o700); err != nil {
			return fmt.Errorf("making the estate: %w", err)
		}
	}
	// The catalogue names the places themselves, not symbolic links to them.
	if e.cfg.Dir, err = filepath.EvalSymlinks(e.cfg.Dir); err != nil {
		return fmt.Errorf("finding the estate's folder: %w", err)
	}
	for _, name := range []string{Django, Web, "redis", "postgres"} {
		if e.ports[name], err = freePort(); err != nil {
			return err
		}
	}
	for _, name := range []string{"REVALIDATE_SECRET", "ANALYTICS_SECRET", "EMAIL_HOST_PASSWORD"} {
		e.values[name] = random()
	}
	if e.values["SECRET_KEY"], err = djangoKey(); err != nil {
		return err
	}
	e.editor = random()
	return e.writeManage()
}

// writeManage writes the program rekey runs: manage.py with the environment of Django,
// which rekey does not hand on.
func (e *Estate) writeManage() error {
	var manage strings.Builder
	manage.WriteString("#!/bin/sh\n")
	for _, setting := range e.djangoEnv(Django) {
		name, value, _ := strings.Cut(setting, "=")
		fmt.Fprintf(&manage, "export %s=%s\n", name, shellQuote(value))
	}
	fmt.Fprintf(&manage, "exec %s %s \"$@\"\n", shellQuote(e.tools.python), shellQuote(filepath.Join(e.api(), "manage.py")))
	return programtest.Write(e.path("bin", "manage"), manage.String())
}

// writeEnvFiles writes the .env files, with what such files hold in practice.
func (e *Estate) writeEnvFiles() error {
	e.Mail.Add(MailUser, e.values["EMAIL_HOST_PASSWORD"])
	e.values["SENTRY_DSN"] = secret.NewValue(e.Sentry.DSN())
	v := func(name string) string { return e.values[name].Reveal() }
	mailPort := e.Mail.Addr()[strings.LastIndex(e.Mail.Addr(), ":")+1:]
	django := "# Django. Owner: DevOps.\nDEBUG=False\nALLOWED_HOSTS=127.0.0.1,localhost,testserver\nSESSION_ENGINE=" + e.sessionEngine() +
		"\nSECRET_KEY='" + v("SECRET_KEY") + "'\n\n" +
		"# shared with Next.js, see the rotation guide\nREVALIDATE_SECRET=" + v("REVALIDATE_SECRET") + "\nANALYTICS_SECRET=\"" + v("ANALYTICS_SECRET") + "\"  # view tracking\n\n" +
		"DATABASE_URL=" + v("DATABASE_URL") + "\nREDIS_URL=" + e.redisURL() + "\n\n" +
		"EMAIL_HOST=127.0.0.1\nEMAIL_PORT=" + mailPort + "\nEMAIL_HOST_USER=" + MailUser + "\nEMAIL_HOST_PASSWORD=" + v("EMAIL_HOST_PASSWORD") + "\n\n" +
		"SENTRY_DSN=" + v("SENTRY_DSN") + "\nREKEY_CHECKS_FROM=127.0.0.1,::1\nREKEY_TRIPWIRE_FILE=" + e.path("run", "tripwire.json") + "\n"
	for service, text := range map[string]string{
		Django: django,
		// The worker has a file of its own, as on a machine of its own.
		Celery: strings.Replace(django, "# Django.", "# Celery.", 1),
		Web: "# Next.js\nNEXT_PUBLIC_SITE_URL=https://example.com\nexport REVALIDATE_SECRET=" + v("REVALIDATE_SECRET") +
			"\nANALYTICS_SECRET='" + v("ANALYTICS_SECRET") + "'\nNODE_ENV=production\n",
	} {
		if err := os.WriteFile(e.EnvFile(service), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the environment of %s: %w", service, err)
		}
	}
	for file, v := range map[string]secret.Value{e.AdminFile(): e.AdminURL(), e.SentryTokenFile(): secret.NewValue(e.Sentry.Token())} {
		if err := os.WriteFile(file, []byte(v.Reveal()+"\n"), 0o600); err != nil {
			return fmt.Errorf("writing a credential for rekey: %w", err)
		}
	}
	return nil
}

func (e *Estate) sessionEngine() string {
	if e.cfg.SessionEngine == "" {
		return "django.contrib.sessions.backends.db"
	}
	return e.cfg.SessionEngine
}

// freePort answers a port nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert,errcheck // of a TCP listener
}

// djangoKey makes a key as Django does. Its alphabet has a $, which some readers of .env
// files expand; a key with one is made again, as rekey does.
func djangoKey() (secret.Value, error) {
	for {
		v, err := secret.Generate(secret.Django, nil)
		if err != nil {
			return v, fmt.Errorf("making SECRET_KEY: %w", err)
		}
		if dotenv.Portable(v) == nil {
			return v, nil
		}
	}
}

func random() secret.Value {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return secret.NewValue(hex.EncodeToString(b))
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
