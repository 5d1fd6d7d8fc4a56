package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"

	"rekey/audit/logs"
	"rekey/commands/secret"
)

// logs reads where evidence is found; zone is the environment's, nil for none.
func (d *document) logs(o *object, where string, zone *time.Location) []secret.Log {
	var out []secret.Log
	seen := map[string]bool{}
	for _, n := range o.list("logs", "a list: - {path: /srv/app/logs/security.log, format: security}") {
		out = append(out, d.log(n, where, zone, seen))
	}
	return out
}

// log reads one entry. seen are the paths of those above it.
func (d *document) log(n ast.Node, where string, zone *time.Location, seen map[string]bool) secret.Log {
	l := d.object(n, n, "a log of "+where, append([]string{"path", "format", "pattern", "zone"}, elsewhereKeys()...)...)
	g, elsewhere := d.elsewhere(l, where, seen)
	g.Path, g.Zone = l.path("path"), zone
	if !elsewhere && l.must("path", "write where the log lies; one that is no file is named by loki, cloudwatch or journal") && g.Path != "" {
		if seen[g.Path] {
			d.fault(l.blame("path"), fmt.Sprintf("the log %s of %s is written twice", shownPath(g.Path), where), "take one out: what it holds would count twice")
		}
		seen[g.Path] = true
		d.logPath(g.Path, l.blame("path"), "path", l.where)
	}
	g.Format, g.Pattern = d.format(l)
	if own := l.zone("zone"); own != nil {
		g.Zone = own
	}
	return g
}

// What servers write into their error logs is read by patterns that rekey knows.
const (
	nginxError  secret.LogFormat = "nginx-error"
	apacheError secret.LogFormat = "apache-error"
)

// format reads how the lines of a log are written. Left out, it is detected.
func (d *document) format(l *object) (secret.LogFormat, string) {
	format := choice(l, "format", secret.LogAuto, secret.LogAuto, secret.LogSecurity, secret.LogDjango, secret.LogAccess, nginxError, apacheError, secret.LogJSON, secret.LogLogfmt, secret.LogPattern)
	switch {
	case l.has("pattern") && l.has("format") && format != secret.LogPattern:
		d.fault(l.blame("pattern"), fmt.Sprintf("%s has a pattern and the format %s", l.where, format), "take one out: a pattern is a format by itself")
		return format, ""
	case l.has("pattern"):
		return secret.LogPattern, d.linePattern(l)
	case format == nginxError:
		return secret.LogPattern, logs.NginxErrors
	case format == apacheError:
		return secret.LogPattern, logs.ApacheErrors
	case format == secret.LogPattern:
		l.must("pattern", `write a regular expression that says what stands where: pattern: '(?P<time>\S+) (?P<addr>\S+) (?P<message>.+)'`)
	}
	return format, ""
}

// linePattern reads the pattern of a log's lines.
func (d *document) linePattern(l *object) string {
	text := l.text("pattern")
	p, err := logs.ParsePattern(text)
	var fault *logs.PatternError
	switch {
	case errors.As(err, &fault):
		d.fault(l.blame("pattern"), fmt.Sprintf(`"pattern" of %s %s`, l.where, fault.Fault), fault.Remedy)
	case err == nil && !p.Has("time"):
		d.fault(l.blame("pattern"), fmt.Sprintf(`"pattern" of %s has no group "time", so none of its lines can be placed in time`, l.where), "name what the time is: (?P<time>…)")
	default:
		return text
	}
	return ""
}
