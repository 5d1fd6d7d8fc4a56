package cli_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"rekey/bot/bottest"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// slack said TEXT…: #devops-alerts comes to hold a message with all of them. slack
// silent: it holds none. slack connected: a rekey listens.
func slack(ts *testscript.TestScript, neg bool, args []string) {
	w := world(ts)
	switch args[0] {
	case "said":
		wait(ts, "Slack is told "+strings.Join(args[1:], ", "), func() bool { return said(w, args[1:]) != neg })
	case "silent":
		if n := len(w.Alerts.All()); n > 0 {
			ts.Fatalf("#devops-alerts holds %d messages", n)
		}
	case "connected":
		wait(ts, "a rekey listens to Slack", func() bool { return w.Slack.Connections() > 0 })
	default:
		ts.Fatalf("slack knows no %q", args[0])
	}
}

func said(w *rehearsal.World, parts []string) bool {
	has := func(m bottest.Message) bool {
		for _, p := range parts {
			if !strings.Contains(m.Plain(), p) {
				return false
			}
		}
		return true
	}
	for _, m := range w.Alerts.All() {
		if has(m) {
			return true
		}
	}
	return false
}

// json WORDS…: the last output is JSON, of one or more documents, and holds the words.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	out := ts.ReadFile("stdout")
	n := 0
	for d := json.NewDecoder(strings.NewReader(out)); ; n++ {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			ts.Fatalf("document %d of the output is not JSON: %v", n+1, err)
		}
	}
	if n == 0 {
		ts.Fatalf("no JSON was printed")
	}
	for _, word := range args {
		if strings.Contains(out, word) == neg {
			ts.Fatalf("the JSON holds %s: %v", word, neg)
		}
	}
}

// again CODE FILE: types the command that the last output says makes the same bundle
// again, into FILE.
func again(ts *testscript.TestScript, neg bool, args []string) {
	_, line, ok := strings.Cut(ts.ReadFile("stdout"), "from the same logs:\n")
	if !ok || len(args) != 2 {
		ts.Fatalf("the last output names no command that makes a bundle again")
	}
	words := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(line, "\\\n", " "), "FILE", args[1]))
	exits(ts, neg, append([]string{args[0]}, words...))
}

// wait waits for something to be so.
func wait(ts *testscript.TestScript, what string, is func() bool) {
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// attack: somebody who is not ours sends requests with the right value, until some
// were let in.
func attack(ts *testscript.TestScript, _ bool, _ []string) {
	traffic := world(ts).Estate.StartTraffic(context.Background(), estatetest.TrafficConfig{Attack: 20})
	ts.Defer(func() { traffic.Stop() })
	wait(ts, "the attacker gets in", func() bool { return traffic.Counts().Attacker.Accepted > 2 })
}

// left: a job of ours goes on with the value of before, from now on.
func leftBehind(ts *testscript.TestScript, _ bool, _ []string) {
	traffic := world(ts).Estate.StartTraffic(context.Background(), estatetest.TrafficConfig{Left: 4})
	ts.Defer(func() { traffic.Stop() })
	wait(ts, "the job gets in", func() bool { return traffic.Counts().Left.Accepted > 2 })
}

// freeport: a rekey started after this serves its health where no other process does.
func freePort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("REKEY_HEALTH_ADDR", l.Addr().String())
	ts.Check(l.Close())
}

// breaks SERVICE: it takes no reload from now on.
func breaks(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(world(ts).Estate.SetFaults(args[0], estatetest.Faults{IgnoreReload: true}))
}

// inFiles answers the values of a secret that the two services hold, in any variable.
func inFiles(w *rehearsal.World, name string) []string {
	var out []string
	for _, service := range []string{estatetest.API, estatetest.Web} {
		for _, variable := range []string{name, name + "_OLD"} {
			if v, err := w.Estate.InFile(service, variable); err == nil && !v.IsZero() {
				out = append(out, v.Reveal())
			}
		}
	}
	return out
}

// values are all that must never be printed.
func values(w *rehearsal.World) []string {
	out := []string{
		w.Slack.AppToken(), w.Slack.BotToken(), w.PagerDuty.RoutingKey(), w.Sentry.Token(), w.Sentry.DSN(), w.Getenv("REKEY_KEY"),
	}
	for name, first := range w.Estate.Values() {
		out = append(append(out, first.Reveal()), inFiles(w, name)...)
	}
	return out
}

// sql STATEMENT: what somebody with the whole database, but without the key, can do.
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	w, ctx := world(ts), context.Background()
	if u := w.Getenv("REKEY_DATABASE_URL"); u != "" {
		conn, err := pgx.Connect(ctx, u)
		ts.Check(err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, "ALTER TABLE rekey_ledger DISABLE TRIGGER USER; "+args[0])
		ts.Check(err)
		return
	}
	db, err := sql.Open("sqlite", "file:"+w.DatabasePath()+"?_pragma=busy_timeout(10000)")
	ts.Check(err)
	defer db.Close()
	_, err = db.ExecContext(ctx, "DROP TRIGGER rekey_ledger_no_update; DROP TRIGGER rekey_ledger_no_delete; "+args[0])
	ts.Check(err)
}
