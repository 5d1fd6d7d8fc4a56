package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"rekey/commands/policy"
	"rekey/commands/secret"
)

var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
	channelID = regexp.MustCompile(`^[CG][A-Z0-9]{2,}$`)
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
)

// read reads the whole document.
func (d *document) read(data []byte) *secret.Catalogue {
	cat := &secret.Catalogue{}
	d.uses, d.anchors = map[string]string{}, map[string]ast.Node{}
	body := d.parse(data)
	if body == nil {
		return cat
	}
	d.noTokens(body)
	top := d.object(d.resolve(body), body, "the file", "version", "slack", "pagerduty", "access", "contacts", "environments", "secrets")
	d.version(top)
	d.slack(top, cat)
	d.access(top, cat)
	d.contacts(top, cat)
	if top.must("environments", "name the deployments rekey looks after: environments: {production: …}") {
		envs := top.object("environments", "environments")
		for _, e := range envs.entries {
			cat.Environments = append(cat.Environments, d.environment(envs, e))
		}
	}
	if top.must("secrets", "name the secrets rekey looks after: secrets: {REVALIDATE_SECRET: …}") {
		secrets := top.object("secrets", "secrets")
		for _, e := range secrets.entries {
			cat.Secrets = append(cat.Secrets, d.secret(secrets, e, cat))
		}
	}
	return cat
}

// parse answers the one document in data, nil when there is none to read.
func (d *document) parse(data []byte) ast.Node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var e yaml.Error
		f := Fault{File: d.shown, Message: "this is not YAML", Hint: "look for a missing colon, a wrong indent or an open quote in this line or the one above"}
		if errors.As(err, &e) {
			f.Message += " (" + e.GetMessage() + ")"
			if tk := e.GetToken(); tk != nil && tk.Position != nil {
				f.Line, f.Column = tk.Position.Line, tk.Position.Column
			}
		}
		d.faults = append(d.faults, f)
		return nil
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			docs = append(docs, doc.Body)
		}
	}
	switch len(docs) {
	case 0:
		d.faults = append(d.faults, Fault{File: d.shown, Line: 1, Message: "the file is empty", Hint: "begin with the example in deploy/examples/rekey.yaml"})
		return nil
	case 1:
	default:
		d.fault(docs[1], "the file holds a second document", "keep everything in one, without a line of ---")
	}
	ast.Walk(visitor(func(n ast.Node) {
		if a, ok := n.(*ast.AnchorNode); ok {
			d.anchors[a.Name.GetToken().Value] = a.Value
		}
	}), docs[0])
	return docs[0]
}

func (d *document) version(top *object) {
	if !top.must("version", "write version: 1 in the first line") {
		return
	}
	if n := top.count("version", 1<<30); n != 1 {
		d.fault(top.blame("version"), "this version of the file is not known to this rekey", "write version: 1")
	}
}

func (d *document) slack(top *object, cat *secret.Catalogue) {
	o := top.object("slack", "slack", "channel")
	if s := o.text("channel"); s != "" {
		if !channelID.MatchString(s) {
			d.fault(o.blame("channel"), `"channel" of slack is no channel id: `+quoted(s), "write the id that Slack shows at the end of the channel's details, such as C012AB3CD")
		}
		cat.Slack.Channel = s
	} else if top.has("slack") {
		o.must("channel", "write the id of the channel that is told, such as C012AB3CD")
	}
	p := top.object("pagerduty", "pagerduty", "enabled", "source")
	cat.PagerDuty = secret.PagerDuty{Enabled: p.boolean("enabled"), Source: p.text("source")}
	if cat.PagerDuty.Enabled {
		p.must("source", "write what on-call shall read as the source, such as leather-api")
	}
}

func (d *document) access(top *object, cat *secret.Catalogue) {
	if !top.must("access", "write who may rotate: access: {responders: [U012AB3CD], cli: [root]}") {
		return
	}
	o := top.object("access", "access", "responders", "readers", "channels", "cli")
	ids := func(name string, form *regexp.Regexp, also, hint string) []string {
		var out []string
		for _, i := range o.texts(name) {
			switch {
			case !form.MatchString(i.text) && i.text != also:
				d.fault(i.node, fmt.Sprintf("%s in %q of access is no id", quoted(i.text), name), hint)
			case slices.Contains(out, i.text):
				d.fault(i.node, fmt.Sprintf("%s stands twice in %q of access", quoted(i.text), name), "take one out")
			default:
				out = append(out, i.text)
			}
		}
		return out
	}
	const member = "write the member id that Slack shows in the person's profile under the three dots, such as U012AB3CD"
	cat.Access = secret.Access{
		Responders: ids("responders", userID, "", member),
		Readers:    ids("readers", userID, "", member),
		Channels:   ids("channels", channelID, policy.Direct, "write a channel id such as C012AB3CD, or "+policy.Direct+" for direct messages"),
		CLI:        ids("cli", regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*\$?$`), "", "write the name of a user of this machine"),
	}
	if !o.broken && !o.has("responders") && !o.has("cli") {
		d.fault(o.at, "nobody may rotate a secret", "write responders (Slack member ids) or cli (users of this machine) under access")
	}
}

func (d *document) contacts(top *object, cat *secret.Catalogue) {
	for _, n := range top.list("contacts", "a list: - {name: On-call, phone: …}") {
		o := d.object(n, n, "a contact", "name", "slack", "email", "phone")
		o.must("name", "write who this is")
		c := secret.Contact{Name: o.text("name"), Slack: o.text("slack"), Email: o.text("email"), Phone: o.text("phone")}
		if c.Slack == "" && c.Email == "" && c.Phone == "" {
			d.fault(n, "a contact has no way to reach it", "write slack, email or phone")
		}
		if at := strings.IndexByte(c.Email, '@'); c.Email != "" && (at < 1 || at == len(c.Email)-1) {
			d.fault(o.blame("email"), "the email of a contact is no address: "+quoted(c.Email), "write devops@example.com")
		}
		cat.Contacts = append(cat.Contacts, c)
	}
}

func (d *document) environment(envs *object, e entry) secret.Environment {
	where := "environment " + e.name
	d.name(e, "environment")
	o := envs.object(e.name, where, "own", "sentry", "consumers", "logs")
	env := secret.Environment{Name: e.name, Own: o.prefixes("own")}
	if o.has("sentry") {
		s := o.object("sentry", "sentry of "+where, "url", "organization", "project")
		env.Sentry = secret.Sentry{URL: s.url("url"), Organization: s.text("organization"), Project: s.text("project")}
		if !s.has("url") {
			env.Sentry.URL = "https://sentry.io"
		}
		env.Sentry.URL = strings.TrimRight(env.Sentry.URL, "/")
		s.must("organization", "write the slug that stands in Sentry's own URLs")
		s.must("project", "write the slug that stands in Sentry's own URLs")
	}
	consumers := o.object("consumers", "consumers of "+where)
	for _, c := range consumers.entries {
		env.Consumers = append(env.Consumers, d.consumer(consumers, c))
	}
	env.Logs = d.logs(o, where)
	return env
}

func (d *document) consumer(consumers *object, e entry) secret.Consumer {
	where := "consumer " + e.name
	d.name(e, "consumer")
	o := consumers.object(e.name, where, "env_file", "reload", "reload_timeout", "health", "workers")
	c := secret.Consumer{Name: e.name, EnvFile: o.path("env_file")}
	if o.must("env_file", "write the path of the file it reads its variables from") && c.EnvFile != "" {
		d.envFile(c.EnvFile, o.blame("env_file"), where)
	}
	c.Reload = d.reload(o, where)
	c.ReloadTimeout = o.span("reload_timeout", 0, time.Second, 10*time.Minute)
	c.Health = o.url("health")
	c.Workers = o.count("workers", 10_000)
	return c
}

// reload reads an argument list. A shell string is refused because quoting and
// substitution would run with rekey's rights.
func (d *document) reload(o *object, where string) []string {
	if !o.must("reload", "write the command as a list: reload: [systemctl, reload, gunicorn]") {
		return nil
	}
	at := o.blame("reload")
	if s, ok := scalar(at); ok {
		d.fault(at, fmt.Sprintf("%q of %s is a shell string, and rekey uses no shell", "reload", where), "write the list: reload: ["+strings.Join(strings.Fields(s), ", ")+"]")
		return nil
	}
	var argv []string
	items := o.texts("reload")
	for _, i := range items {
		argv = append(argv, i.text)
	}
	switch {
	case len(argv) == 0:
		if _, ok := at.(*ast.SequenceNode); ok {
			d.fault(at, fmt.Sprintf("%q of %s is an empty list", "reload", where), "write the command and its arguments: [systemctl, reload, gunicorn]")
		}
	case len(argv) == 1 && len(strings.Fields(argv[0])) > 1 && !strings.HasPrefix(argv[0], "/"):
		d.fault(items[0].node, fmt.Sprintf("%q of %s is one text with spaces, which is the name of no program", "reload", where), "write each word as an element: ["+strings.Join(strings.Fields(argv[0]), ", ")+"]")
	case strings.HasPrefix(argv[0], "/"):
		d.command(argv[0], items[0].node, where)
	case strings.Contains(argv[0], "/"):
		d.fault(items[0].node, fmt.Sprintf("the reload command of %s is a relative path: %s", where, quoted(argv[0])), "write the whole path from /, or the bare name of a program")
	}
	return argv
}

func (d *document) logs(o *object, where string) []secret.Log {
	var out []secret.Log
	seen := map[string]bool{}
	for _, n := range o.list("logs", "a list: - {path: /srv/app/logs/security.log, format: security}") {
		l := d.object(n, n, "a log of "+where, "path", "format")
		g := secret.Log{Path: l.path("path")}
		if l.must("path", "write where the log lies") && g.Path != "" {
			if seen[g.Path] {
				d.fault(l.blame("path"), fmt.Sprintf("the log %s of %s is written twice", shownPath(g.Path), where), "take one out: what it holds would count twice")
			}
			seen[g.Path] = true
			d.logFile(g.Path, l.blame("path"), where)
		}
		l.must("format", "write one of security, django, access")
		g.Format = choice(l, "format", secret.LogAccess, secret.LogSecurity, secret.LogDjango, secret.LogAccess)
		out = append(out, g)
	}
	return out
}

// name checks a name of the writer's own.
func (d *document) name(e entry, what string) {
	if !plainName.MatchString(e.name) {
		d.fault(e.key, fmt.Sprintf("%s is no name for a %s", quoted(e.name), what), "use letters, digits, and _ . - inside, at most 64 in all")
	}
}
