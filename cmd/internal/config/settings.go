package config

import (
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"rekey/commands/secret"
)

// Settings are what a process needs besides the catalogue. They come from the
// environment; Variables describes each.
type Settings struct {
	SlackAppToken       secret.Value // xapp-…; zero together with SlackBotToken: no Slack
	SlackBotToken       secret.Value // xoxb-…
	PagerDutyRoutingKey secret.Value // zero: nobody is paged
	SentryAuthToken     secret.Value // to read issues with; zero: a gap in the evidence
	SentryDSN           secret.Value // for rekey's own errors; zero: they are only logged
	DatabaseURL         secret.Value // a postgres:// URL; zero: SQLite
	// Key is the root key: the security log's chain key and the fingerprints' keys
	// derive from it.
	Key                secret.Key
	StateDir           string // absolute; holds SQLite's file and the key made for it
	SlackAPIURL        string // "" or ends with /
	PagerDutyEventsURL string // "" or without a / at the end
	LogLevel           slog.Level
	HealthAddress      string // host:port of the health endpoint; "" for none

	sqlite string
}

// Variable describes one environment variable.
type Variable struct {
	Name    string
	Meaning string
	Default string
	Secret  bool // also read from the file that NAME_FILE names
}

// Variables lists every environment variable FromEnvironment reads.
func Variables() []Variable {
	return []Variable{
		{"SLACK_APP_TOKEN", "Slack app-level token with connections:write (xapp-…); needed with SLACK_BOT_TOKEN", "", true},
		{"SLACK_BOT_TOKEN", "Slack bot token (xoxb-…)", "", true},
		{"PAGERDUTY_ROUTING_KEY", "Events API v2 integration key (32 characters)", "", true},
		{"SENTRY_AUTH_TOKEN", "Sentry token with event:read, to look for misuse", "", true},
		{"REKEY_SENTRY_DSN", "where rekey reports its own errors", "", true},
		{"REKEY_DATABASE_URL", "postgres://… or the path of an SQLite file", "rekey.db in the state folder", true},
		{"REKEY_KEY", "root key, 64 hex digits; needed on PostgreSQL, made and kept in the state folder on SQLite", "", true},
		{"REKEY_STATE_DIR", "folder for the SQLite file and its key", "$STATE_DIRECTORY, else ./rekey-state", false},
		{"REKEY_LOG_LEVEL", "debug, info, warn or error", "info", false},
		{"REKEY_HEALTH_ADDR", "host:port of the health endpoint, or off", defaultHealth, false},
		{"SLACK_API_URL", "another Slack API", "https://slack.com/api/", false},
		{"PAGERDUTY_EVENTS_URL", "another Events API", "https://events.pagerduty.com", false},
	}
}

const defaultHealth = "127.0.0.1:7350"

// Postgres reports that DatabaseURL names a PostgreSQL database.
func (s Settings) Postgres() bool { return !s.DatabaseURL.IsZero() }

// SQLitePath answers the absolute path of the SQLite file, "" on PostgreSQL.
func (s Settings) SQLitePath() string { return s.sqlite }

// Slack reports that both Slack tokens are there.
func (s Settings) Slack() bool { return !s.SlackAppToken.IsZero() && !s.SlackBotToken.IsZero() }

// FromEnvironment reads the settings. Each secret comes from NAME or from the file
// that NAME_FILE names, never both. On SQLite without REKEY_KEY the root key is read
// from the state folder and made there, mode 0600, the first time. The error is an
// Errors with every fault; it holds no value.
func FromEnvironment(getenv func(string) string) (Settings, error) {
	e := &environment{getenv: getenv}
	var s Settings
	s.SlackAppToken = e.token("SLACK_APP_TOKEN", regexp.MustCompile(`^xapp-[A-Za-z0-9-]+$`), "write the app-level token, which begins with xapp-")
	s.SlackBotToken = e.token("SLACK_BOT_TOKEN", regexp.MustCompile(`^xoxb-[A-Za-z0-9-]+$`), "write the bot token, which begins with xoxb-")
	s.PagerDutyRoutingKey = e.token("PAGERDUTY_ROUTING_KEY", regexp.MustCompile(`^[A-Za-z0-9]{32}$`), "write the 32 characters of the Events API v2 integration key")
	s.SentryAuthToken = e.token("SENTRY_AUTH_TOKEN", regexp.MustCompile(`^[\x21-\x7e]+$`), "write the token alone")
	s.SentryDSN = e.token("REKEY_SENTRY_DSN", regexp.MustCompile(`^https?://[0-9A-Za-z]+(:[0-9A-Za-z]*)?@[^/\s]+/.*\d+$`), "write the whole DSN: https://key@host/project")
	e.pair(s)
	s.StateDir = e.folder()
	e.database(&s)
	s.SlackAPIURL = e.base("SLACK_API_URL")
	if s.SlackAPIURL != "" {
		s.SlackAPIURL += "/"
	}
	s.PagerDutyEventsURL = e.base("PAGERDUTY_EVENTS_URL")
	e.level(&s)
	s.HealthAddress = e.address("REKEY_HEALTH_ADDR")
	e.key(&s) // last: it may make a file, and does so only where all else is well
	if err := sorted(e.faults); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// pair refuses one Slack token without the other.
func (e *environment) pair(s Settings) {
	const hint = "Socket Mode needs both; leave both out to run without Slack"
	switch app, bot := s.SlackAppToken.IsZero(), s.SlackBotToken.IsZero(); {
	case app && !bot && !e.faulty("SLACK_APP_TOKEN"):
		e.fault("SLACK_APP_TOKEN", "it is not set, and SLACK_BOT_TOKEN is", hint)
	case bot && !app && !e.faulty("SLACK_BOT_TOKEN"):
		e.fault("SLACK_BOT_TOKEN", "it is not set, and SLACK_APP_TOKEN is", hint)
	}
}

// folder answers the state folder as an absolute path. systemd names one in
// STATE_DIRECTORY.
func (e *environment) folder() string {
	name, dir := "REKEY_STATE_DIR", e.getenv("REKEY_STATE_DIR")
	if dir == "" {
		name, dir = "STATE_DIRECTORY", e.getenv("STATE_DIRECTORY")
	}
	if dir == "" {
		name, dir = "REKEY_STATE_DIR", "rekey-state"
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		e.fault(name, "it cannot be made a whole path", "write a path from /")
	}
	return abs
}

// database tells a PostgreSQL URL from the path of an SQLite file.
func (e *environment) database(s *Settings) {
	const name = "REKEY_DATABASE_URL"
	v := e.token(name, nil, "")
	text := v.Reveal()
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme = strings.ToLower(scheme); {
	case text == "":
		s.sqlite = filepath.Join(s.StateDir, "rekey.db")
	case scheme == "postgres" || scheme == "postgresql":
		if u, err := url.Parse(text); err != nil || !strings.HasPrefix(rest, "//") {
			e.fault(name, "it is no PostgreSQL URL", "write postgres://user:password@host:5432/database, special characters percent-encoded")
		} else if u.Host == "" && u.Query().Get("host") == "" {
			e.fault(name, "it names no host", "write postgres://user:password@host:5432/database")
		}
		s.DatabaseURL = v
	case strings.Contains(text, "://") && scheme != "sqlite" && scheme != "file":
		e.fault(name, "this kind of database is not known", "write postgres://… or the path of an SQLite file")
	default:
		e.sqlite(s, text)
	}
}

func (e *environment) sqlite(s *Settings, text string) {
	path := text
	for _, prefix := range []string{"sqlite://", "sqlite:", "file://", "file:"} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			path = rest
			break
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil || path == "" || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?\x00") || path == ":memory:" {
		e.fault("REKEY_DATABASE_URL", "it is no path of a file", "write the path alone: /var/lib/rekey/rekey.db; a security log is never kept in memory")
		return
	}
	s.sqlite = abs
}

// base answers an http or https URL without a / at the end. Tokens go there, so that
// plain http is for this machine only.
func (e *environment) base(name string) string {
	text := strings.TrimSpace(e.getenv(name))
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		e.fault(name, "it is no base URL", "write https://host/path without user and query")
		return ""
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		e.fault(name, "it would carry tokens over plain http", "write https://…; http is for this machine only")
		return ""
	}
	return strings.TrimRight(text, "/")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (e *environment) level(s *Settings) {
	switch strings.ToLower(strings.TrimSpace(e.getenv("REKEY_LOG_LEVEL"))) {
	case "", "info":
		s.LogLevel = slog.LevelInfo
	case "debug":
		s.LogLevel = slog.LevelDebug
	case "warn", "warning":
		s.LogLevel = slog.LevelWarn
	case "error":
		s.LogLevel = slog.LevelError
	default:
		e.fault("REKEY_LOG_LEVEL", "it is no level", "write debug, info, warn or error")
	}
}

func (e *environment) address(name string) string {
	text := strings.TrimSpace(e.getenv(name))
	switch text {
	case "":
		return defaultHealth
	case "off", "none":
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /") {
		e.fault(name, "it is no address to listen on", "write host:port, such as "+defaultHealth+", or off")
	}
	return text
}
