package estatetest

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Extra is what a catalogue says beyond the estate itself.
type Extra struct {
	// Top is YAML that goes in at the top level: slack, pagerduty, access, contacts.
	Top string
	// SentryURL, with Organization and Project, adds Sentry to the environment; "" for
	// none.
	SentryURL, SentryOrganization, SentryProject string
	// Overlap of both secrets; 0 means 24 h.
	Overlap time.Duration
	// Usage lets rekey see who still uses an old value.
	Usage bool
	// Hosts are more addresses of api and web each to be asked, by service: extra URLs
	// beside the one the estate has, for a consumer of several instances.
	Hosts map[string][]string
}

// Catalogue answers a rekey.yaml for the estate: one environment, production, and the
// two HMAC secrets.
func (e *Estate) Catalogue(x Extra) string {
	if x.Overlap == 0 {
		x.Overlap = 24 * time.Hour
	}
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	add("version: 1")
	if x.Top != "" {
		add("%s", strings.TrimRight(x.Top, "\n"))
	}
	add("environments:\n  production:\n    own: [127.0.0.0/8]")
	if x.SentryURL != "" {
		add("    sentry:\n      url: %q\n      organization: %q\n      project: %q", x.SentryURL, x.SentryOrganization, x.SentryProject)
	}
	add("    consumers:")
	for _, service := range []string{API, Web} {
		quoted := make([]string, 0, 3)
		for _, arg := range e.Reload(service) {
			quoted = append(quoted, fmt.Sprintf("%q", arg))
		}
		add("      %s:\n        env_file: %q\n        reload: [%s]\n        reload_timeout: 30s\n        health: %q\n        workers: %d",
			service, e.EnvFile(service), strings.Join(quoted, ", "), e.URL(service)+healthPath, e.procs[service].spec.Workers)
	}
	add("    logs:")
	for _, format := range []string{"security", "django", "access"} {
		add("      - {path: %q, format: %s}", e.Log(format), format)
	}
	add("secrets:")
	e.secret(add, x, "REVALIDATE_SECRET", "Next.js ISR webhook", "ISR temporarily broken", "/api/revalidate/", `{"slugs":["test"]}`)
	e.secret(add, x, "ANALYTICS_SECRET", "View tracking HMAC", "Tracking temporarily broken", "/api/track-view/", `{"slug":"test"}`)
	return b.String()
}

func (e *Estate) secret(add func(string, ...any), x Extra, name, purpose, impact, path, body string) {
	urls := func(service, path string) string {
		all := []string{fmt.Sprintf("%q", e.URL(service)+path)}
		for _, host := range x.Hosts[service] {
			all = append(all, fmt.Sprintf("%q", host+path))
		}
		return strings.Join(all, ", ")
	}
	add("  %s:\n    purpose: %s\n    impact: %s\n    owner: DevOps\n    rotate_every: 90d\n    risk: medium", name, purpose, impact)
	add("    procedure: hmac-overlap\n    generator: hex32\n    overlap: %s", x.Overlap)
	add("    in:\n      production:\n        consumers:")
	add("          api:\n            variable: %s\n            previous: %s_OLD\n            role: accepts", name, name)
	add("            proof:\n              request:\n                urls: [%s]\n                method: POST\n                body: '%s'\n                header: X-Signature\n                content_type: application/json",
		urls(API, path), body)
	add("          web:\n            variable: %s\n            role: signs\n            proof:\n              challenge:\n                urls: [%s]",
		name, urls(Web, proofPath+"?variable="+name))
	if x.Usage {
		add("        usage: [{log: %q, pattern: 'verified_with=previous variable=%s client=(?P<who>\\S+)'}]", e.Log("rekey"), name)
	}
	add("        endpoints:\n          - {path: %s, method: POST, callers: [%s]}", path, HonestNetwork)
}

// Dir is the folder everything of the estate is in.
func (e *Estate) Dir() string { return filepath.Clean(e.cfg.Dir) }
