package config

import (
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// tokens are forms that give a token away, and where it belongs instead.
var tokens = []struct {
	form     *regexp.Regexp
	what     string
	variable string
}{
	{regexp.MustCompile(`^xapp-`), "a Slack app token", "SLACK_APP_TOKEN"},
	{regexp.MustCompile(`^xox[a-z]-`), "a Slack token", "SLACK_BOT_TOKEN"},
	{regexp.MustCompile(`^sntry[su]_`), "a Sentry token", "SENTRY_AUTH_TOKEN"},
	{regexp.MustCompile(`^https?://[0-9a-f]{32}(:[0-9a-f]*)?@`), "a Sentry DSN", "REKEY_SENTRY_DSN"},
	{regexp.MustCompile(`^postgres(ql)?://[^/]*:[^/]*@`), "a database URL with its password", "REKEY_DATABASE_URL"},
	{regexp.MustCompile(`^[0-9a-fA-F]{64}$`), "64 hex digits, which is what a secret or a key looks like,", "REKEY_KEY"},
}

// tokenKeys are names under which people paste tokens, and where those belong.
var tokenKeys = map[string]string{
	"token": "source", "bot_token": "SLACK_BOT_TOKEN", "slack_bot_token": "SLACK_BOT_TOKEN",
	"app_token": "SLACK_APP_TOKEN", "slack_app_token": "SLACK_APP_TOKEN",
	"routing_key": "PAGERDUTY_ROUTING_KEY", "integration_key": "PAGERDUTY_ROUTING_KEY", "pagerduty_routing_key": "PAGERDUTY_ROUTING_KEY",
	"auth_token": "SENTRY_AUTH_TOKEN", "sentry_auth_token": "SENTRY_AUTH_TOKEN", "dsn": "REKEY_SENTRY_DSN", "sentry_dsn": "REKEY_SENTRY_DSN",
	"database_url": "REKEY_DATABASE_URL", "key": "REKEY_KEY", "rekey_key": "REKEY_KEY",
	"password": "-", "passwd": "-", "secret": "-", "secret_value": "-", "value": "-", "api_key": "-", "old_value": "-", "new_value": "-",
}

// tokenKey answers the environment variable for what stands under a key of that
// name, "source" when the file says which it is, "-" when there is none, "" when the
// name promises no token.
func tokenKey(name string) string {
	return tokenKeys[strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(name))]
}

// noTokens notes every token that stands in the file, whatever its key: also where
// the key is unknown and the value would not be read.
func (d *document) noTokens(root ast.Node) {
	ast.Walk(visitor(func(n ast.Node) {
		v, ok := n.(*ast.MappingValueNode)
		if ok {
			d.noTokenKey(v)
		}
		s, ok := scalar(n)
		if !ok {
			return
		}
		for _, t := range tokens {
			if t.form.MatchString(s) {
				where := "set the environment variable " + t.variable + " or " + t.variable + "_FILE"
				if t.variable == "REKEY_DATABASE_URL" {
					where = "name where it is found, as in admin: {env: LEATHER_ADMIN_URL}; rekey's own is " + t.variable
				}
				d.fault(n, t.what+" stands in this file", "take it out, treat it as leaked if the file was shared, and "+where)
				return
			}
		}
	}), root)
}

// tokenEntry reports that an entry's key promises a token and that a text follows,
// or nothing yet. A mapping under such a name is only a name ("DATABASE_URL:").
func (d *document) tokenEntry(v *ast.MappingValueNode) bool {
	if tokenKey(keyText(v.Key)) == "" {
		return false
	}
	n := d.resolve(v.Value)
	_, isText := scalar(n)
	return isText || n == nil || n.Type() == ast.NullType
}

func (d *document) noTokenKey(v *ast.MappingValueNode) {
	if !d.tokenEntry(v) {
		return
	}
	if s, _ := scalar(d.resolve(v.Value)); matchesForm(s) {
		return // said of the text
	}
	hint := "take it out: rekey reads values from the env files it is told of"
	switch variable := tokenKey(keyText(v.Key)); variable {
	case "-":
	case "source":
		hint = "name where it is found: token: {env: VAULT_TOKEN} or token: {file: /etc/rekey/token}; Slack's is SLACK_BOT_TOKEN"
	default:
		hint = "set the environment variable " + variable + " or " + variable + "_FILE"
	}
	d.fault(v.Key, "the key "+quoted(keyText(v.Key))+" promises a token or a value, and those never stand in this file", hint)
}

func matchesForm(s string) bool {
	for _, t := range tokens {
		if t.form.MatchString(s) {
			return true
		}
	}
	return false
}

type visitor func(ast.Node)

func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}
