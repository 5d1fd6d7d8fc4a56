package leathertest

import (
	"fmt"
	"strings"
	"time"
)

// Extra is what a catalogue says beyond the estate itself.
type Extra struct {
	// Top is YAML that goes in at the top level: slack, pagerduty, access, contacts.
	Top string
	// Overlap of all secrets; 0 means 24 h.
	Overlap time.Duration
	// Quiet is for how long an old value must not have been used; 0 means 5 s.
	Quiet time.Duration
	// Only names the secrets to be in it; none means all.
	Only []string
}

// Secrets names the six of the guide, in its order.
var Secrets = []string{"SECRET_KEY", "REVALIDATE_SECRET", "ANALYTICS_SECRET", "EMAIL_HOST_PASSWORD", "SENTRY_DSN", "DATABASE_URL"}

// Catalogue answers a rekey.yaml for the estate: one environment, production, and the
// six secrets of the guide with their procedures, proofs and checks.
func (e *Estate) Catalogue(x Extra) string {
	if x.Overlap == 0 {
		x.Overlap = 24 * time.Hour
	}
	if x.Quiet == 0 {
		x.Quiet = 5 * time.Second
	}
	if len(x.Only) == 0 {
		x.Only = Secrets
	}
	w := &yaml{estate: e, extra: x}
	w.line(0, "version: 1")
	for line := range strings.Lines(x.Top) {
		w.line(0, "%s", strings.TrimRight(line, "\n"))
	}
	w.environment()
	w.line(0, "secrets:")
	for _, name := range x.Only {
		w.secret(name)
	}
	return w.String()
}

// yaml is a catalogue being written.
type yaml struct {
	strings.Builder
	estate *Estate
	extra  Extra
}

func (w *yaml) line(depth int, format string, args ...any) {
	fmt.Fprintf(w, strings.Repeat("  ", depth)+format+"\n", args...)
}

func argv(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (w *yaml) environment() {
	e := w.estate
	w.line(0, "environments:")
	w.line(1, "production:")
	w.line(2, "own: [127.0.0.1, \"::1\"]")
	w.line(2, "sentry: {url: %q, organization: %q, project: %q}", e.Sentry.URL(), e.Sentry.Org, e.Sentry.Project)
	w.line(2, "consumers:")
	workers := map[string]int{Django: e.cfg.Workers, Celery: e.cfg.CeleryWorkers, Web: e.cfg.WebWorkers}
	for _, service := range Services {
		w.line(3, "%s:", service)
		w.line(4, "env_file: %q", e.EnvFile(service))
		w.line(4, "pid_file: %q", e.PIDFile(service))
		w.line(4, "reload: %s", argv(e.Reload(service)))
		w.line(4, "workers: %d", workers[service])
		if service != Celery {
			w.line(4, "health: %q", e.URL(service)+healthPath)
		}
	}
	w.line(2, "logs:")
	for _, format := range []string{"security", "django", "access"} {
		w.line(3, "- {path: %q, format: %s}", e.Log(format), format)
	}
}

// head is what the guide's inventory says of each secret, and its procedure.
var head = map[string][]string{
	"SECRET_KEY":          {"purpose: Django session/CSRF", "impact: Sessions invalidated", "owner: DevOps", "rotate_every: annually", "risk: medium", "procedure: django-secret-key", "generator: django"},
	"REVALIDATE_SECRET":   {"purpose: Next.js ISR webhook", "impact: ISR temporarily broken", "owner: DevOps", "rotate_every: quarterly", "risk: medium", "procedure: hmac-overlap", "generator: hex32"},
	"ANALYTICS_SECRET":    {"purpose: View tracking HMAC", "impact: Tracking temporarily broken", "owner: DevOps", "rotate_every: quarterly", "risk: medium", "procedure: hmac-overlap", "generator: hex32"},
	"EMAIL_HOST_PASSWORD": {"purpose: SMTP authentication", "impact: Email sending fails", "owner: DevOps", "rotate_every: as-needed", "risk: medium", "procedure: smtp-password", "generator: supplied"},
	"SENTRY_DSN":          {"purpose: Error monitoring", "impact: Monitoring stops", "owner: DevOps", "rotate_every: rarely", "risk: low", "procedure: sentry-client-key", "generator: supplied"},
	"DATABASE_URL":        {"purpose: Database connection", "impact: Complete outage", "owner: DBA", "rotate_every: rarely", "risk: high", "procedure: postgres-role", "generator: supplied"},
}

func (w *yaml) secret(name string) {
	w.line(1, "%s:", name)
	for _, line := range head[name] {
		w.line(2, "%s", line)
	}
	w.line(2, "overlap: %s", w.extra.Overlap)
	w.line(2, "in:")
	w.line(3, "production:")
	w.line(4, "consumers:")
	switch name {
	case "SECRET_KEY":
		w.secretKey()
	case "REVALIDATE_SECRET":
		w.webhook(name, "/api/revalidate/", `{"slugs":["post-1"]}`)
	case "ANALYTICS_SECRET":
		w.webhook(name, "/api/track-view/", `{"slug":"rekey-check"}`)
	default:
		w.issued(name)
	}
}

// secretKey: Django verifies with it and signs, the worker signs the links it mails.
func (w *yaml) secretKey() {
	e := w.estate
	w.line(5, "django:")
	w.line(6, "variable: SECRET_KEY")
	w.line(6, "previous: SECRET_KEY_OLD")
	w.line(6, "role: both")
	w.line(6, "proof:")
	w.line(7, "request: {urls: [%q], method: POST, header: X-Signature, content_type: text/plain, body: rekey, scheme: django}", e.URL(Django)+"/rekey/django")
	w.line(7, "challenge: {urls: [%q]}", e.URL(Django)+"/rekey/proof/SECRET_KEY")
	w.line(5, "celery: {variable: SECRET_KEY, role: signs, proof: {challenge: {command: %s}}}", w.celeryProof("SECRET_KEY"))
	w.line(4, "sessions:")
	w.line(5, "count: %s", argv(e.Manage("rekey_sessions", "--count")))
	w.line(5, "end: %s", argv(e.Manage("rekey_sessions", "--end")))
	w.line(5, "tidy: %s", argv(e.Manage("rekey_sessions", "--tidy")))
	w.checks(true)
}

func (w *yaml) webhook(name, path, body string) {
	e := w.estate
	w.line(5, "django:")
	w.line(6, "variable: %s", name)
	w.line(6, "previous: %s_OLD", name)
	w.line(6, "role: accepts")
	w.line(6, "proof: {request: {urls: [%q], method: POST, header: X-Signature, content_type: application/json, body: '%s'}}", e.URL(Django)+path, body)
	w.line(5, "nextjs: {variable: %s, role: signs, proof: {challenge: {urls: [%q]}}}", name, e.URL(Web)+"/rekey/proof/"+name)
	w.line(4, "endpoints: [{path: %s, method: POST, callers: [%s]}]", path, HonestNetwork)
	w.line(4, "usage: [{log: %q, pattern: 'verified_with=previous variable=%s client=(?P<who>\\S+)', quiet: %s}]", e.Log("rekey"), name, w.extra.Quiet)
	w.checks(false)
}

// issued: Django and the worker show it to whoever gave it out.
func (w *yaml) issued(name string) {
	e := w.estate
	w.line(5, "django: {variable: %s, proof: {challenge: {urls: [%q]}}}", name, e.URL(Django)+"/rekey/proof/"+name)
	w.line(5, "celery: {variable: %s, proof: {challenge: {command: %s}}}", name, w.celeryProof(name))
	switch name {
	case "EMAIL_HOST_PASSWORD":
		w.line(4, "issuer: {server: %q, username: %s, from: noreply@example.com, to: admin@example.com, ca_file: %q}", e.Mail.Addr(), MailUser, e.Mail.CAFile())
	case "SENTRY_DSN":
		w.line(4, "issuer: {token: {file: %q}}", e.SentryTokenFile())
	case "DATABASE_URL":
		w.line(4, "issuer: {admin: {file: %q}, owner: %s, queries: [%q, %q]}", e.AdminFile(), Owner,
			"SELECT count(*) FROM articles_article", "UPDATE articles_article SET views = views WHERE slug = 'post-1'")
	}
	w.checks(true)
}

func (w *yaml) celeryProof(name string) string {
	return argv(w.estate.Manage("rekey_celery_proof", "--variable", name))
}

// checks is the guide's verification checklist.
func (w *yaml) checks(celery bool) {
	e := w.estate
	w.line(4, "checks:")
	w.line(5, "- {kind: health, name: Django healthcheck returns 200, url: %q}", e.URL(Django)+healthPath)
	if celery {
		w.line(5, "- {kind: celery, name: Celery tasks execute, command: %s}", argv(e.Manage("rekey_celery_check")))
	}
	w.line(5, "- {kind: logs, name: No 401 or 403 in the logs}")
	w.line(5, "- {kind: sentry, name: No errors in Sentry}")
}
