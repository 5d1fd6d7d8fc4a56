package config

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// checkKinds are the kinds of check, each with its keys and with what it is called
// unless it has a name.
var checkKinds = map[secret.CheckKind]struct {
	keys []string
	name string
}{
	secret.CheckHealth:   {[]string{"url"}, "The health check answers 200"},
	secret.CheckRequest:  {[]string{"request"}, "A signed request is accepted"},
	secret.CheckSMTP:     {[]string{"smtp"}, "A mail can be sent"},
	secret.CheckPostgres: {[]string{"queries"}, "The application's queries work"},
	secret.CheckTask:     {[]string{"command", "timeout"}, "A Celery task is executed"},
	secret.CheckSentry:   {nil, "No new errors in Sentry"},
	secret.CheckLogs:     {nil, "No 401 or 403 in the logs"},
	secret.CheckCommand:  {[]string{"command", "timeout"}, "A command of the owner's ends well"},
}

func (d *document) checks(o *object, s secret.Secret, p secret.Place, env secret.Environment) []secret.Check {
	var out []secret.Check
	for _, n := range o.list("checks", "a list: - {kind: health, url: https://api.example.com/api/healthcheck/}") {
		c := d.check(n, o.where, s, p, env)
		if i := slices.IndexFunc(out, func(other secret.Check) bool { return c.Name != "" && other.Name == c.Name }); i >= 0 {
			d.fault(n, fmt.Sprintf("two checks of %s are called %s", o.where, quoted(c.Name)), "give each a name of its own: name: …")
		}
		out = append(out, c)
	}
	return out
}

func (d *document) check(n ast.Node, place string, s secret.Secret, p secret.Place, env secret.Environment) secret.Check {
	o := d.object(n, n, "a check of "+place, "kind", "name", "within", "every", "url", "request", "smtp", "queries", "command", "timeout")
	c := secret.Check{
		Name: o.text("name"), Within: o.span("within", 0, time.Second, time.Hour), Every: o.span("every", 0, time.Second, 10*time.Minute),
	}
	if !o.must("kind", "write one of health, request, smtp, postgres, celery, sentry, logs, command") {
		return c
	}
	c.Kind = choice[secret.CheckKind](o, "kind", "", secret.CheckHealth, secret.CheckRequest, secret.CheckSMTP, secret.CheckPostgres,
		secret.CheckTask, secret.CheckSentry, secret.CheckLogs, secret.CheckCommand)
	if c.Kind == "" {
		return c
	}
	kind := checkKinds[c.Kind]
	o.only("kind "+string(c.Kind), append([]string{"kind", "name", "within", "every"}, kind.keys...)...)
	if c.Name == "" {
		c.Name = kind.name
	}
	d.checkOf(o, &c, s, p, env)
	return c
}

// checkOf reads what belongs to a check's kind. What the place says already need not
// be said again.
func (d *document) checkOf(o *object, c *secret.Check, s secret.Secret, p secret.Place, env secret.Environment) {
	switch c.Kind {
	case secret.CheckHealth:
		o.must("url", "write the address that answers 200: https://api.example.com/api/healthcheck/")
		c.URL = o.url("url")
	case secret.CheckRequest:
		if c.Request = provenBy(p); o.has("request") || c.Request == nil {
			if o.must("request", "write request: {urls: […], body: …}: no consumer here is proven by exactly one") {
				c.Request = d.signedRequest(o, o.where, s.Procedure)
			}
		}
	case secret.CheckSMTP:
		if c.SMTP = p.Issuer.SMTP; o.has("smtp") || c.SMTP == nil {
			if o.must("smtp", "write the mail server: smtp: {server: smtp.example.com:587, username: leather-api}") {
				c.SMTP = d.smtp(o, "smtp", "smtp of "+o.where)
			}
		}
	case secret.CheckPostgres:
		if c.Postgres = p.Issuer.Postgres; o.has("queries") || c.Postgres == nil {
			c.Postgres = &secret.PostgresIssuer{Queries: o.queries()}
		}
	case secret.CheckTask, secret.CheckCommand:
		o.must("command", "write the command as a list: command: [/srv/leather-api/bin/check]")
		c.Argv = d.argv(o, "command", "[/srv/leather-api/bin/check]")
		c.Timeout = o.span("timeout", 0, time.Second, longestCommand)
	case secret.CheckSentry:
		if env.Name != "" && env.Sentry.Organization == "" {
			d.fault(o.blame("kind"), fmt.Sprintf("%s asks Sentry, and environment %s names no Sentry project", o.where, env.Name), "write sentry: {organization: …, project: …} under the environment")
		}
	case secret.CheckLogs:
		if env.Name != "" && (len(env.Logs) == 0 || len(env.Own) == 0) {
			d.fault(o.blame("kind"), fmt.Sprintf("%s reads the logs for our own addresses, and environment %s names no logs or no addresses", o.where, env.Name), "write logs and own under the environment")
		}
	}
}

// provenBy answers the signed request of the one consumer that has one, nil where
// there are none or several.
func provenBy(p secret.Place) *secret.SignedRequest {
	var found *secret.SignedRequest
	for _, u := range p.Uses {
		if u.Proof.Request == nil {
			continue
		}
		if found != nil {
			return nil
		}
		found = u.Proof.Request
	}
	return found
}

// usage reads what tells who still uses the old value.
func (d *document) usage(o *object, key string) []secret.UsageSource {
	var out []secret.UsageSource
	for _, n := range o.list(key, "a list: - {log: /srv/app/logs/security.log, pattern: verified_with=previous}") {
		u := d.object(n, n, "a "+key+" of "+o.where, "log", "pattern", "metric", "series", "quiet")
		s := secret.UsageSource{Quiet: u.span("quiet", 0, time.Second, 7*day)}
		switch {
		case u.has("log") && u.has("metric"):
			d.fault(u.blame("metric"), u.where+" reads a log and a metric", "write two: each tells by itself")
			continue
		case u.has("metric"):
			u.only("a metric", "metric", "series", "quiet")
			s.Metric, s.Series = u.url("metric"), u.text("series")
			u.must("series", "write the counter with its labels, as the page shows them: leather_verified_total{with=\"previous\"}")
		case u.must("log", "write the log in which its use is told, or metric: with the address of a metrics page"):
			u.only("a log", "log", "pattern", "quiet")
			if s.Log = u.path("log"); s.Log != "" {
				d.logPath(s.Log, u.blame("log"), "log", u.where)
			}
			s.Pattern = u.pattern()
		}
		out = append(out, s)
	}
	return out
}

// pattern answers a regular expression that does not match every line.
func (o *object) pattern() string {
	if !o.must("pattern", "write what a line says that is one use of the old value: verified_with=previous") {
		return ""
	}
	s := o.text("pattern")
	re, err := regexp.Compile(s)
	switch {
	case err != nil:
		o.d.fault(o.blame("pattern"), fmt.Sprintf(`"pattern" of %s is no regular expression of the RE2 kind`, o.where), "write it without look-around and back references, parentheses in pairs, \\ before what is meant as it stands")
	case re.MatchString(""):
		o.d.fault(o.blame("pattern"), fmt.Sprintf(`"pattern" of %s matches every line`, o.where), "write what only a use of the old value says")
	default:
		return s
	}
	return ""
}

// sessions reads the commands for what the values have minted.
func (d *document) sessions(o *object) *secret.Sessions {
	if !o.has("sessions") {
		return nil
	}
	const example = "[/srv/leather-api/manage.py, rekey_sessions, --count]"
	s := o.object("sessions", "sessions of "+o.where, "count", "end", "tidy", "timeout")
	if !s.broken && !s.has("count") && !s.has("end") && !s.has("tidy") {
		d.fault(o.blame("sessions"), s.where+" have no command", "write count, end or tidy: count: "+example)
	}
	return &secret.Sessions{
		Count: d.argv(s, "count", example), End: d.argv(s, "end", example), Tidy: d.argv(s, "tidy", example),
		Timeout: s.span("timeout", 0, time.Second, longestCommand),
	}
}
