package secret

import (
	"regexp"
	"strings"
)

// masked stands where a token was.
const masked = "[masked]"

// Tokens that are recognised by their shape alone. What a group keeps is shown.
var shapes = []*regexp.Regexp{
	// A private key, with or without its end.
	regexp.MustCompile(`(?s)()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`),
	// The password in a URL.
	regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://[^\s:/?#@]*:)[^\s/?#]+(?:@)`),
	// A JSON Web Token.
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`),
	// Slack, GitHub, GitLab, Stripe, Sentry, SendGrid, AWS.
	regexp.MustCompile(`()\b(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-|[sr]k_(?:live|test)_|whsec_|sntry[su]_|SG\.|django-insecure-)[^\s"'<>]{8,}`),
	regexp.MustCompile(`()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`),
}

// assigned is a value that its own name calls secret: PASSWORD=…, "token": "…".
var assigned = regexp.MustCompile(`(?i)\b([a-z0-9_.-]*(?:secret|password|passwd|token|api_?key|secret_?key|private_?key)[a-z0-9_.-]*["']?\s*(?:=|:\s?["'])\s*["']?)([^\s"'&,;<>]{8,})`)

// uuid is an id: long and random, and no secret by itself.
var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

var (
	candidate = regexp.MustCompile(`[A-Za-z0-9+/_-]{32,}={0,2}`)
	alnum     = regexp.MustCompile(`[A-Za-z0-9]{32,}`)
	symbolic  = regexp.MustCompile(`[A-Za-z0-9!@#$%^&*(_=+)-]{40,}`)
	hexadec   = regexp.MustCompile(`[0-9a-fA-F]{32,}`)
)

// MaskTokens answers s with what looks like a pasted secret replaced by [masked]:
// hex of 32 digits or more, base64 and alike of 32 characters or more, Django keys,
// private keys, passwords in URLs or behind a name that says so, and the tokens of
// well-known vendors. Words, paths, host names and UUIDs stay. It is a net under
// people's habits, not a guard: for values rekey knows there is Guard.
func MaskTokens(s string) string {
	if len(s) < 8 {
		return s
	}
	for _, r := range shapes {
		s = r.ReplaceAllStringFunc(s, func(m string) string {
			kept := r.FindStringSubmatch(m)[1]
			if strings.HasSuffix(m, "@") && kept != "" {
				return kept + masked + "@"
			}
			return kept + masked
		})
	}
	s = assigned.ReplaceAllString(s, "${1}"+masked)
	s = symbolic.ReplaceAllStringFunc(s, func(m string) string { return maskIf(m, djangolike(m)) })
	s = candidate.ReplaceAllStringFunc(s, func(m string) string {
		if uuid.MatchString(m) {
			return m
		}
		if randomLooking(m) {
			return masked
		}
		return alnum.ReplaceAllStringFunc(m, func(w string) string { return maskIf(w, randomLooking(w)) })
	})
	return hexadec.ReplaceAllString(s, masked)
}

func maskIf(s string, secret bool) string {
	if secret {
		return masked
	}
	return s
}

// kind is a character's class; separators belong to whatever they stand between.
func kind(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return 1
	case c >= 'A' && c <= 'Z':
		return 2
	case c >= '0' && c <= '9':
		return 3
	case strings.IndexByte("+/_-", c) >= 0:
		return 0
	}
	return 4
}

// mixture answers how often the class of characters changes from one to the next,
// as a share of all pairs: about two in three in random base64, two in five in
// random lower-case letters and digits, and rarely in words, paths and dates.
func mixture(s string, of func(byte) int) (share float64, pairs int, seen [5]int) {
	changes, last := 0, 0
	for i := range len(s) {
		k := of(s[i])
		if k == 0 {
			continue
		}
		seen[k]++
		if last != 0 {
			pairs++
			if k != last {
				changes++
			}
		}
		last = k
	}
	return float64(changes) / float64(max(1, pairs)), pairs, seen
}

func randomLooking(s string) bool {
	share, pairs, seen := mixture(s, kind)
	switch {
	case pairs < 24 || seen[3] == 0 && (seen[1] == 0 || seen[2] == 0):
		return false
	case seen[1] > 0 && seen[2] > 0:
		return share > 0.3
	}
	return share > 0.22
}

// djangolike asks for the mixture of symbols that only a generator writes; a query
// string has as many symbols, but words between them.
func djangolike(s string) bool {
	symbols := map[byte]bool{}
	for i := range len(s) {
		if strings.IndexByte("!@#$%^&*(-_=+)", s[i]) >= 0 {
			symbols[s[i]] = true
		}
	}
	share, _, _ := mixture(s, func(c byte) int {
		if k := kind(c); k != 0 {
			return k
		}
		return 4
	})
	return len(symbols) >= 3 && share > 0.25
}
