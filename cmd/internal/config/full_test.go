package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/logs"
	"rekey/commands/secret"
)

// full is a catalogue with everything there is, as small as it can be.
const full = `version: 1
access: {cli: [root]}
stores:
  aws: {kind: aws-secrets-manager, region: us-east-1, endpoint: "http://127.0.0.1:4566"}
  vault: {kind: vault-kv, address: "https://vault.example.com:8200/", namespace: team/, mount: kv, token: {env: VAULT_TOKEN}, ca_file: /etc/ca.pem}
environments:
  production:
    own: [127.0.0.1]
    after: staging
    sentry: {organization: your-org, project: leather-api}
    consumers:
      api: {env_file: /srv/api/.env, reload: [systemctl, reload, api]}
      worker: {env_file: /srv/api/.env, reload: [systemctl, reload, worker], pid_file: /run/worker.pid}
      web: {store: vault, location: leather-web/production, reload: [pm2, reload, web]}
    logs:
      - {path: /srv/api/logs/access.log, format: access}
  staging:
    after: lab
    after_within: 2d
    consumers:
      api: {store: aws, location: leather-api/staging, reload: [reload-api]}
      partner: {store: aws, location: "arn:aws:secretsmanager:us-east-1:123456789012:secret:partner-AbCdEf", reload: [reload-partner]}
  lab: {}
schedule:
  zone: Europe/Berlin
  digest: "09:30"
  windows:
    - {days: [tue, Wednesday], from: "22:00", to: "2:00"}
    - {from: "12:00", to: "13:00"}
  blackouts:
    - {from: 2026-12-20, to: 2027-01-02, why: holidays}
    - {from: 2027-05-01}
secrets:
  HOOK_SECRET:
    purpose: webhook
    owner: DevOps
    procedure: hmac-overlap
    rotate_every: quarterly
    automatic: true
    in:
      production:
        consumers:
          api: {variable: HOOK_SECRET, previous: HOOK_SECRET_OLD, role: accepts, proof: {request: {urls: [https://e.com/hook/], body: '{}'}}}
          web: {variable: hook-secret, role: signs, proof: {challenge: {urls: [https://e.com/proof]}}}
        checks:
          - {kind: health, url: https://e.com/health/, within: 1m, every: 2s}
          - {kind: request}
          - {kind: logs}
          - {kind: sentry, name: Quiet in Sentry}
        usage:
          - {log: /srv/api/logs/rekey.log, pattern: 'with=previous client=(?P<who>\S+)', quiet: 10m}
          - {metric: "https://e.com/metrics", series: 'verified_total{with="previous"}'}
  SECRET_KEY:
    purpose: sessions
    owner: DevOps
    procedure: django-secret-key
    confirm: true
    in:
      production:
        consumers:
          api:
            variable: SECRET_KEY
            previous: SECRET_KEY_OLD
            role: both
            proof: {request: {urls: [https://e.com/rekey/django], body: rekey}, challenge: {urls: [https://e.com/proof]}}
          worker:
            variable: SECRET_KEY
            role: signs
            proof: {challenge: {command: [proof, SECRET_KEY], timeout: 20s}}
        sessions: {count: [sessions, --count], end: [sessions, --end], tidy: [clearsessions], timeout: 2m}
        checks:
          - {kind: celery, command: [check-celery], timeout: 5s}
          - {kind: request}
  MAIL_PASSWORD:
    purpose: mail
    owner: DevOps
    procedure: smtp-password
    in:
      production:
        consumers: {api: {variable: MAIL_PASSWORD}, worker: {variable: MAIL_PASSWORD, role: uses}}
        issuer: {server: "smtp.example.com:465", auth: login, username: leather, from: no@example.com, to: admin@example.com, ca_file: /etc/ca.pem}
        checks:
          - {kind: smtp}
  DSN:
    purpose: errors
    owner: DevOps
    procedure: sentry-client-key
    in:
      production:
        consumers: {api: {variable: DSN}}
        issuer: {token: {file: /etc/token}}
  DATABASE_URL:
    purpose: database
    owner: DBA
    procedure: postgres-role
    in:
      production:
        consumers: {api: {variable: DATABASE_URL, proof: {challenge: {urls: [https://e.com/proof]}}}}
        issuer: {admin: {env: ADMIN_URL}, queries: [SELECT 1, SELECT 2], owner: leather_owner}
        checks:
          - {kind: postgres}
          - {kind: postgres, name: The reports work, queries: [SELECT 3]}
      staging:
        consumers: {api: {variable: DATABASE_URL}}
        issuer: {admin: {env: ADMIN_URL}}
  PARTNER_TOKEN:
    purpose: partner
    owner: DevOps
    procedure: commands
    in:
      staging:
        consumers: {partner: {}}
        issuer: {set: [tool, set], test: [tool, test], retire: [tool, off], revive: [tool, on], finish: [tool, rm], rollback: [tool, undo], timeout: 1m}
        checks:
          - {kind: command, command: [tool, ping]}
  OLD_THING:
    purpose: fax
    owner: DevOps
    procedure: manual
    in: {production: {consumers: {api: {variable: FAX}}}}
groups:
  hooks: [HOOK_SECRET]
  leather: [DATABASE_URL, SECRET_KEY]
`

func fullMachine(t testing.TB) string {
	return machine(t, "/srv/api/.env", "/srv/api/logs/", "/etc/ca.pem", "/etc/token")
}

func loadFull(t *testing.T) *secret.Catalogue {
	t.Helper()
	c, err := Parse("rekey.yaml", []byte(full), Under(fullMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	return c.Catalogue
}

func faultsOfFull(t testing.TB, yaml string) []string {
	t.Helper()
	_, err := Parse("/etc/rekey/rekey.yaml", []byte(yaml), Under(fullMachine(t)))
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func place(t *testing.T, cat *secret.Catalogue, name, environment string) secret.Place {
	t.Helper()
	p, ok := cat.Place(name, environment)
	if !ok {
		t.Fatalf("%s has no place in %s", name, environment)
	}
	return p
}

func TestStoresAndWhoReadsFromThem(t *testing.T) {
	t.Parallel()
	cat := loadFull(t)
	want := []secret.Store{
		{Name: "aws", Kind: secret.AWSSecretsManager, Region: "us-east-1", Endpoint: "http://127.0.0.1:4566"},
		{
			Name: "vault", Kind: secret.VaultKV, Address: "https://vault.example.com:8200", Namespace: "team", Mount: "kv",
			Token: secret.Source{Env: "VAULT_TOKEN"}, CAFile: "/etc/ca.pem",
		},
	}
	if d := cmp.Diff(want, cat.Stores); d != "" {
		t.Error(d)
	}
	for _, want := range [][4]string{
		{"production", "api", "dotenv", "/srv/api/.env"},
		{"production", "web", "vault", "leather-web/production"},
		{"staging", "api", "aws", "leather-api/staging"},
	} {
		if c, _ := cat.Consumer(want[0], want[1]); c.Store != want[2] || c.Location != want[3] {
			t.Errorf("%s of %s reads from %s of %s", want[1], want[0], c.Location, c.Store)
		}
	}
	if c, _ := cat.Consumer("production", "worker"); c.PIDFile != "/run/worker.pid" {
		t.Errorf("the worker's process is named by %q", c.PIDFile)
	}
	if u := place(t, cat, "HOOK_SECRET", "production").Uses[1]; u.Variable != "hook-secret" {
		t.Errorf("a key of a store is any text, got %q", u.Variable)
	}
	if u := place(t, cat, "PARTNER_TOKEN", "staging").Uses[0]; u.Variable != "" || u.Role != secret.Uses {
		t.Errorf("the whole AWS secret is the value: %+v", u)
	}
}

func TestEnvironmentsComeAfterEachOther(t *testing.T) {
	t.Parallel()
	cat := loadFull(t)
	for name, want := range map[string]secret.Environment{
		"production": {After: "staging", AfterWithin: 14 * day},
		"staging":    {After: "lab", AfterWithin: 2 * day},
		"lab":        {},
	} {
		if e, _ := cat.Environment(name); e.After != want.After || e.AfterWithin != want.AfterWithin {
			t.Errorf("%s comes after %q within %s", name, e.After, e.AfterWithin)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	s := loadFull(t).Schedule
	if s.Zone.String() != "Europe/Berlin" || s.Digest != 9*time.Hour+30*time.Minute {
		t.Errorf("zone %s, digest %s", s.Zone, s.Digest)
	}
	windows := []secret.Window{
		{Days: []time.Weekday{time.Tuesday, time.Wednesday}, From: 22 * time.Hour, To: 2 * time.Hour},
		{From: 12 * time.Hour, To: 13 * time.Hour},
	}
	if d := cmp.Diff(windows, s.Windows); d != "" {
		t.Error(d)
	}
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, s.Zone) }
	blackouts := []secret.Blackout{
		{From: date(2026, 12, 20), To: date(2027, 1, 2), Why: "holidays"},
		{From: date(2027, 5, 1), To: date(2027, 5, 1)},
	}
	if d := cmp.Diff(blackouts, s.Blackouts); d != "" {
		t.Error(d)
	}
	c, err := Parse("rekey.yaml", []byte(sound), Under(soundMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Catalogue.Schedule; s.Zone != time.UTC || s.Digest >= 0 || s.Windows != nil {
		t.Errorf("without a schedule nothing happens by itself, got %+v", s)
	}
}

func TestProcedures(t *testing.T) {
	t.Parallel()
	cat := loadFull(t)
	for name, want := range map[string]secret.Secret{
		"HOOK_SECRET":   {Procedure: secret.HMACOverlap, Generator: secret.Hex32, Overlap: day, Automatic: true},
		"SECRET_KEY":    {Procedure: secret.DjangoKey, Generator: secret.Django, Overlap: day, Confirm: true},
		"MAIL_PASSWORD": {Procedure: secret.SMTPPassword, Generator: secret.Supplied, Overlap: day},
		"DSN":           {Procedure: secret.SentryKey, Generator: secret.Supplied, Overlap: day},
		"DATABASE_URL":  {Procedure: secret.PostgresRole, Generator: secret.Supplied, Overlap: day},
		"PARTNER_TOKEN": {Procedure: secret.OwnCommands, Generator: secret.Hex32, Overlap: day},
		"OLD_THING":     {Procedure: secret.Manual, Generator: secret.Supplied},
	} {
		s, _ := cat.Secret(name)
		got := secret.Secret{Procedure: s.Procedure, Generator: s.Generator, Overlap: s.Overlap, Automatic: s.Automatic, Confirm: s.Confirm}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
	issuers := map[string]secret.Issuer{
		"HOOK_SECRET": {},
		"MAIL_PASSWORD": {SMTP: &secret.SMTPIssuer{
			Addr: "smtp.example.com:465", Implicit: true, Auth: "login", Username: "leather", From: "no@example.com", To: "admin@example.com", CAFile: "/etc/ca.pem",
		}},
		"DSN":          {Sentry: &secret.SentryIssuer{Token: secret.Source{File: "/etc/token"}}},
		"DATABASE_URL": {Postgres: &secret.PostgresIssuer{Admin: secret.Source{Env: "ADMIN_URL"}, Queries: []string{"SELECT 1", "SELECT 2"}, Owner: "leather_owner"}},
	}
	for name, want := range issuers {
		if d := cmp.Diff(want, place(t, cat, name, "production").Issuer); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
	own := secret.Issuer{Commands: &secret.CommandIssuer{
		Set: []string{"tool", "set"}, Test: []string{"tool", "test"}, Retire: []string{"tool", "off"}, Revive: []string{"tool", "on"},
		Finish: []string{"tool", "rm"}, Rollback: []string{"tool", "undo"}, Timeout: time.Minute,
	}}
	if d := cmp.Diff(own, place(t, cat, "PARTNER_TOKEN", "staging").Issuer); d != "" {
		t.Error(d)
	}
}

func TestChecksTakeWhatThePlaceSays(t *testing.T) {
	t.Parallel()
	cat := loadFull(t)
	hook, key := place(t, cat, "HOOK_SECRET", "production"), place(t, cat, "SECRET_KEY", "production")
	want := []secret.Check{
		{Name: "The health check answers 200", Kind: secret.CheckHealth, URL: "https://e.com/health/", Within: time.Minute, Every: 2 * time.Second},
		{Name: "A signed request is accepted", Kind: secret.CheckRequest, Request: hook.Uses[0].Proof.Request},
		{Name: "No 401 or 403 in the logs", Kind: secret.CheckLogs},
		{Name: "Quiet in Sentry", Kind: secret.CheckSentry},
	}
	if d := cmp.Diff(want, hook.Checks); d != "" {
		t.Error(d)
	}
	want = []secret.Check{
		{Name: "A Celery task is executed", Kind: secret.CheckTask, Argv: []string{"check-celery"}, Timeout: 5 * time.Second},
		{Name: "A signed request is accepted", Kind: secret.CheckRequest, Request: key.Uses[0].Proof.Request},
	}
	if d := cmp.Diff(want, key.Checks); d != "" || key.Checks[1].Request.Scheme != secret.DjangoSigning {
		t.Errorf("%s\n%+v", d, key.Checks[1].Request)
	}
	mail := place(t, cat, "MAIL_PASSWORD", "production")
	if mail.Checks[0].SMTP != mail.Issuer.SMTP {
		t.Error("the mail check does not take the issuer's server")
	}
	database := place(t, cat, "DATABASE_URL", "production").Checks
	if database[0].Postgres.Queries[1] != "SELECT 2" || database[1].Postgres.Queries[0] != "SELECT 3" || database[1].Postgres.Owner != "" {
		t.Errorf("%+v", database)
	}
	sources := []secret.UsageSource{
		{Log: "/srv/api/logs/rekey.log", Pattern: `with=previous client=(?P<who>\S+)`, Quiet: 10 * time.Minute},
		{Metric: "https://e.com/metrics", Series: `verified_total{with="previous"}`},
	}
	if d := cmp.Diff(sources, hook.Usage); d != "" {
		t.Error(d)
	}
	sessions := &secret.Sessions{
		Count: []string{"sessions", "--count"}, End: []string{"sessions", "--end"}, Tidy: []string{"clearsessions"}, Timeout: 2 * time.Minute,
	}
	if d := cmp.Diff(sessions, key.Sessions); d != "" || hook.Sessions != nil {
		t.Error(d)
	}
	challenge := &secret.Challenge{Command: []string{"proof", "SECRET_KEY"}, Timeout: 20 * time.Second}
	if d := cmp.Diff(challenge, key.Uses[1].Proof.Challenge); d != "" {
		t.Error(d)
	}
}

// changed is full with one thing wrong, and what is said about it.
type changed struct {
	name     string
	old, new string // in full, where old stands once
	want     []string
}

func eachFaultOfFull(t *testing.T, tests []changed) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(full, test.old) != 1 {
				t.Fatalf("the full catalogue has %d times %q", strings.Count(full, test.old), test.old)
			}
			got := faultsOfFull(t, strings.Replace(full, test.old, test.new, 1))
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
			for _, f := range got {
				if strings.Contains(f, "hunter22") {
					t.Errorf("the fault shows the value: %s", f)
				}
			}
		})
	}
}

// What Django signed may be let go at once: then there is no second variable.
func TestDjangoWithoutFallbacks(t *testing.T) {
	t.Parallel()
	if got := faultsOfFull(t, strings.Replace(full, "            previous: SECRET_KEY_OLD\n", "", 1)); got != nil {
		t.Error(strings.Join(got, "\n"))
	}
}

// A credential that others may read is none.
func TestSourceFileThatOthersMayRead(t *testing.T) {
	t.Parallel()
	root := fullMachine(t)
	if err := os.Chmod(filepath.Join(root, "/etc/token"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("rekey.yaml", []byte(full), Under(root))
	want := `rekey.yaml:91: "file" of token of issuer of secret DSN in production: others than rekey's user may read or write "/etc/token": chmod 0400 it, and give it to rekey's user`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestLogsAndHowTheyAreWritten(t *testing.T) {
	t.Parallel()
	const before, after = `    logs:
      - {path: /srv/api/logs/access.log, format: access}
`, `    proxies: [10.0.0.0/8, "::1"]
    zone: Europe/Berlin
    logs:
      - {path: /srv/api/logs/access.log, format: access}
      - {path: /srv/api/logs/caddy.log, format: json, zone: UTC}
      - path: /srv/api/logs/own.log
        pattern: '(?P<time>\S+) (?P<addr>\S+) (?P<message>.+)'
      - {path: /srv/api/logs/all.log}
      - {path: /srv/api/logs/nginx.log, format: nginx-error}
      - {path: /srv/api/logs/apache.log, format: apache-error}
`
	if !strings.Contains(full, before) {
		t.Fatal("the full catalogue names other logs")
	}
	c, err := Parse("rekey.yaml", []byte(strings.Replace(full, before, after, 1)), Under(fullMachine(t)))
	if err != nil {
		t.Fatal(err)
	}
	env, _ := c.Catalogue.Environment("production")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := []secret.Log{
		{Path: "/srv/api/logs/access.log", Format: secret.LogAccess, Zone: berlin},
		{Path: "/srv/api/logs/caddy.log", Format: secret.LogJSON, Zone: time.UTC},
		{Path: "/srv/api/logs/own.log", Format: secret.LogPattern, Pattern: `(?P<time>\S+) (?P<addr>\S+) (?P<message>.+)`, Zone: berlin},
		{Path: "/srv/api/logs/all.log", Format: secret.LogAuto, Zone: berlin},
		{Path: "/srv/api/logs/nginx.log", Format: secret.LogPattern, Pattern: logs.NginxErrors, Zone: berlin},
		{Path: "/srv/api/logs/apache.log", Format: secret.LogPattern, Pattern: logs.ApacheErrors, Zone: berlin},
	}
	sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if d := cmp.Diff(want, env.Logs, sameZone); d != "" {
		t.Error(d)
	}
	if len(env.Proxies) != 2 || env.Proxies[0].String() != "10.0.0.0/8" || env.Proxies[1].String() != "::1/128" {
		t.Errorf("proxies %v", env.Proxies)
	}
	lab, _ := c.Catalogue.Environment("lab")
	if lab.Proxies != nil || lab.Logs != nil {
		t.Errorf("%+v", lab)
	}
}
