package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
)

const canary = "canary8f14e45fceea167a5a36dedd4b"

// env answers a getenv over pairs, with a state folder of its own.
func env(t testing.TB, pairs ...string) func(string) string {
	t.Helper()
	m := map[string]string{"REKEY_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	for pair := range slices.Chunk(pairs, 2) {
		m[pair[0]] = pair[len(pair)-1]
	}
	return func(name string) string { return m[name] }
}

func write(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
	return p
}

var goodKey = strings.Repeat("0123456789abcdef", 4)

// Guide: practices/environment-variables
func TestSettingsFromVariablesAndFiles(t *testing.T) {
	t.Parallel()
	s, err := FromEnvironment(env(t,
		"SLACK_APP_TOKEN", "xapp-1-A1-2-abc\n",
		"SLACK_BOT_TOKEN_FILE", write(t, "xoxb-1-2-abc\r\n", 0o400),
		"PAGERDUTY_ROUTING_KEY", "R0123456789012345678901234567890",
		"SENTRY_AUTH_TOKEN_FILE", write(t, "sntrys_abc", 0o600),
		"REKEY_SENTRY_DSN", "https://abc@o1.ingest.sentry.io/7",
		"REKEY_DATABASE_URL_FILE", write(t, "postgres://rekey:p%40ss@db:5432/rekey?sslmode=verify-full\n", 0o440),
		"REKEY_KEY", goodKey,
		"SLACK_API_URL", "http://127.0.0.1:8080/api", "PAGERDUTY_EVENTS_URL", "https://events.eu.pagerduty.com/",
		"REKEY_LOG_LEVEL", "Debug", "REKEY_HEALTH_ADDR", "off",
	))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		s.SlackAppToken.Reveal(), s.SlackBotToken.Reveal(), s.PagerDutyRoutingKey.Len(), s.SentryAuthToken.Reveal(),
		s.DatabaseURL.Reveal(), s.Key.Hex().Reveal(), s.SlackAPIURL, s.PagerDutyEventsURL, s.LogLevel, s.HealthAddress,
		s.Postgres(), s.SQLitePath(), s.Slack(),
	}
	want := []any{
		"xapp-1-A1-2-abc", "xoxb-1-2-abc", 32, "sntrys_abc",
		"postgres://rekey:p%40ss@db:5432/rekey?sslmode=verify-full", goodKey, "http://127.0.0.1:8080/api/", "https://events.eu.pagerduty.com",
		slog.LevelDebug, "", true, "", true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSettingsByDefault(t *testing.T) {
	t.Parallel()
	getenv := env(t)
	s, err := FromEnvironment(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if s.Postgres() || s.SQLitePath() != filepath.Join(s.StateDir, "rekey.db") || s.HealthAddress != defaultHealth || s.Slack() || s.LogLevel != slog.LevelInfo {
		t.Errorf("%+v", s)
	}
	info, err := os.Stat(filepath.Join(s.StateDir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v, %v", info, err)
	}
	again, err := FromEnvironment(getenv)
	if err != nil || !again.Key.Equal(s.Key.Value) {
		t.Errorf("a second start reads the same key: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(s.StateDir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSettingsFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := FromEnvironment(env(t,
		"SLACK_APP_TOKEN", "xoxb-"+canary,
		"SLACK_BOT_TOKEN", "xoxb-1", "SLACK_BOT_TOKEN_FILE", "/x",
		"PAGERDUTY_ROUTING_KEY_FILE", write(t, "", 0o600),
		"SENTRY_AUTH_TOKEN_FILE", write(t, canary, 0o644),
		"REKEY_SENTRY_DSN", canary,
		"REKEY_DATABASE_URL", "mysql://"+canary,
		"REKEY_KEY", canary+"\n"+canary,
		"SLACK_API_URL", "http://slack.example.com/api",
		"PAGERDUTY_EVENTS_URL", "events",
		"REKEY_LOG_LEVEL", "loud", "REKEY_HEALTH_ADDR", "8080",
	))
	var faults Errors
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	var names []string
	for _, f := range faults {
		names = append(names, f.File)
		if f.Hint == "" {
			t.Errorf("%s has no hint", f)
		}
	}
	want := []string{
		"SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "PAGERDUTY_ROUTING_KEY_FILE", "SENTRY_AUTH_TOKEN_FILE", "REKEY_SENTRY_DSN",
		"REKEY_DATABASE_URL", "REKEY_KEY", "SLACK_API_URL", "PAGERDUTY_EVENTS_URL", "REKEY_LOG_LEVEL", "REKEY_HEALTH_ADDR",
	}
	slices.Sort(want)
	slices.Sort(names)
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("a fault shows a value")
	}
}

func TestSettingsRefuse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pairs []string
		want  string
	}{
		"one Slack token":        {[]string{"SLACK_BOT_TOKEN", "xoxb-1"}, "SLACK_APP_TOKEN: it is not set"},
		"tokens swapped":         {[]string{"SLACK_BOT_TOKEN", "xapp-1", "SLACK_APP_TOKEN", "xapp-1"}, "xoxb-"},
		"file missing":           {[]string{"REKEY_KEY_FILE", "/nowhere/key"}, "does not exist"},
		"file is a folder":       {[]string{"REKEY_KEY_FILE", "/"}, "no ordinary file"},
		"file a group may write": {[]string{"REKEY_KEY_FILE", write(t, goodKey, 0o660)}, "a group may write"},
		"file of two lines":      {[]string{"SENTRY_AUTH_TOKEN_FILE", write(t, "a\nb", 0o600)}, "line breaks"},
		"PostgreSQL without key": {[]string{"REKEY_DATABASE_URL", "postgres://db/rekey"}, "needs it"},
		"PostgreSQL without host": {
			[]string{"REKEY_DATABASE_URL", "postgres:///rekey", "REKEY_KEY", goodKey}, "names no host",
		},
		"memory":        {[]string{"REKEY_DATABASE_URL", ":memory:"}, "never kept in memory"},
		"key too short": {[]string{"REKEY_KEY", goodKey[:62]}, "64 hex digits"},
		"key of zeros":  {[]string{"REKEY_KEY", strings.Repeat("0", 64)}, "one byte repeated"},
	} {
		if _, err := FromEnvironment(env(t, test.pairs...)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSQLitePaths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/var/lib/rekey/a.db": "/var/lib/rekey/a.db", "sqlite:/x/a.db": "/x/a.db", "sqlite:///x/a.db": "/x/a.db", "file:/x/a.db": "/x/a.db",
	} {
		s, err := FromEnvironment(env(t, "REKEY_DATABASE_URL", text, "REKEY_KEY", goodKey))
		if err != nil || s.SQLitePath() != want || s.Postgres() {
			t.Errorf("%s: %s, %v", text, s.SQLitePath(), err)
		}
	}
}

func TestKeyIsNeverMadeAnewBesideADatabase(t *testing.T) {
	t.Parallel()
	getenv := env(t)
	s, err := FromEnvironment(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.SQLitePath(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.StateDir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := FromEnvironment(getenv); err == nil || !strings.Contains(err.Error(), "restore the key file") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.StateDir, keyFile), []byte(goodKey), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := FromEnvironment(getenv); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("got %v", err)
	}
}

func TestProcessesThatStartAtOnceGetOneKey(t *testing.T) {
	t.Parallel()
	getenv := env(t)
	keys := make([]secret.Key, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			s, err := FromEnvironment(getenv)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = s.Key
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k.IsZero() || !k.Equal(keys[0].Value) {
			t.Fatal("two keys were made")
		}
	}
}

func TestAgree(t *testing.T) {
	t.Parallel()
	c := &Config{Path: "rekey.yaml", Catalogue: &secret.Catalogue{PagerDuty: secret.PagerDuty{Enabled: true}}}
	err := Agree(c, Settings{SlackAppToken: secret.NewValue("a"), SlackBotToken: secret.NewValue("b")})
	var faults Errors
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("got %v", err)
	}
	c.Catalogue.Slack.Channel = "C1"
	if err := Agree(c, Settings{PagerDutyRoutingKey: secret.NewValue("k")}); err != nil {
		t.Error(err)
	}
}

// TestVariablesAreThoseRead compares the documented names with those asked for.
func TestVariablesAreThoseRead(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	getenv := env(t)
	if _, err := FromEnvironment(func(name string) string { asked[name] = true; return getenv(name) }); err != nil {
		t.Fatal(err)
	}
	for _, v := range Variables() {
		if !asked[v.Name] || asked[v.Name+"_FILE"] != v.Secret {
			t.Errorf("%s is documented and not read so", v.Name)
		}
		delete(asked, v.Name)
		delete(asked, v.Name+"_FILE")
	}
	delete(asked, "STATE_DIRECTORY") // systemd's, named as a default
	for name := range asked {
		t.Errorf("%s is read and not documented", name)
	}
}
