package config

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/commands/secret"
)

// roleName is a role that needs no quotes in PostgreSQL, or could be quoted.
var roleName = regexp.MustCompile(`^[^\x00-\x1f"]{1,63}$`)

// issuer reads where a value comes from. Which keys there are is the procedure's.
func (d *document) issuer(o *object, s secret.Secret, env secret.Environment) secret.Issuer {
	var out secret.Issuer
	where := "issuer of " + o.where
	if !s.Procedure.Issued() {
		if o.has("issuer") && s.Procedure != "" {
			d.fault(o.blame("issuer"), fmt.Sprintf("%s has an issuer, and its consumers hold it against each other", o.where), "take it out, or write the procedure that has one, such as postgres-role")
		}
		return out
	}
	if !o.must("issuer", issuerHints[s.Procedure]) {
		return out
	}
	switch s.Procedure {
	case secret.SMTPPassword:
		out.SMTP = d.smtp(o, "issuer", where)
	case secret.PostgresRole:
		out.Postgres = d.postgres(o, where)
	case secret.SentryKey:
		i := o.object("issuer", where, "token")
		out.Sentry = &secret.SentryIssuer{Token: d.source(i, "token", "SENTRY_ADMIN_TOKEN")}
		if env.Name != "" && env.Sentry.Organization == "" {
			d.fault(o.blame("issuer"), fmt.Sprintf("%s is given out by Sentry, and environment %s names no Sentry project", o.where, env.Name), "write sentry: {organization: …, project: …} under the environment")
		}
	case secret.OwnCommands:
		out.Commands = d.commands(o, where)
	}
	return out
}

// issuerHints say what to write, by procedure.
var issuerHints = map[secret.Procedure]string{
	secret.SMTPPassword: "write the mail server: issuer: {server: smtp.example.com:587, username: leather-api}",
	secret.PostgresRole: "write who may make roles: issuer: {admin: {env: LEATHER_ADMIN_URL}}",
	secret.SentryKey:    "write who may make client keys: issuer: {token: {env: SENTRY_ADMIN_TOKEN}}",
	secret.OwnCommands:  "write the commands of its steps: issuer: {set: […], test: […], finish: […], rollback: […]}",
}

// smtp reads a mail server under a key.
func (d *document) smtp(o *object, key, where string) *secret.SMTPIssuer {
	i := o.object(key, where, "server", "tls", "auth", "username", "from", "to", "ca_file")
	s := &secret.SMTPIssuer{
		Addr: i.text("server"), Auth: choice(i, "auth", "", "plain", "login"), Username: i.text("username"),
		From: i.address("from"), To: i.address("to"), CAFile: d.certificates(i),
	}
	i.must("server", "write its host and port: smtp.example.com:587")
	i.must("username", "write the user that the password belongs to")
	host, port, err := net.SplitHostPort(s.Addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if s.Addr != "" && (err != nil || host == "" || strings.ContainsAny(host, "/ @")) {
		d.fault(i.blame("server"), fmt.Sprintf(`"server" of %s is no host with a port: %s`, where, quoted(s.Addr)), "write smtp.example.com:587, or :465 for TLS from the first byte")
	}
	usual := "starttls"
	if port == "465" {
		usual = "implicit"
	}
	s.Implicit = choice(i, "tls", usual, "starttls", "implicit") == "implicit"
	if s.To != "" && s.From == "" && !i.has("from") {
		d.fault(i.blame("to"), where+` has a "to" and no "from"`, "write the address the test mail comes from: from: noreply@example.com")
	}
	return s
}

// address answers a mail address under a key.
func (o *object) address(name string) string {
	s := o.text(name)
	if at := strings.LastIndexByte(s, '@'); s != "" && (at < 1 || at == len(s)-1 || strings.ContainsAny(s, " \t\r\n<>,;")) {
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is no mail address: %s", name, o.where, quoted(s)), "write the address alone: noreply@example.com")
		return ""
	}
	return s
}

func (d *document) postgres(o *object, where string) *secret.PostgresIssuer {
	i := o.object("issuer", where, "admin", "queries", "owner")
	p := &secret.PostgresIssuer{Admin: d.source(i, "admin", "LEATHER_ADMIN_URL"), Queries: i.queries(), Owner: i.text("owner")}
	if p.Owner != "" && !roleName.MatchString(p.Owner) {
		d.fault(i.blame("owner"), fmt.Sprintf(`"owner" of %s is no name of a role: %s`, where, quoted(p.Owner)), "write the group role that owns the application's objects")
	}
	return p
}

func (o *object) queries() []string {
	var out []string
	for _, i := range o.texts("queries") {
		out = append(out, i.text)
	}
	return out
}

// commands reads the owner's argument lists. What lacks a way to be proven or a way
// back is told here, because in the middle of a rotation it is too late.
func (d *document) commands(o *object, where string) *secret.CommandIssuer {
	i := o.object("issuer", where, "check", "create", "set", "test", "retire", "revive", "finish", "rollback", "timeout")
	list := func(name string) []string { return d.argv(i, name, "[/usr/local/bin/token-tool, "+name+"]") }
	c := &secret.CommandIssuer{
		Check: list("check"), Create: list("create"), Set: list("set"), Test: list("test"), Retire: list("retire"),
		Revive: list("revive"), Finish: list("finish"), Rollback: list("rollback"),
		Timeout: i.span("timeout", 0, time.Second, longestCommand),
	}
	i.must("test", "write the command that tries a value: without it nothing is ever proven")
	if i.has("create") || i.has("set") {
		i.must("rollback", "write the command that makes the new value invalid: it is the way back of create and set")
	}
	if !i.broken && !i.has("retire") && !i.has("finish") {
		d.fault(o.blame("issuer"), where+" never ends the old value", "write finish, the command that removes it, or retire")
	}
	if i.has("revive") && !i.has("retire") {
		d.fault(i.blame("revive"), where+` has a "revive" and no "retire" that it could take back`, "write retire, or take out revive")
	}
	return c
}
