package rehearsal_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	slackapi "github.com/slack-go/slack"
	_ "modernc.org/sqlite" // the driver, to read every table

	"rekey/audit/ledger/ledgertest"
)

// canary knows what must be nowhere. It finds values by its own list of forms, not by
// the guard's, so that what the guard forgot is found.
type canary struct {
	t    *testing.T
	dirs []string // where values may be: beside the env files

	mu      sync.Mutex
	known   map[string]string // value: what it is
	needles map[string]needle // form: what it is
}

type needle struct{ what, except string }

// value is what all secrets of the estate look like.
var value = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

func newCanary(t *testing.T, estate string) *canary {
	t.Helper()
	c := &canary{t: t, known: map[string]string{}, needles: map[string]needle{}}
	c.dirs = []string{filepath.Join(estate, "api"), filepath.Join(estate, "web")}
	c.collect()
	return c
}

// collect learns every value in and beside the env files: live ones, previous ones,
// and those in escrow or in a prepared copy.
func (c *canary) collect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, dir := range c.dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			c.t.Errorf("collecting values: %v", err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				continue // renamed in between; what it held is found under its new name
			}
			for _, v := range value.FindAllString(string(text), -1) {
				if c.known[v] == "" {
					c.known[v] = fmt.Sprintf("value %d (of %s)", len(c.known)+1, f.Name())
					c.add(c.known[v], v, "")
				}
			}
		}
	}
}

// addTokens adds what rekey itself signs in with; each may be with its own vendor.
func (c *canary) addTokens(s *stage) {
	for name, sink := range map[string]string{
		"SLACK_APP_TOKEN": slackTraffic, "SLACK_BOT_TOKEN": slackTraffic, "PAGERDUTY_ROUTING_KEY": pagerDutyTraffic,
		"SENTRY_AUTH_TOKEN": sentryTraffic, "REKEY_SENTRY_DSN": sentryTraffic, "REKEY_KEY": "",
	} {
		c.add(name, s.Getenv(name), sink)
	}
}

func (c *canary) values() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known)
}

func (c *canary) plain() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.known))
}

// add adds the forms of v.
func (c *canary) add(what, v, except string) {
	forms := map[string]string{
		"raw": v, "upper case": strings.ToUpper(v), "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query-escaped": url.QueryEscape(v), "path-escaped": url.PathEscape(v),
	}
	raw, err := hex.DecodeString(v)
	if err == nil {
		forms["bytes"] = string(raw)
	}
	for _, b := range [][]byte{[]byte(v), raw} {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			for shift := range 3 { // where it begins inside a larger text
				text := enc.EncodeToString(append(make([]byte, shift), b...))
				if len(text) > 16 {
					forms[fmt.Sprintf("%s of %d at %d", name, len(b), shift)] = text[min(4*shift, 4) : len(text)-4]
				}
			}
		}
	}
	for name, format := range map[string]string{"percent": "%%%02X", "percent lower": "%%%02x", "JSON": `\u%04x`, "bytes of Go": "%d "} {
		var b strings.Builder
		for _, x := range []byte(v) {
			fmt.Fprintf(&b, format, x)
		}
		forms[name] = strings.TrimSuffix(b.String(), " ")
	}
	quoted, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	forms["JSON text"] = strings.Trim(string(quoted), `"`)
	for form, text := range forms {
		if len(text) < head {
			c.t.Errorf("%s, %s, is too short to be told from anything else", what, form)
			continue
		}
		if _, ok := c.needles[text]; !ok {
			c.needles[text] = needle{what: what + ", " + form, except: except}
		}
	}
}

// find names what a sink holds and may not; never the value.
func (c *canary) find(k sink) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for text := range heldIn(k.text, c.needles) {
		if n := c.needles[text]; n.except != k.name {
			found = append(found, n.what)
		}
	}
	slices.Sort(found)
	return found
}

// head is how much of a needle is looked for at every byte of a text; add makes none
// shorter.
const head = 4

// heldIn answers which needles a text holds. There are hundreds of them, and megabytes to
// search, so all are looked for in one pass; and the race detector, which would take many
// times as long as that, has nothing to see: both belong to the caller alone.
//
//go:norace
func heldIn(text []byte, needles map[string]needle) map[string]bool {
	begins := map[uint32][]string{}
	var may [1 << 16]bool // the first two bytes of any needle
	for n := range needles {
		at := binary.BigEndian.Uint32([]byte(n[:head]))
		begins[at] = append(begins[at], n)
		may[at>>16] = true
	}
	found := map[string]bool{}
	for i := 0; i+head <= len(text); i++ {
		if !may[uint(text[i])<<8|uint(text[i+1])] {
			continue
		}
		for _, n := range begins[binary.BigEndian.Uint32(text[i:])] {
			if len(text)-i >= len(n) && string(text[i:i+len(n)]) == n {
				found[n] = true
			}
		}
	}
	return found
}

// sink is a place where values could end up.
type sink struct {
	name string
	text []byte
}

// The sinks that have tokens of their own.
const (
	slackTraffic     = "what Slack was sent"
	slackFiles       = "the files in Slack"
	pagerDutyTraffic = "what PagerDuty was sent"
	sentryTraffic    = "what Sentry was sent"
)

func (s *stage) sinks(databaseURL string, terminal *logs) []sink {
	s.t.Helper()
	acks := slices.DeleteFunc(s.Slack.Traffic(), func(b []byte) bool { return !bytes.HasPrefix(b, []byte("{")) })
	all := []sink{
		{"the log", []byte(s.log.String())},
		{"the terminal", []byte(terminal.String())},
		{"the acknowledgements", bytes.Join(acks, nil)},
		{slackTraffic, bytes.Join(s.Slack.Traffic(), nil)},
		{pagerDutyTraffic, bytes.Join(s.PagerDuty.Traffic(), nil)},
		{sentryTraffic, bytes.Join(s.Sentry.Traffic(), nil)},
		{slackFiles, uploads(s.Slack.Files())},
	}
	if _, err := os.Stat(s.bundle()); err == nil { // the canary wants it to be there
		all = append(all, sink{"the evidence bundle", unpacked(s.t, s.bundle())})
	}
	if databaseURL != "" {
		return append(all, sink{"the dump of the database", dump(s.t, databaseURL)})
	}
	return append(all, sink{"the database's tables", tables(s.t, s.DatabasePath())}, sink{"the database's files", files(s.t, s.DatabasePath())})
}

// byteas are bytes as pg_dump writes them.
var byteas = regexp.MustCompile(`\\\\x([0-9a-f]+)`)

func dump(t *testing.T, databaseURL string) []byte {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), ledgertest.PostgresTool(t, "pg_dump"), databaseURL).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	for _, m := range byteas.FindAllSubmatch(text, -1) {
		raw, err := hex.DecodeString(string(m[1]))
		if err == nil {
			text = append(append(text, '\n'), raw...)
		}
	}
	return text
}

// tables reads every row; in the files a text may be cut in two by the end of a page.
func tables(t *testing.T, path string) []byte {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b bytes.Buffer
	for _, table := range column(t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`) {
		var names []string
		for _, name := range column(t, db, fmt.Sprintf(`SELECT name FROM pragma_table_info('%s')`, table)) {
			names = append(names, fmt.Sprintf(`coalesce(CAST("%s" AS TEXT), '')`, name))
		}
		for _, row := range column(t, db, fmt.Sprintf(`SELECT %s FROM "%s"`, strings.Join(names, " || ' ' || "), table)) {
			b.WriteString(row + "\n")
		}
	}
	return b.Bytes()
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

func files(t *testing.T, path string) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// plantAcknowledgement acknowledges something with a value in it, on a connection of
// its own.
func (s *stage) plantAcknowledgement(text string) {
	t := s.t
	t.Helper()
	api := slackapi.New(s.Slack.BotToken(), slackapi.OptionAppLevelToken(s.Slack.AppToken()), slackapi.OptionAPIURL(s.Slack.APIURL()))
	_, address, err := api.StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(t.Context(), address, nil) //nolint:bodyclose // the package says there is nothing to close
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // it has served its purpose
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"envelope_id":"planted","payload":{"text":"`+text+`"}}`)); err != nil {
		t.Fatal(err)
	}
	s.within("Slack has read it", func() bool {
		return slices.ContainsFunc(s.Slack.Traffic(), func(b []byte) bool { return bytes.Contains(b, []byte(`"planted"`)) })
	})
}
