package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
)

const fileLog = "      - {path: /srv/api/logs/access.log, format: access}\n"

// logged is the sound catalogue with other logs.
func logged(t *testing.T, lines string) string {
	t.Helper()
	if !strings.Contains(sound, fileLog) {
		t.Fatal("the sound catalogue has other logs")
	}
	return strings.Replace(sound, fileLog, lines, 1)
}

func TestLogsElsewhere(t *testing.T) {
	t.Parallel()
	cat, err := Parse("rekey.yaml", []byte(logged(t, fileLog+`      - loki: https://loki.example.com/
        selector: '{app="leather-api", env=~"prod.*"}'
        tenant: leather
        user: "12345"
        token: {env: LOKI_TOKEN}
        format: access
      - {loki: "http://loki:3100", selector: '{app="web"}', format: django}
      - {cloudwatch: /leather/api, region: eu-central-1, format: security}
      - {cloudwatch: /leather/web, endpoint: "http://127.0.0.1:4566", format: access}
      - {journal: leather-api.service, format: django}
      - {journal: leather-api, directory: /var/log/journal/remote, format: access}
`)), Under(soundMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := []secret.Log{
		{Path: "/srv/api/logs/access.log", Format: secret.LogAccess},
		{Format: secret.LogAccess, Loki: secret.Loki{
			URL: "https://loki.example.com", Selector: `{app="leather-api", env=~"prod.*"}`, Tenant: "leather", User: "12345", Token: secret.Source{Env: "LOKI_TOKEN"},
		}},
		{Format: secret.LogDjango, Loki: secret.Loki{URL: "http://loki:3100", Selector: `{app="web"}`}},
		{Format: secret.LogSecurity, CloudWatch: secret.CloudWatch{Group: "/leather/api", Region: "eu-central-1"}},
		{Format: secret.LogAccess, CloudWatch: secret.CloudWatch{Group: "/leather/web", Endpoint: "http://127.0.0.1:4566"}},
		{Format: secret.LogDjango, Journal: secret.Journal{Unit: "leather-api.service"}},
		{Format: secret.LogAccess, Journal: secret.Journal{Unit: "leather-api", Directory: "/var/log/journal/remote"}},
	}
	if diff := cmp.Diff(want, cat.Catalogue.Environments[0].Logs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultsOfLogsElsewhere(t *testing.T) {
	t.Parallel()
	const log = "a log of environment production"
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"no place", "{format: access}", []string{log + ` has no "path": write where the log lies; one that is no file is named by loki, cloudwatch or journal`}},
		{"two places", "{path: /srv/api/logs/a.log, journal: api, format: access}", []string{log + " is in two places: path and journal: write one entry for each"}},
		{"two servers", `{loki: "https://l", selector: '{a="b"}', cloudwatch: /a, format: access}`, []string{`"cloudwatch" of ` + log + ` does not belong to loki: the keys here are loki, format, pattern, zone, selector, tenant, user, token`, log + " is in two places: loki and cloudwatch: write one entry for each"}},
		{"no selector", `{loki: "https://l", format: access}`, []string{log + ` has no "selector": write which streams it is: selector: '{app="leather-api"}'`}},
		{"more than a selector", `{loki: "https://l", selector: '{a="b"} |= "c"', format: access}`, []string{`"selector" of ` + log + ` selects no streams: "{a=\"b\"} |= \"c\"": the selector must be label matchers in braces: {app="leather-api", env="production"}`}},
		{"everything", `{loki: "https://l", selector: '{a=~".*"}', format: access}`, []string{`"selector" of ` + log + ` selects no streams: "{a=~\".*\"}": the selector must name at least one label that has a value: {app="leather-api"}`}},
		{"no URL", `{loki: loki, selector: '{a="b"}', format: access}`, []string{`"loki" of ` + log + ` is no http or https URL: "loki": write all of it: https://api.example.com/path/`}},
		{"the API's path", `{loki: "https://l/loki/api/v1/query_range", selector: '{a="b"}', format: access}`, []string{`"loki" of ` + log + ` holds the path of Loki's API, which rekey adds itself: write the address alone: https://l`}},
		{"a token in the clear", `{loki: "http://l:3100", selector: '{a="b"}', token: {env: LOKI_TOKEN}, format: access}`, []string{`"loki" of ` + log + ` would carry tokens and values over plain http: write https://…; http is for this machine only`}},
		{"a token in the file", `{loki: "https://l", selector: '{a="b"}', token: glc_abc, format: access}`, []string{`the key "token" promises a token or a value, and those never stand in this file: name where it is found: token: {env: VAULT_TOKEN} or token: {file: /etc/rekey/token}; Slack's is SLACK_BOT_TOKEN`}},
		{"a user alone", `{loki: "https://l", selector: '{a="b"}', user: x, format: access}`, []string{log + ` has a "user" and no "token", which is its password: write where rekey reads it: token: {env: LOKI_TOKEN}`}},
		{"a group of another form", "{cloudwatch: 'a group', format: access}", []string{`"cloudwatch" of ` + log + ` is no name of a log group: "a group": write its name, such as /leather/api`}},
		{"no region", "{cloudwatch: /a, region: Frankfurt, format: access}", []string{`"region" of ` + log + ` is no region: "Frankfurt": write it as AWS does: us-east-1`}},
		{"a key of another place", "{cloudwatch: /a, selector: x, format: access}", []string{`"selector" of ` + log + ` does not belong to cloudwatch: the keys here are cloudwatch, format, pattern, zone, region, endpoint`}},
		{"a key of no file", "{path: /srv/api/logs/a.log, tenant: x, format: access}", []string{`"tenant" of ` + log + ` does not belong to a file: the keys here are path, format, pattern, zone`}},
		{"an option for a unit", "{journal: --flush, format: access}", []string{`"journal" of ` + log + ` is no name of a unit: "--flush": write it as systemctl does: leather-api.service`}},
		{"an empty unit", "{journal: , format: access}", []string{`"journal" of ` + log + ` is empty: write the unit's name: leather-api.service`}},
		{"twice", "{journal: api, format: access}\n      - {journal: api, format: django}", []string{`the log "journal api" of environment production is written twice: take one out: what it holds would count twice`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := faultsOf(t, logged(t, "      - "+tc.line+"\n"))
			for i, line := range got {
				_, rest, _ := strings.Cut(strings.TrimPrefix(line, "rekey.yaml:"), ": ")
				if !strings.HasPrefix(line, "rekey.yaml:15: ") && !strings.HasPrefix(line, "rekey.yaml:16: ") {
					t.Errorf("blames another line: %s", line)
				}
				got[i] = rest
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
