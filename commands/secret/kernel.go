package secret

import (
	"net/url"
	"strings"
)

// kernels answers the parts of a value that must not be seen: all of it, or, where the
// value is a URL with credentials (DATABASE_URL, a Sentry DSN), the credentials alone.
// Host and database name are in honest messages, too, and hiding those would make
// messages useless while hiding nothing.
func kernels(v string) []string {
	scheme, rest, ok := strings.Cut(v, "://")
	if !ok || scheme == "" || strings.ContainsAny(scheme, " \t\n/") {
		return []string{v}
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	var parts []string
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, has := strings.Cut(authority[:at], ":")
		if !has {
			password = user // a Sentry DSN's key stands where the user does
		}
		parts = append(parts, password)
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		query, _, _ := strings.Cut(rest[i+1:], "#")
		for _, pair := range strings.Split(query, "&") {
			if name, value, _ := strings.Cut(pair, "="); strings.Contains(strings.ToLower(name), "password") {
				parts = append(parts, value)
			}
		}
	}
	var out []string
	for _, p := range parts {
		if len(p) < MinFingerprint {
			continue
		}
		out = append(out, p)
		if plain, err := url.PathUnescape(p); err == nil && plain != p && len(plain) >= MinFingerprint {
			out = append(out, plain)
		}
	}
	if len(out) == 0 { // nothing in it tells what is secret
		return []string{v}
	}
	return out
}
