package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
)

const example = "../../../deploy/examples/rekey.yaml"

// machine answers a folder that holds the files and folders named, for Under.
func machine(t testing.TB, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		p := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "/") {
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var exampleFiles = []string{"/srv/leather-api/.env", "/srv/leather-web/.env", "/srv/leather-api/logs/", "/etc/rekey/sentry-admin-token"}

func loadExample(t *testing.T) *secret.Catalogue {
	t.Helper()
	c, err := Load(example, Under(machine(t, exampleFiles...)))
	if err != nil {
		t.Fatal(err)
	}
	return c.Catalogue
}

// TestExampleIsTheGuide compares the shipped example with the tables of the secret
// rotation guide, row by row.
//
// Guide: inventory/secret-key, inventory/revalidate-secret, inventory/analytics-secret, inventory/email-host-password, inventory/sentry-dsn, inventory/database-url
// Guide: schedule/secret-key, schedule/revalidate-secret, schedule/analytics-secret, schedule/email-host-password, schedule/database-url, practices/keep-old-24h
// Guide: support/slack, support/email, support/on-call
func TestExampleIsTheGuide(t *testing.T) {
	t.Parallel()
	cat := loadExample(t)
	date := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// Secrets Inventory and Rotation Schedule. SENTRY_DSN has no row in the latter.
	guide := []struct {
		name, purpose, impact string
		months                int
		last, next, owner     string
	}{
		{"SECRET_KEY", "Django session/CSRF", "Sessions invalidated", 12, "2024-01-01", "2025-01-01", "DevOps"},
		{"REVALIDATE_SECRET", "Next.js ISR webhook", "ISR temporarily broken", 3, "2024-01-01", "2024-04-01", "DevOps"},
		{"ANALYTICS_SECRET", "View tracking HMAC", "Tracking temporarily broken", 3, "2024-01-01", "2024-04-01", "DevOps"},
		{"EMAIL_HOST_PASSWORD", "SMTP authentication", "Email sending fails", 0, "2024-01-01", "", "DevOps"},
		{"SENTRY_DSN", "Error monitoring", "Monitoring stops", 0, "", "", "DevOps"},
		{"DATABASE_URL", "Database connection", "Complete outage", 0, "2023-01-01", "", "DBA"},
	}
	if len(cat.Secrets) != len(guide) {
		t.Errorf("%d secrets, the guide has %d", len(cat.Secrets), len(guide))
	}
	for _, want := range guide {
		s, ok := cat.Secret(want.name)
		if !ok {
			t.Errorf("%s is missing", want.name)
			continue
		}
		got := []any{s.Purpose, s.Impact, s.RotateMonths, s.LastRotated, s.NextDue(s.LastRotated), s.Owner}
		if d := cmp.Diff([]any{want.purpose, want.impact, want.months, date(want.last), date(want.next), want.owner}, got); d != "" {
			t.Errorf("%s:\n%s", want.name, d)
		}
	}
	if s, _ := cat.Secret("DATABASE_URL"); s.Risk != secret.High {
		t.Error("the guide calls the database password HIGH RISK")
	}

	// Dual-Secret Support, Test webhook and Test tracking.
	for _, want := range []struct{ name, url, body string }{
		{"REVALIDATE_SECRET", "https://api.example.com/api/revalidate/", `{"slugs":["test"]}`},
		{"ANALYTICS_SECRET", "https://api.example.com/api/track-view/", `{"slug":"test"}`},
	} {
		s, _ := cat.Secret(want.name)
		if s.Procedure != secret.HMACOverlap || s.Generator != secret.Hex32 || s.Overlap != 24*time.Hour {
			t.Errorf("%s: %s, %s, %s", want.name, s.Procedure, s.Generator, s.Overlap)
		}
		p, ok := cat.Place(want.name, "")
		if !ok || len(p.Uses) != 2 {
			t.Fatalf("%s is used by %d consumers of production", want.name, len(p.Uses))
		}
		uses := []secret.Use{
			{
				Consumer: "django", Variable: want.name, Previous: want.name + "_OLD", Role: secret.Accepts,
				Proof: secret.Proof{Request: &secret.SignedRequest{
					URLs: []string{want.url}, Method: "POST", Body: want.body, Header: "X-Signature", ContentType: "application/json", Scheme: secret.HMACHex,
				}},
			},
			{
				Consumer: "nextjs", Variable: want.name, Role: secret.Signs,
				Proof: secret.Proof{Challenge: &secret.Challenge{
					URLs: []string{"https://www.example.com/rekey/proof/" + want.name},
				}},
			},
		}
		if d := cmp.Diff(uses, p.Uses); d != "" {
			t.Errorf("%s:\n%s", want.name, d)
		}
		if len(p.Endpoints) != 1 || !strings.HasSuffix(want.url, p.Endpoints[0].Path) {
			t.Errorf("%s guards %v", want.name, p.Endpoints)
		}
	}

	// The reload commands, the healthcheck, the audit query's logs, and Support.
	env, _ := cat.Environment("")
	if env.Name != "production" {
		t.Errorf("the default environment is %q", env.Name)
	}
	django, _ := cat.Consumer("", "django")
	nextjs, _ := cat.Consumer("", "nextjs")
	if strings.Join(django.Reload, " ") != "systemctl reload gunicorn" || django.Health != "https://api.example.com/api/healthcheck/" {
		t.Errorf("django: %v, %s", django.Reload, django.Health)
	}
	if !strings.HasPrefix(strings.Join(nextjs.Reload, " "), "pm2 reload nextjs-app") {
		t.Errorf("nextjs: %v", nextjs.Reload)
	}
	formats := map[string]secret.LogFormat{}
	for _, l := range env.Logs {
		formats[filepath.Base(l.Path)] = l.Format
	}
	wantLogs := map[string]secret.LogFormat{"security.log": "security", "django.log": "django", "access.log": "access"}
	if d := cmp.Diff(wantLogs, formats); d != "" {
		t.Error(d)
	}
	if env.Sentry.URL != "https://sentry.io" || env.Sentry.Organization != "your-org" {
		t.Errorf("Sentry: %v", env.Sentry)
	}
	if c := cat.Contacts[0]; c.Slack != "#devops-alerts" || c.Email != "devops@example.com" {
		t.Errorf("the first contact is %v", c)
	}
	if !cat.PagerDuty.Enabled || cat.Contacts[1].Phone != "PagerDuty rotation" {
		t.Error("on-call is PagerDuty's rotation")
	}
}

// TestExampleRotatesEverySecretOfTheGuide: none is left to people, each has a place to
// be tried in first, and all are one group.
func TestExampleRotatesEverySecretOfTheGuide(t *testing.T) {
	t.Parallel()
	cat := loadExample(t)
	for name, want := range map[string]secret.Procedure{
		"SECRET_KEY": secret.DjangoKey, "REVALIDATE_SECRET": secret.HMACOverlap, "ANALYTICS_SECRET": secret.HMACOverlap,
		"EMAIL_HOST_PASSWORD": secret.SMTPPassword, "SENTRY_DSN": secret.SentryKey, "DATABASE_URL": secret.PostgresRole,
	} {
		s, _ := cat.Secret(name)
		if s.Procedure != want || s.Overlap != 24*time.Hour {
			t.Errorf("%s is rotated by %s with %s of overlap", name, s.Procedure, s.Overlap)
		}
		for _, env := range []string{"production", "staging"} {
			p, ok := cat.Place(name, env)
			if !ok || len(p.Checks) == 0 {
				t.Errorf("%s has no place in %s, or no checks there", name, env)
			}
		}
	}
	production, _ := cat.Environment("")
	if production.After != "staging" || production.AfterWithin != 14*24*time.Hour {
		t.Errorf("production comes after %q within %s", production.After, production.AfterWithin)
	}
	for _, g := range cat.Groups {
		if g.Name == "leather" && len(g.Secrets) != len(cat.Secrets) {
			t.Errorf("the group of everything has %d of %d secrets", len(g.Secrets), len(cat.Secrets))
		}
	}
	// The guide's verification checklist, by kind.
	kinds := map[secret.CheckKind]bool{}
	for _, s := range cat.Secrets {
		p, _ := cat.Place(s.Name, "")
		for _, c := range p.Checks {
			kinds[c.Kind] = true
		}
	}
	for _, k := range []secret.CheckKind{secret.CheckHealth, secret.CheckRequest, secret.CheckSMTP, secret.CheckTask, secret.CheckSentry, secret.CheckLogs} {
		if !kinds[k] {
			t.Errorf("no check is of kind %s", k)
		}
	}
	if key, _ := cat.Place("SECRET_KEY", ""); key.Sessions == nil || key.Sessions.Tidy[2] != "clearsessions" {
		t.Error("the guide runs clearsessions after SECRET_KEY")
	}
}

func TestExampleOnAnotherMachine(t *testing.T) {
	t.Parallel()
	_, err := Load(example, Under(machine(t, "/srv/leather-web/.env")))
	var faults Errors
	if !errors.As(err, &faults) {
		t.Fatalf("want missing files and folders, got:\n%v", err)
	}
	missing := map[string]int{}
	for _, f := range faults {
		path := regexp.MustCompile(`"(/[^"]+)"`).FindStringSubmatch(f.Message)
		if path == nil || !strings.Contains(f.Message, "does not exist") {
			t.Errorf("another fault than a missing file: %s", f)
			continue
		}
		missing[path[1]]++
	}
	// Two services share the env file; three logs, two usages and two tripwires the folder; two places
	// the token.
	want := map[string]int{"/srv/leather-api/.env": 2, "/srv/leather-api/logs": 7, "/etc/rekey/sentry-admin-token": 2}
	if d := cmp.Diff(want, missing); d != "" {
		t.Error(d)
	}
	if got := faults[0].String(); !strings.HasPrefix(got, `rekey.yaml:68: "env_file" of consumer django: the file "/srv/leather-api/.env" does not exist: `) {
		t.Error(got)
	}
}

// TestExampleOfOtherLogs: what the example shows in comments of other formats is sound.
func TestExampleOfOtherLogs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^      # (- |  [a-z]+: )`).ReplaceAllString(string(data), "      $1")
	c, err := Parse("rekey.yaml", []byte(shown), Under(machine(t, exampleFiles...)))
	if err != nil {
		t.Fatal(err)
	}
	env, _ := c.Catalogue.Environment("")
	var got []string
	for _, l := range env.Logs {
		got = append(got, fmt.Sprintf("%s %s %s %t", filepath.Base(l.Name()), l.Format, l.Zone, l.Pattern != ""))
	}
	want := []string{
		"security.log security UTC false", "django.log django UTC false", "access.log access UTC false",
		"caddy.log json UTC false", "celery.log django Europe/Berlin false", "all.log auto UTC false", "edge.log pattern UTC true",
		`Loki {app="leather-api", env="production"} access UTC false`, "api access UTC false", "journal leather-api.service django UTC false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(env.Proxies) != 2 {
		t.Errorf("proxies %v", env.Proxies)
	}
}
