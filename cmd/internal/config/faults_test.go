package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sound is the smallest catalogue with something to rotate.
const sound = `version: 1
slack: {channel: C012AB3CD}
access: {responders: [U012AB3CD], cli: [root]}
environments:
  production:
    own: [127.0.0.1]
    consumers:
      api:
        env_file: /srv/api/.env
        reload: [systemctl, reload, api]
      web:
        env_file: /srv/web/.env
        reload: [systemctl, reload, web]
    logs:
      - {path: /srv/api/logs/access.log, format: access}
secrets:
  HOOK_SECRET:
    purpose: webhook
    owner: DevOps
    procedure: hmac-overlap
    in:
      production:
        consumers:
          api:
            variable: HOOK_SECRET
            previous: HOOK_SECRET_OLD
            role: accepts
            proof:
              request: {urls: [https://api.example.com/hook/], body: '{}'}
          web:
            variable: HOOK_SECRET
            role: signs
            proof: {challenge: {urls: [https://www.example.com/proof]}}
        endpoints:
          - {path: /hook/, method: POST, callers: [10.0.0.0/8]}
`

func soundMachine(t testing.TB) string {
	return machine(t, "/srv/api/.env", "/srv/web/.env", "/srv/api/logs/")
}

func faultsOf(t testing.TB, yaml string) []string {
	t.Helper()
	_, err := Parse("/etc/rekey/rekey.yaml", []byte(yaml), Under(soundMachine(t)))
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestSoundCatalogue(t *testing.T) {
	t.Parallel()
	c, err := Parse("rekey.yaml", []byte(sound), Under(soundMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.Catalogue.Place("hook_secret", "")
	if !ok || len(p.Uses) != 2 || p.Uses[0].Proof.Request.Header != "X-Signature" || p.Uses[0].Proof.Request.Method != "POST" {
		t.Errorf("%+v", p)
	}
}

func TestEachFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		old, new string // in sound
		want     []string
	}{
		{
			"unknown key", "reload: [systemctl, reload, api]", "relod: [systemctl, reload, api]",
			[]string{
				`rekey.yaml:8: consumer api has no "reload": write the command as a list: reload: [systemctl, reload, gunicorn]`,
				`rekey.yaml:10: unknown key "relod" in consumer api: write "reload"`,
			},
		},
		{
			"unknown key with nothing near", "owner: DevOps", "owner: DevOps\n    zzz: 1",
			[]string{`rekey.yaml:20: unknown key "zzz" in secret HOOK_SECRET: the keys here are purpose, impact, owner, rotate_every, last_rotated, risk, procedure, instructions, generator, overlap, confirm, automatic, after, in`},
		},
		{"key twice", "    owner: DevOps", "    owner: DevOps\n    owner: DBA", []string{`rekey.yaml:20: "owner" is written twice in secret HOOK_SECRET, first in line 19: keep one of the two`}},
		{"names that differ in case", "      web:\n        env_file", "      API: {env_file: /srv/web/.env, reload: [x]}\n      web:\n        env_file", []string{`rekey.yaml:11: "API" differs from "api" in consumers of environment production in case alone: give it a name of its own`}},
		{
			"reload as a shell string", "reload: [systemctl, reload, api]", "reload: systemctl reload api",
			[]string{`rekey.yaml:10: "reload" of consumer api is a shell string, and rekey uses no shell: write the list: reload: [systemctl, reload, api]`},
		},
		{
			"reload as one text in a list", "reload: [systemctl, reload, api]", "reload: [systemctl reload api]",
			[]string{`rekey.yaml:10: "reload" of consumer api is one text with spaces, which is the name of no program: write each word as an element: [systemctl, reload, api]`},
		},
		{"reload empty", "reload: [systemctl, reload, api]", "reload: []", []string{`rekey.yaml:10: "reload" of consumer api is an empty list: write the command and its arguments: [systemctl, reload, gunicorn]`}},
		{"reload not there", "reload: [systemctl, reload, api]", "reload: [/usr/bin/nothing, api]", []string{`rekey.yaml:10: the reload command "/usr/bin/nothing" of consumer api does not exist: write the path of a program on this machine`}},
		{"reload relative", "reload: [systemctl, reload, api]", "reload: [bin/reload]", []string{`rekey.yaml:10: the reload command of consumer api is a relative path: "bin/reload": write the whole path from /, or the bare name of a program`}},
		{
			"reference to nothing", "          web:\n            variable", "          wbe:\n            variable",
			[]string{`rekey.yaml:30: secret HOOK_SECRET in production uses a consumer that does not exist in production: "wbe": write "web"`},
		},
		{"environment of nothing", "    in:\n      production:", "    in:\n      staging:", []string{`rekey.yaml:22: secret HOOK_SECRET is in an environment that does not exist: "staging": write one of production, or define it first`}},
		{"env file missing", "/srv/web/.env", "/srv/www/.env", []string{`rekey.yaml:12: "env_file" of consumer web: the file "/srv/www/.env" does not exist: create it, or write the path of the file the service reads`}},
		{"env file relative", "/srv/web/.env", "web/.env", []string{`rekey.yaml:12: "env_file" of consumer web is a relative path: "web/.env": write the whole path from /, so that it does not depend on where rekey is started`}},
		{"env file at home", "/srv/web/.env", "~/.env", []string{`rekey.yaml:12: "env_file" of consumer web begins with ~, which is nobody's home here: write the whole path from /`}},
		{"env file is a folder", "/srv/web/.env", "/srv/api/logs", []string{`rekey.yaml:12: "env_file" of consumer web: "/srv/api/logs" is no ordinary file: create it, or write the path of the file the service reads`}},
		{"log folder missing", "/srv/api/logs/access.log", "/var/nowhere/access.log", []string{`rekey.yaml:15: the folder "/var/nowhere" of a log of environment production does not exist: create it, or write where the service logs to`}},
		{"folder of a pattern missing", "/srv/api/logs/access.log", "/var/nowhere/**/*.log", []string{`rekey.yaml:15: the folder "/var/nowhere" of a log of environment production does not exist: create it, or write where the services log to`}},
		{"pattern of logs not whole", "/srv/api/logs/access.log, format", "'/srv/api/logs/{access,error.log', format", []string{`rekey.yaml:15: the pattern "/srv/api/logs/{access,error.log" of a log of environment production is not whole: close every [ and {, or write a \ before one that is meant as it stands`}},
		{"log format", "format: access}", "format: acces}", []string{`rekey.yaml:15: "format" of a log of environment production cannot be "acces": write "access"`}},
		{"no such log format", "format: access}", "format: csv}", []string{`rekey.yaml:15: "format" of a log of environment production cannot be "csv": write one of auto, security, django, access, nginx-error, apache-error, json, logfmt, pattern`}},
		{"pattern beside a format", "format: access}", "format: json, pattern: '(?P<time>.+) (?P<message>.+)'}", []string{`rekey.yaml:15: a log of environment production has a pattern and the format json: take one out: a pattern is a format by itself`}},
		{"format without its pattern", "format: access}", "format: pattern}", []string{"rekey.yaml:15: a log of environment production has no \"pattern\": write a regular expression that says what stands where: pattern: '(?P<time>\\S+) (?P<addr>\\S+) (?P<message>.+)'"}},
		{"pattern that is none", "format: access}", "pattern: '(?P<message>.+'}", []string{`rekey.yaml:15: "pattern" of a log of environment production is no regular expression of the RE2 kind: write it without look-around and back references, parentheses in pairs, \ before what is meant as it stands`}},
		{"pattern with a group of no meaning", "format: access}", "pattern: '(?P<when>.+) (?P<message>.+)'}", []string{`rekey.yaml:15: "pattern" of a log of environment production has a group "when", which means nothing here: name groups addr, agent, forbidden, forwarded, level, logger, message, method, path, request, status, time, unauthorized; write (…) for the others`}},
		{"pattern without a status", "format: access}", "pattern: '(?P<time>.+) (?P<path>.+)'}", []string{`rekey.yaml:15: "pattern" of a log of environment production tells neither a request with its status nor a message: name the groups path (or request) and status, or the group message, or the words that tell of a refusal unauthorized or forbidden`}},
		{"pattern without a time", "format: access}", "pattern: '(?P<message>.+)'}", []string{`rekey.yaml:15: "pattern" of a log of environment production has no group "time", so none of its lines can be placed in time: name what the time is: (?P<time>…)`}},
		{"pattern without a name", "format: access}", "pattern: '(.+)'}", []string{`rekey.yaml:15: "pattern" of a log of environment production has no named group: name what stands where: (?P<time>…) (?P<addr>…) (?P<path>…) (?P<status>…)`}},
		{"pattern that fits all", "format: access}", "pattern: '(?P<message>.*)'}", []string{`rekey.yaml:15: "pattern" of a log of environment production fits an empty line, so it fits every line: write what each line has: (?P<time>\S+) (?P<message>.+)`}},
		{"zone of a log", "format: access}", "format: django, zone: Berlin}", []string{`rekey.yaml:15: "zone" of a log of environment production is no time zone: "Berlin": write its name in the tz database, such as Europe/Berlin or UTC`}},
		{"zone of an environment", "    own: [127.0.0.1]", "    own: [127.0.0.1]\n    zone: Local", []string{`rekey.yaml:7: "zone" of environment production is no time zone: "Local": write its name in the tz database, such as Europe/Berlin or UTC`}},
		{"proxies", "    own: [127.0.0.1]", "    own: [127.0.0.1]\n    proxies: [lb1]", []string{`rekey.yaml:7: "lb1" in "proxies" of environment production is no address and no network: write "203.0.113.7", "10.0.0.0/8" or "2001:db8::/32"`}},
		{"log twice", "      - {path: /srv/api/logs/access.log, format: access}", "      - {path: /srv/api/logs/a.log, format: access}\n      - {path: /srv/api/logs/a.log, format: django}", []string{`rekey.yaml:16: the log "/srv/api/logs/a.log" of environment production is written twice: take one out: what it holds would count twice`}},
		{"duration", "procedure: hmac-overlap", "procedure: hmac-overlap\n    overlap: one day", []string{`rekey.yaml:21: "overlap" of secret HOOK_SECRET is no time span: "one day": write a number with its unit: 30s, 15m, 24h, 90d, 2w`}},
		{"duration out of bounds", "procedure: hmac-overlap", "procedure: hmac-overlap\n    overlap: 90d", []string{`rekey.yaml:21: "overlap" of secret HOOK_SECRET is out of bounds: write at least 1s and at most 30d`}},
		{"period", "procedure: hmac-overlap", "procedure: hmac-overlap\n    rotate_every: 5", []string{`rekey.yaml:21: "rotate_every" of secret HOOK_SECRET is no period of a day or more: "5": write quarterly, annually, as-needed or a span such as 90d`}},
		{"date", "procedure: hmac-overlap", "procedure: hmac-overlap\n    last_rotated: 01.01.2024", []string{`rekey.yaml:21: "last_rotated" of secret HOOK_SECRET is no date: "01.01.2024": write year-month-day: 2024-01-31`}},
		{"wrong type: list for text", "owner: DevOps", "owner: [DevOps]", []string{`rekey.yaml:19: "owner" of secret HOOK_SECRET is a list where a text belongs: put the text in "quotes"`}},
		{"wrong type: text for mapping", "slack: {channel: C012AB3CD}", "slack: C012AB3CD", []string{`rekey.yaml:2: slack is a text where keys with values belong: write one "key: value" a line`}},
		{"wrong type: text for list", "own: [127.0.0.1]", "own: 127.0.0.1", []string{`rekey.yaml:6: "own" of environment production is a text where a list belongs: write a list: [one, two]`}},
		{"wrong type: text for number", "reload: [systemctl, reload, api]", "reload: [x]\n        workers: many", []string{`rekey.yaml:11: "workers" of consumer api is no whole number from 0 to 10000: write for example workers: 4`}},
		{"wrong type: text for boolean", "slack: {channel: C012AB3CD}", "slack: {channel: C012AB3CD}\npagerduty: {enabled: maybe, source: x}", []string{`rekey.yaml:3: "enabled" of pagerduty is a text: write true or false`}},
		{"missing key", "    owner: DevOps\n", "", []string{`rekey.yaml:17: secret HOOK_SECRET has no "owner": write who answers for it`}},
		{"empty key", "owner: DevOps", "owner:", []string{`rekey.yaml:19: "owner" of secret HOOK_SECRET is empty: write who answers for it`}},
		{"procedure", "procedure: hmac-overlap", "procedure: hmac_overlap", []string{`rekey.yaml:20: "procedure" of secret HOOK_SECRET cannot be "hmac_overlap": write "hmac-overlap"`}},
		{"weak generator", "procedure: hmac-overlap", "procedure: hmac-overlap\n    generator: supplied", []string{`rekey.yaml:21: secret HOOK_SECRET is rotated by rekey, which cannot wait for a supplied value: write hex32, base64 or django: each is at least as strong as 64 hex digits`}},
		{"no consumer that accepts", "role: accepts", "role: signs", nil},
		{"no consumer that signs", "role: signs", "role: accepts\n            previous: HOOK_SECRET_OLD", []string{`rekey.yaml:22: secret HOOK_SECRET in production has no consumer that signs with it: give the service that signs role: signs (or both)`, `rekey.yaml:34: consumer web of secret HOOK_SECRET in production only verifies, and a challenge does not tell what it accepts: write request: {urls: […], body: …} in its place`}},
		{"no previous", "            previous: HOOK_SECRET_OLD\n", "", []string{`rekey.yaml:24: consumer api of secret HOOK_SECRET in production accepts the value and has no "previous": write the variable under which it accepts a second value: previous: HOOK_SECRET_OLD`}},
		{"previous of a signer", "role: signs", "role: signs\n            previous: HOOK_SECRET_OLD", []string{`rekey.yaml:33: consumer web of secret HOOK_SECRET in production only signs, so it accepts no second value: take out previous, or write role: both`}},
		{"no proof", "            proof: {challenge: {urls: [https://www.example.com/proof]}}\n", "", []string{`rekey.yaml:30: consumer web of secret HOOK_SECRET in production has no "proof": write how to ask it which value it runs on: proof: {request: …} or proof: {challenge: …}`}},
		{"both proofs for a signer", "proof: {challenge: {urls: [https://www.example.com/proof]}}", "proof: {challenge: {urls: [https://e.com/]}, request: {urls: [https://e.com/], body: x}}", []string{`rekey.yaml:33: consumer web of secret HOOK_SECRET in production only signs, so it cannot refuse a signed request: write challenge: {urls: […]} in its place`}},
		{"request to a signer", "proof: {challenge: {urls: [https://www.example.com/proof]}}", "proof: {request: {urls: [https://e.com/], body: x}}", []string{`rekey.yaml:33: consumer web of secret HOOK_SECRET in production only signs, so it cannot refuse a signed request: write challenge: {urls: […]} in its place`}},
		{"one proof where two are needed", "role: signs\n            proof: {challenge: {urls: [https://www.example.com/proof]}}", "role: both\n            previous: HOOK_SECRET_OLD\n            proof: {challenge: {urls: [https://www.example.com/proof]}}", []string{`rekey.yaml:34: proof of consumer web of secret HOOK_SECRET in production has no "request", and it verifies with the value: write request: {urls: […], body: …}, a signed call to try values with`}},
		{"no body", ", body: '{}'", "", []string{`rekey.yaml:29: request of consumer api of secret HOOK_SECRET in production has no "body": write the text that is signed and sent: body: '{"slugs":["test"]}'`}},
		{"no URL", "https://api.example.com/hook/", "api.example.com/hook/", []string{`rekey.yaml:29: "urls" of request of consumer api of secret HOOK_SECRET in production is no http or https URL: "api.example.com/hook/": write all of it: https://api.example.com/path/`}},
		{"one file and variable twice", "env_file: /srv/web/.env", "env_file: /srv/api/.env", []string{`rekey.yaml:31: consumer web of secret HOOK_SECRET in production writes HOOK_SECRET in "/srv/api/.env", and so does consumer api of secret HOOK_SECRET in production: give each its own variable or its own file`}},
		{"previous is variable", "previous: HOOK_SECRET_OLD", "previous: HOOK_SECRET", []string{`rekey.yaml:26: consumer api of secret HOOK_SECRET in production writes HOOK_SECRET in "/srv/api/.env", and so does consumer api of secret HOOK_SECRET in production: give each its own variable or its own file`}},
		{"variable", "variable: HOOK_SECRET\n            previous", "variable: HOOK-SECRET\n            previous", []string{`rekey.yaml:25: "variable" of consumer api of secret HOOK_SECRET in production is no name of a variable: "HOOK-SECRET": use letters, digits and _, such as REVALIDATE_SECRET`}},
		{"address", "10.0.0.0/8", "10.0.0.0/33", []string{`rekey.yaml:35: "10.0.0.0/33" in "callers" of an endpoint of secret HOOK_SECRET in production is no address and no network: write "203.0.113.7", "10.0.0.0/8" or "2001:db8::/32"`}},
		{"network with host bits", "10.0.0.0/8", "10.1.2.3/8", []string{`rekey.yaml:35: "10.1.2.3/8" in "callers" of an endpoint of secret HOOK_SECRET in production has bits beyond its length: write "10.0.0.0/8", or the address alone`}},
		{"endpoint's path", "path: /hook/", "path: hook/", []string{`rekey.yaml:35: "path" of an endpoint of secret HOOK_SECRET in production does not begin with /: "hook/": write the path as it stands in the access log: /api/revalidate/`}},
		{"channel by name", "C012AB3CD", `"#devops-alerts"`, []string{`rekey.yaml:2: "channel" of slack is no channel id: "#devops-alerts": write the id that Slack shows at the end of the channel's details, such as C012AB3CD`}},
		{"member by name", "[U012AB3CD]", "[alice]", []string{`rekey.yaml:3: "alice" in "responders" of access is no id: write the member id that Slack shows in the person's profile under the three dots, such as U012AB3CD`}},
		{"nobody may rotate", "access: {responders: [U012AB3CD], cli: [root]}", "access: {readers: [U012AB3CD]}", []string{`rekey.yaml:3: nobody may rotate a secret: write responders (Slack member ids) or cli (users of this machine) under access`}},
		{"reserved name", "  HOOK_SECRET:", "  Status:", nil},
		{"version", "version: 1", "version: 2", []string{`rekey.yaml:1: this version of the file is not known to this rekey: write version: 1`}},
		{"merge key", "    purpose: webhook", "    <<: {impact: x}\n    purpose: webhook", []string{`rekey.yaml:18: merge keys (<<) are not read in secret HOOK_SECRET: write the keys out`}},
		{"Slack token", "slack: {channel: C012AB3CD}", "slack: {channel: C012AB3CD, bot_token: xoxb-1234-abcd}", []string{`rekey.yaml:2: a Slack token stands in this file: take it out, treat it as leaked if the file was shared, and set the environment variable SLACK_BOT_TOKEN or SLACK_BOT_TOKEN_FILE`}},
		{"app token under another key", "owner: DevOps", "owner: xapp-1-A1-2-abc", []string{`rekey.yaml:19: a Slack app token stands in this file: take it out, treat it as leaked if the file was shared, and set the environment variable SLACK_APP_TOKEN or SLACK_APP_TOKEN_FILE`}},
		{"password key", "owner: DevOps", "owner: DevOps\n    value: hunter22", []string{`rekey.yaml:20: the key "value" promises a token or a value, and those never stand in this file: take it out: rekey reads values from the env files it is told of`}},
		{"routing key", "version: 1", "version: 1\npagerduty: {enabled: true, source: x, routing_key: abc}", []string{`rekey.yaml:2: the key "routing_key" promises a token or a value, and those never stand in this file: set the environment variable PAGERDUTY_ROUTING_KEY or PAGERDUTY_ROUTING_KEY_FILE`}},
		{"a value as a name", "purpose: webhook", "purpose: 6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c", []string{`rekey.yaml:18: 64 hex digits, which is what a secret or a key looks like, stands in this file: take it out, treat it as leaked if the file was shared, and set the environment variable REKEY_KEY or REKEY_KEY_FILE`}},
		{"not YAML", "    owner: DevOps", "    owner: [DevOps", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(sound, test.old) {
				t.Fatalf("the sound catalogue has no %q", test.old)
			}
			got := faultsOf(t, strings.Replace(sound, test.old, test.new, 1))
			if len(got) == 0 {
				t.Fatal("no fault was found")
			}
			if test.want != nil && cmp.Diff(test.want, got) != "" {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			for _, f := range got {
				if strings.Contains(f, "6b1f0c2d") || strings.Contains(f, "xoxb-1") || strings.Contains(f, "hunter") {
					t.Errorf("the fault shows the value: %s", f)
				}
			}
		})
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	t.Parallel()
	bad := strings.NewReplacer(
		"C012AB3CD", "devops", "/srv/web/.env", "web.env", "owner: DevOps", "owner: {}", "role: signs", "role: sign",
		"10.0.0.0/8", "ten", "[systemctl, reload, api]", "systemctl reload api",
	).Replace(sound)
	first := faultsOf(t, bad)
	lines := []string{"2", "10", "12", "19", "32", "35"}
	for _, l := range lines {
		if !strings.Contains(strings.Join(first, "\n"), "rekey.yaml:"+l+": ") {
			t.Errorf("no fault in line %s", l)
		}
	}
	for range 5 {
		if d := cmp.Diff(first, faultsOf(t, bad)); d != "" {
			t.Fatalf("another order or other faults:\n%s", d)
		}
	}
}

func TestAnchorsAreFollowed(t *testing.T) {
	t.Parallel()
	y := strings.Replace(sound, "own: [127.0.0.1]", "own: &us [127.0.0.1]", 1)
	y = strings.Replace(y, "callers: [10.0.0.0/8]", "callers: *us", 1)
	c, err := Parse("rekey.yaml", []byte(y), Under(soundMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Catalogue.Secrets[0].Places[0].Endpoints[0].Callers; len(got) != 1 || got[0].String() != "127.0.0.1/32" {
		t.Errorf("callers %v", got)
	}
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	for name, y := range map[string]string{
		"empty": "", "comment": "# nothing", "null": "~", "list": "- a", "text": "hello", "number": "7", "binary": "\x00\x01\xff",
		"alias of nothing": "version: *x", "alias of itself": "a: &a *a", "two documents": sound + "---\nversion: 1\n",
		"tabs": "version:\t1\n\tslack: x", "deep": strings.Repeat("[", 5000), "empty environments": "version: 1\nenvironments: {}\nsecrets: {}",
	} {
		if len(faultsOf(t, y)) == 0 {
			t.Errorf("%s: no fault", name)
		}
	}
	if got := faultsOf(t, "\xef\xbb\xbf"+strings.ReplaceAll(sound, "\n", "\r\n")); got != nil {
		t.Errorf("a byte order mark and CRLF: %v", got)
	}
}

func TestFileThatEverybodyMayWrite(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "rekey.yaml")
	if err := os.WriteFile(p, []byte(sound), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(p, Under(soundMachine(t))); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(p + ".missing"); err == nil {
		t.Error("a missing file is an error")
	}
}

// FuzzParse looks for a crash: whatever the file holds, the answer is a catalogue
// or faults.
func FuzzParse(f *testing.F) {
	f.Add(sound)
	f.Add(full)
	example, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("a: &a [*a]\nb: {<<: *a, ? x : y}\n--- !!map\n|")
	root := soundMachine(f)
	f.Fuzz(func(t *testing.T, y string) {
		c, err := Parse("rekey.yaml", []byte(y), Under(root))
		if (c == nil) == (err == nil) {
			t.Fatalf("catalogue %v, error %v", c, err)
		}
	})
}
