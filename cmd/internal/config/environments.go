package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekey/commands/secret"
)

// defaultAfterWithin is for how long a rotation in the environment before counts.
const defaultAfterWithin = 14 * day

// longestName bounds the name of a place in a store, in bytes: AWS's own bound.
const longestName = 512

func (d *document) environments(top *object) {
	if !top.must("environments", "name the deployments rekey looks after: environments: {production: …}") {
		return
	}
	envs := top.object("environments", "environments")
	after := map[string]item{}
	for _, e := range envs.entries {
		env, at := d.environment(envs, e)
		d.cat.Environments = append(d.cat.Environments, env)
		if at.text != "" {
			after[e.name] = at
		}
	}
	for _, env := range d.cat.Environments {
		d.after(env.Name, after)
	}
}

// after checks what an environment comes after: one that exists, and in the end none
// that comes after this one.
func (d *document) after(name string, after map[string]item) {
	at, ok := after[name]
	if !ok {
		return
	}
	if env, ok := d.cat.Environment(at.text); !ok || env.Name != at.text {
		d.nowhere(at.node, fmt.Sprintf("environment %s comes after one that does not exist: %s", name, quoted(at.text)), at.text, d.cat.EnvironmentNames())
		return
	}
	if at.text == name {
		d.fault(at.node, fmt.Sprintf("environment %s comes after itself", name), "name the one in which a rotation is tried first, or take out after")
		return
	}
	way := []string{name}
	names := d.cat.EnvironmentNames()
	for next := at.text; next != "" && len(way) <= len(names); next = after[next].text {
		if slices.Index(names, next) < slices.Index(names, name) {
			return // if this is a circle, it was told of an earlier one in it
		}
		way = append(way, next)
		if next == name {
			d.fault(at.node, "environments come after each other in a circle: "+strings.Join(way, " after "), "take out one after, so that there is a first one")
			return
		}
	}
}

// environment also answers what it comes after, as written.
func (d *document) environment(envs *object, e entry) (secret.Environment, item) {
	where := "environment " + e.name
	d.name(e, "environment")
	o := envs.object(e.name, where, "own", "after", "after_within", "sentry", "consumers", "logs")
	env := secret.Environment{Name: e.name, Own: o.prefixes("own"), After: o.text("after")}
	env.AfterWithin = o.span("after_within", defaultAfterWithin, time.Hour, 366*day)
	if env.After == "" {
		env.AfterWithin = 0
		if o.has("after_within") {
			d.fault(o.blame("after_within"), fmt.Sprintf("%s comes after none, so nothing is asked of it", where), "write after: with the environment in which a rotation is tried first, or take out after_within")
		}
	}
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
	return env, item{env.After, o.blame("after")}
}

func (d *document) consumer(consumers *object, e entry) secret.Consumer {
	where := "consumer " + e.name
	d.plainName(e, "consumer")
	o := consumers.object(e.name, where, "env_file", "store", "location", "reload", "reload_timeout", "pid_file", "health", "workers")
	c := secret.Consumer{Name: e.name}
	d.home(o, &c)
	if o.must("reload", "write the command as a list: reload: [systemctl, reload, gunicorn]") {
		c.Reload = d.argv(o, "reload", "[systemctl, reload, gunicorn]")
	}
	c.ReloadTimeout = o.span("reload_timeout", 0, time.Second, 10*time.Minute)
	c.PIDFile = o.path("pid_file") // not looked for: it comes and goes with the service
	c.Health = o.url("health")
	c.Workers = o.count("workers", 10_000)
	return c
}

// home reads where a consumer reads its variables from: an env file, or a place in a
// store.
func (d *document) home(o *object, c *secret.Consumer) {
	switch {
	case o.has("env_file") && (o.has("store") || o.has("location")):
		d.fault(o.blame("env_file"), o.where+" reads from an env file and from a store", "keep env_file, or store with location")
	case o.has("store"):
		d.inStore(o, c)
	case o.has("location"):
		d.fault(o.blame("location"), o.where+` has a "location" and no "store"`, "write store: with the name of one under stores, or env_file: with the path of the file")
	case o.must("env_file", "write the path of the file it reads its variables from"):
		c.Store, c.Location = secret.Dotenv, o.path("env_file")
		if c.Location != "" {
			d.envFile(c.Location, o.blame("env_file"), o.where)
		}
	}
}

var (
	// awsName is an AWS secret's name or ARN.
	awsName = regexp.MustCompile(`^(?:arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?[A-Za-z0-9/_+=.@-]+$`)
	// vaultPath is a path below the mount.
	vaultPath = regexp.MustCompile(`^[^/\s?#%*]+(?:/[^/\s?#%*]+)*$`)
)

func (d *document) inStore(o *object, c *secret.Consumer) {
	name := o.text("store")
	if name == secret.Dotenv {
		d.fault(o.blame("store"), o.where+" names the store "+name+", whose places are files", "write env_file: with the path of the file it reads its variables from")
		return
	}
	kind, ok := d.storeKind(name)
	if !ok && name != "" {
		names := make([]string, len(d.cat.Stores))
		for i, s := range d.cat.Stores {
			names[i] = s.Name
		}
		d.nowhere(o.blame("store"), fmt.Sprintf("%s reads from a store that does not exist: %s", o.where, quoted(name)), name, names)
	}
	c.Store, c.Location = name, o.text("location")
	if !o.must("location", "write where in the store it reads: location: leather-api/production") || c.Location == "" {
		return
	}
	at := o.blame("location")
	switch {
	case kind == secret.AWSSecretsManager && (!awsName.MatchString(c.Location) || len(c.Location) > longestName):
		d.fault(at, fmt.Sprintf(`"location" of %s is no name of an AWS secret: %s`, o.where, quoted(c.Location)), "write its name, such as leather-api/production, or its whole ARN")
	case kind == secret.VaultKV && (!vaultPath.MatchString(c.Location) || strings.Contains("/"+c.Location+"/", "/../")):
		d.fault(at, fmt.Sprintf(`"location" of %s is no path of a Vault secret: %s`, o.where, quoted(c.Location)), "write the path below the mount, without a / at its ends: leather-api/production")
	case kind == secret.VaultKV && strings.HasPrefix(c.Location, d.mountOf(name)+"/data/"):
		d.fault(at, fmt.Sprintf(`"location" of %s begins with the mount and "data", which rekey adds itself`, o.where), "write "+strings.TrimPrefix(c.Location, d.mountOf(name)+"/data/"))
	}
}

func (d *document) logs(o *object, where string) []secret.Log {
	var out []secret.Log
	seen := map[string]bool{}
	for _, n := range o.list("logs", "a list: - {path: /srv/app/logs/security.log, format: security}") {
		l := d.object(n, n, "a log of "+where, append([]string{"path", "format"}, elsewhereKeys()...)...)
		g, elsewhere := d.elsewhere(l, where, seen)
		if g.Path = l.path("path"); !elsewhere && l.must("path", "write where the log lies; one that is no file is named by loki, cloudwatch or journal") && g.Path != "" {
			if seen[g.Path] {
				d.fault(l.blame("path"), fmt.Sprintf("the log %s of %s is written twice", shownPath(g.Path), where), "take one out: what it holds would count twice")
			}
			seen[g.Path] = true
			d.logFile(g.Path, l.blame("path"), "path", l.where)
		}
		l.must("format", "write one of security, django, access")
		g.Format = choice(l, "format", secret.LogAccess, secret.LogSecurity, secret.LogDjango, secret.LogAccess)
		out = append(out, g)
	}
	return out
}
