package rehearsal_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/journal"
)

// execute runs a statement in the database from outside rekey.
func (s *stage) execute(statement string) {
	s.t.Helper()
	if s.Getenv("REKEY_DATABASE_URL") != "" {
		if _, err := s.connect().Exec(s.t.Context(), statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
		return
	}
	conn, end := s.sqlite()
	defer end()
	if _, err := conn.ExecContext(s.t.Context(), statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// sqlite opens a second connection to the database.
func (s *stage) sqlite() (conn *sql.Conn, end func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.DatabasePath()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		s.t.Fatal(err)
	}
	if conn, err = db.Conn(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return conn, func() {
		if err := conn.Close(); err != nil {
			s.t.Errorf("closing the second connection: %v", err)
		}
		if err := db.Close(); err != nil {
			s.t.Errorf("closing the second connection: %v", err)
		}
	}
}

// block keeps everybody from writing until released; what is the lock to take.
func (s *stage) block(what string) (release func()) {
	s.t.Helper()
	if s.Getenv("REKEY_DATABASE_URL") != "" {
		return s.lock(what)
	}
	conn, end := s.sqlite()
	if _, err := conn.ExecContext(s.t.Context(), what); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	return func() {
		defer end()
		if _, err := conn.ExecContext(context.WithoutCancel(s.t.Context()), "ROLLBACK"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// lock takes a lock in the database until it is released. It may still be waited for when
// lock returns: a process that is paused can have been reading at that moment. Whoever asks
// from now on waits behind it all the same.
func (s *stage) lock(statement string) (release func()) {
	s.t.Helper()
	conn, look := s.connect(), s.connect()
	if _, err := conn.Exec(s.t.Context(), "BEGIN"); err != nil {
		s.t.Fatal(err)
	}
	taken := make(chan error, 1)
	go func() {
		_, err := conn.Exec(s.t.Context(), statement)
		taken <- err
	}()
	s.within("the lock is taken or waited for", func() bool {
		if len(taken) > 0 {
			return true
		}
		var waits bool
		if err := look.QueryRow(s.t.Context(), "SELECT count(*) > 0 FROM pg_locks WHERE pid = $1 AND NOT granted", conn.PgConn().PID()).Scan(&waits); err != nil {
			s.t.Fatal(err)
		}
		return waits
	})
	return func() {
		if err := <-taken; err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
		if _, err := conn.Exec(s.t.Context(), "ROLLBACK"); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) connect() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.Getenv("REKEY_DATABASE_URL"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(s.t.Context())) })
	return conn
}

// fenceAsked reports that somebody waits for the answer to whose a run is.
func (s *stage) fenceAsked() bool {
	s.t.Helper()
	conn := s.connect()
	defer conn.Close(s.t.Context()) //nolint:errcheck // nothing was written
	rows, err := conn.Query(s.t.Context(), `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	if err != nil {
		s.t.Fatal(err)
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.ContainsFunc(waiting, func(q string) bool {
		return strings.HasPrefix(strings.ToUpper(q), "SELECT") && strings.Contains(q, "rekey_runs") && strings.Contains(q, "$1") && !strings.Contains(q, "FOR UPDATE")
	})
}

// The database is held by somebody else: the person is told within Slack's three
// seconds that nothing was started, that is true, and later the same command works.
func TestADatabaseThatIsHeldStartsNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, locks := range map[string][2]string{
		"the head of the log": {"BEGIN IMMEDIATE", "SELECT * FROM rekey_head FOR UPDATE"},
		"the whole log":       {"BEGIN EXCLUSIVE", "LOCK TABLE rekey_ledger, rekey_head, rekey_runs, rekey_requests IN ACCESS EXCLUSIVE MODE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
				before := s.envFiles()
				lock := locks[0]
				if databaseURL != "" {
					lock = locks[1]
				}
				release := s.block(lock)
				const line = "/rotate REVALIDATE_SECRET compromised found in a CI log"
				answer := s.Alice.Types(t, s.Alerts, line)
				release()
				if answer.Err != "" || !strings.Contains(answer.Text, "Nothing was started") {
					t.Errorf("Slack shows %q %q", answer.Err, answer.Text)
				}
				s.within("the database answers", func() bool {
					a := s.Alice.Types(t, s.Alerts, "/rotate status")
					return a.Err == "" && a.Text != "" && !strings.Contains(a.Text, "Something went wrong")
				})
				if n := len(s.runs(s.app)); n != 0 {
					t.Fatalf("%d runs were started", n)
				}
				if head := s.head(); head != 0 {
					t.Errorf("the security log has %d entries", head)
				}
				if s.envFiles() != before {
					t.Error("an env file was touched")
				}
				s.within("the same command works", func() bool {
					a := s.Alice.Types(t, s.Alerts, line)
					return a.Err == "" && strings.Contains(a.Text, "Rotating REVALIDATE_SECRET")
				})
				mustEnd(t, s.ends(s.app), ledger.Succeeded)
				if n := len(s.runs(s.app)); n != 1 {
					t.Errorf("%d runs were started, want one", n)
				}
				s.mustServeOnOneNewValue("REVALIDATE_SECRET")
				s.mustVerify(s.app)
				s.Slack.ExpectNoErrors(t)
			})
		})
	}
}

// unwritable makes the security log refuse entries until it is mended.
func (s *stage) unwritable() (mend func()) {
	s.t.Helper()
	if s.Getenv("REKEY_DATABASE_URL") != "" {
		s.execute(`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON rekey_ledger FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`)
		return func() { s.execute("DROP TRIGGER disk_full ON rekey_ledger") }
	}
	s.execute(`CREATE TRIGGER disk_full BEFORE INSERT ON rekey_ledger BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`)
	return func() { s.execute("DROP TRIGGER disk_full") }
}

// The security log cannot be written: nothing is done, and nobody is told otherwise.
//
// Guide: emergency/document, practices/document-rotations
func TestNothingIsDoneThatCannotBeWrittenDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL})
		before := s.envFiles()
		mend := s.unwritable()
		for _, line := range []string{
			"/rotate REVALIDATE_SECRET compromised found in a CI log", "/audit-secret REVALIDATE_SECRET", "/rotate NO_SUCH compromised",
		} {
			a := s.Alice.Types(t, s.Alerts, line)
			if a.Err != "" || strings.Contains(a.Text, "Rotating") || strings.Contains(a.Text, "Reading") {
				t.Errorf("%s: Slack shows %q %q", line, a.Err, a.Text)
			}
			t.Logf("%s: %s", line, a.Text)
		}
		if n := len(s.runs(s.app)); n != 0 {
			t.Fatalf("%d runs were started", n)
		}
		if s.envFiles() != before || len(s.Alerts.Messages()) > 0 || len(s.PagerDuty.Incidents()) > 0 {
			t.Error("something was done")
		}
		mend()
		s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
		mustEnd(t, s.ends(s.app), ledger.Succeeded)
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}

// The security log cannot be written any more in the middle of a run: no further step
// is done until it can be, and then the run goes on.
func TestARunStandsStillWhileNothingCanBeWrittenDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		mended := make(chan func(), 1)
		s.raise(s.at("create", journal.Settled, func() { mended <- s.unwritable() }))
		before := s.envFiles()
		s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
		var mend func()
		select {
		case mend = <-mended:
		case <-time.After(patience):
			t.Fatal("the new value was never made")
		}
		s.within("the next step was tried three times", func() bool {
			return strings.Count(s.log.String(), `"msg":"the work will be tried again","kind":"run"`) >= 3
		})
		if s.envFiles() != before || len(s.prepared()) > 0 {
			t.Error("an env file was touched by a step that could not be written down")
		}
		if run := s.runs(s.app)[0]; run.State.Final() {
			t.Errorf("the run ended %s: %s", run.State, run.Problem)
		}
		mend()
		run := s.ends(s.app)
		mustEnd(t, run, ledger.Succeeded)
		s.mustServeOnOneNewValue("REVALIDATE_SECRET")
		s.mustHaveDoneEachStepOnce(s.app, "unwritable", run.ID)
		s.mustBeToldOnce(run)
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}

// The database goes away in the middle of a run, with every connection to it.
func TestARunOutlivesItsConnectionsToTheDatabase(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"publish/set/api", "switch/set/web", "retire/test/api"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := world(t, rehearsal.Config{DatabaseURL: ledgertest.Postgres(t)})
			knife, cut := s.connect(), make(chan struct{})
			s.raise(s.at(point, journal.Acted, func() {
				if _, err := knife.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
					t.Errorf("cutting the connections: %v", err)
				}
				close(cut)
			}))
			s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found in a CI log")
			select {
			case <-cut:
			case <-time.After(patience):
				t.Fatal("the moment to cut at was never reached")
			}
			w := s.watcher()
			run := s.ends(w)
			mustEnd(t, run, ledger.Succeeded)
			s.mustServeOnOneNewValue("REVALIDATE_SECRET")
			s.mustHaveLeftNothing(point)
			s.mustHaveDoneEachStepOnce(w, point, run.ID)
			s.mustBeToldOnce(run)
			s.mustVerify(w)
		})
	}
}
