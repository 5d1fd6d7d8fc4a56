package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"rekey/audit/logs/cloudwatch"
	"rekey/audit/logs/journal"
	"rekey/audit/logs/loki"
	"rekey/commands/secret"
)

// elsewhereKinds are the keys that say that a log is no file, each with those that belong to
// it besides format.
var elsewhereKinds = []struct {
	name string
	keys []string
}{
	{"loki", []string{"selector", "tenant", "user", "token"}},
	{"cloudwatch", []string{"region", "endpoint"}},
	{"journal", []string{"directory"}},
}

// elsewhereKeys are all keys of logs that are no files.
func elsewhereKeys() []string {
	var list []string
	for _, k := range elsewhereKinds {
		list = append(append(list, k.name), k.keys...)
	}
	return list
}

// elsewhere reads a log that is no file; not ok means that it is one. seen are the logs read
// before: one that is read twice counts twice.
func (d *document) elsewhere(l *object, where string, seen map[string]bool) (g secret.Log, ok bool) {
	kind := "path"
	for _, k := range elsewhereKinds {
		if _, there := l.find(k.name); !there {
			continue
		}
		if _, there := l.find("path"); there || ok {
			d.fault(l.blame(k.name), fmt.Sprintf("%s is in two places: %s and %s", l.where, kind, k.name), "write one entry for each")
			return secret.Log{}, true
		}
		kind, ok = k.name, true
		if l.must(k.name, map[string]string{
			"loki": "write Loki's address: https://loki.example.com", "cloudwatch": "write the log group's name: /leather/api",
			"journal": "write the unit's name: leather-api.service",
		}[k.name]) {
			l.only(k.name, slices.Concat([]string{k.name, "format", "pattern", "zone"}, k.keys)...)
		}
	}
	switch kind {
	case "path":
		l.only("a file", "path", "format", "pattern", "zone")
		return g, false
	case "loki":
		g.Loki = d.loki(l)
	case "cloudwatch":
		g.CloudWatch = d.cloudwatch(l)
	case "journal":
		g.Journal = d.journal(l)
	}
	place := fmt.Sprintln(g.Loki.URL, g.Loki.Tenant, g.Loki.Selector, g.CloudWatch, g.Journal)
	if seen[place] {
		d.fault(l.blame(kind), fmt.Sprintf("the log %s of %s is written twice", quoted(g.Name()), where), "take one out: what it holds would count twice")
	}
	seen[place] = true
	return g, true
}

func (d *document) loki(l *object) secret.Loki {
	w := secret.Loki{URL: strings.TrimRight(l.url("loki"), "/"), Selector: l.text("selector"), Tenant: l.text("tenant"), User: l.text("user")}
	if u, err := url.Parse(w.URL); err == nil && w.URL != "" && strings.Contains(u.Path+"/", "/loki/api/") {
		d.fault(l.blame("loki"), fmt.Sprintf(`"loki" of %s holds the path of Loki's API, which rekey adds itself`, l.where), "write the address alone: "+u.Scheme+"://"+u.Host)
	}
	if l.must("selector", `write which streams it is: selector: '{app="leather-api"}'`) && w.Selector != "" {
		if err := loki.CheckSelector(w.Selector); err != nil {
			d.fault(l.blame("selector"), fmt.Sprintf(`"selector" of %s selects no streams: %s`, l.where, quoted(w.Selector)), err.Error())
		}
	}
	if l.has("token") {
		w.URL = d.tokenURL(l, "loki")
		w.Token = d.source(l, "token", "LOKI_TOKEN")
	}
	if w.User != "" && !l.has("token") {
		d.fault(l.blame("user"), fmt.Sprintf(`%s has a "user" and no "token", which is its password`, l.where), "write where rekey reads it: token: {env: LOKI_TOKEN}")
	}
	return w
}

func (d *document) cloudwatch(l *object) secret.CloudWatch {
	w := secret.CloudWatch{Group: l.text("cloudwatch"), Region: l.text("region"), Endpoint: d.tokenURL(l, "endpoint")}
	if w.Group != "" && !cloudwatch.ValidGroup(w.Group) {
		d.fault(l.blame("cloudwatch"), fmt.Sprintf(`"cloudwatch" of %s is no name of a log group: %s`, l.where, quoted(w.Group)), "write its name, such as /leather/api")
	}
	d.region(l, w.Region)
	return w
}

func (d *document) journal(l *object) secret.Journal {
	w := secret.Journal{Unit: l.text("journal"), Directory: l.path("directory")}
	if w.Unit != "" && !journal.ValidUnit(w.Unit) {
		d.fault(l.blame("journal"), fmt.Sprintf(`"journal" of %s is no name of a unit: %s`, l.where, quoted(w.Unit)), "write it as systemctl does: leather-api.service")
	}
	return w
}
