package intake_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
	"rekey/commands"
	"rekey/commands/intake"
	"rekey/commands/issue"
	"rekey/commands/jobs"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// The people and the channel of the tests.
var (
	alice   = commands.Actor{Via: "slack", ID: "U0ALICE", Name: "alice", Channel: "C0ALERTS"}
	bob     = commands.Actor{Via: "slack", ID: "U0BOB", Name: "bob", Channel: "C0ALERTS"}
	mallory = commands.Actor{Via: "slack", ID: "U0MALLORY", Name: "mallory", Channel: "C0ALERTS"}
)

// world is a desk on a real database with the real queue beside it.
type world struct {
	t     *testing.T
	dir   string
	cat   *secret.Catalogue
	key   secret.Key
	guard *secret.Guard
	store *sqlite.Store
	queue *jobs.Engine
	desk  *intake.Desk

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), cat: catalogue(), now: noon}
	var err error
	if w.key, err = secret.NewKey(nil); err != nil {
		t.Fatal(err)
	}
	w.guard = secret.NewGuard(w.key)
	w.store = w.open(nil)
	if w.queue, err = jobs.InsertOnly(t.Context(), jobs.Config{Store: w.store, Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	planner, err := rotate.New(rotate.Config{
		Stores: map[string]store.Store{secret.Dotenv: dotenv.New()}, Guard: w.guard, Key: w.key, Checks: counting{},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.desk = intake.New(intake.Config{Planner: planner, Catalogue: w.cat, Store: w.store, Queue: w.queue, Guard: w.guard, Now: w.clock})
	return w
}

// open opens the world's database once more, with a clock of its own.
func (w *world) open(now func() time.Time) *sqlite.Store {
	w.t.Helper()
	s, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.database(), Key: ledgertest.Key(w.t, 1), Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

func (w *world) database() string { return filepath.Join(w.dir, "rekey.db") }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func catalogue() *secret.Catalogue {
	both := []secret.Place{{Environment: "production"}, {Environment: "staging"}}
	return &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production"}, {Name: "staging"}},
		Secrets: []secret.Secret{
			{
				Name: "REVALIDATE_SECRET", Purpose: "cache", Owner: "Web", Risk: secret.Medium, Procedure: secret.HMACOverlap,
				RotateEvery: 90 * 24 * time.Hour, RotateMonths: 3, LastRotated: noon.AddDate(0, -2, 0), Overlap: 24 * time.Hour, Places: both,
			},
			{Name: "ANALYTICS_SECRET", Risk: secret.Low, Procedure: secret.HMACOverlap, Places: both[:1]},
			{
				Name: "EMAIL_HOST_PASSWORD", Owner: "Ops", Risk: secret.High, Procedure: secret.Manual,
				Instructions: "Make a new one in the mail console", RotateEvery: 24 * time.Hour, Places: both[:1],
			},
		},
		Access: secret.Access{
			Responders: []string{alice.ID}, Readers: []string{bob.ID}, Channels: []string{alice.Channel}, CLI: []string{"root"},
		},
		Contacts: []secret.Contact{{Name: "DevOps", Slack: "#devops-alerts"}},
	}
}

// ask answers a request of its own id.
func ask(id string, who commands.Actor, verb commands.Verb, name string) commands.Request {
	req := commands.Request{ID: id, At: noon, Actor: who, Verb: verb, Secret: name}
	if verb == commands.Rotate {
		req.Mode, req.Reason = commands.Compromised, "found in a CI log"
	}
	return req
}

func (w *world) take(req commands.Request) commands.Answer {
	w.t.Helper()
	a, err := w.desk.Take(w.t.Context(), req)
	if err != nil {
		w.t.Fatalf("taking %s %s: %v", req.Verb, req.ID, err)
	}
	return a
}

// start takes a rotation and answers its run.
func (w *world) start(id string, mode commands.Mode) ledger.Run {
	w.t.Helper()
	req := ask(id, alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Mode = mode
	a := w.take(req)
	if a.Outcome != commands.Taken || a.Run == "" {
		w.t.Fatalf("the request was answered %s: %s", a.Outcome, a.Text)
	}
	return w.run(a.Run)
}

func view[T any](w *world, read func(ctx context.Context, tx ledger.Tx) (T, error)) T {
	w.t.Helper()
	var out T
	err := w.store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) (err error) {
		out, err = read(ctx, tx)
		return err
	})
	if err != nil {
		w.t.Fatalf("reading the database: %v", err)
	}
	return out
}

func (w *world) run(id string) ledger.Run {
	w.t.Helper()
	return view(w, func(ctx context.Context, tx ledger.Tx) (ledger.Run, error) { return tx.Run(ctx, id) })
}

func (w *world) entries() []ledger.Entry {
	w.t.Helper()
	var all []ledger.Entry
	if err := w.store.Export(context.Background(), 1, func(e ledger.Entry) error { all = append(all, e); return nil }); err != nil {
		w.t.Fatalf("exporting the security log: %v", err)
	}
	return all
}

// deliveries are the names of what is to be told about a run.
func (w *world) deliveries(run string) []string {
	w.t.Helper()
	all := view(w, func(ctx context.Context, tx ledger.Tx) ([]ledger.Delivery, error) { return tx.Deliveries(ctx, run) })
	var names []string
	for _, d := range all {
		names = append(names, strings.TrimPrefix(d.ID, run+"/"))
	}
	slices.Sort(names)
	return names
}

// jobs are the wake-ups in the job engine's own table, sorted: "run r-1".
func (w *world) jobs() []string {
	w.t.Helper()
	rows, err := w.store.DB().QueryContext(context.Background(), `SELECT kind || ' ' || json_extract(args, '$.id') FROM river_job`)
	if err != nil {
		w.t.Fatalf("reading the queue: %v", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var job string
		if err := rows.Scan(&job); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, job)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// counts is everything a request could leave behind.
func (w *world) counts() string {
	w.t.Helper()
	runs := view(w, func(ctx context.Context, tx ledger.Tx) ([]ledger.Run, error) {
		return tx.Runs(ctx, ledger.RunFilter{Limit: 1000})
	})
	var requests, deliveries int
	for table, n := range map[string]*int{"rekey_requests": &requests, "rekey_deliveries": &deliveries} {
		if err := w.store.DB().QueryRowContext(context.Background(), "SELECT count(*) FROM "+table).Scan(n); err != nil {
			w.t.Fatalf("counting %s: %v", table, err)
		}
	}
	return fmt.Sprintf("%d runs, %d entries, %d jobs, %d requests, %d deliveries", len(runs), len(w.entries()), len(w.jobs()), requests, deliveries)
}

// mustNotHold looks for text in every byte of the database's files.
func (w *world) mustNotHold(text string) {
	w.t.Helper()
	files, err := os.ReadDir(w.dir)
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no database in %s: %v", w.dir, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(w.dir, f.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			w.t.Errorf("a pasted value is in %s", f.Name())
		}
	}
}

// claim makes replica the holder of a run, alive for a minute.
func (w *world) claim(run, replica string) ledger.Run {
	w.t.Helper()
	var r ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.Beat(ctx, ledger.Replica{ID: replica}, time.Minute); err != nil {
			return err
		}
		var err error
		r, err = tx.ClaimRun(ctx, run, replica)
		return err
	})
	return r
}

func (w *world) release(r ledger.Run) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx ledger.Tx) error { return tx.ReleaseRun(ctx, r.ID, r.Holder, r.Fence) })
}

func (w *world) update(fn func(ctx context.Context, tx ledger.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), fn); err != nil {
		w.t.Fatalf("writing: %v", err)
	}
}

// end brings a run to an end, as its worker would.
func (w *world) end(run string, state ledger.RunState) {
	w.t.Helper()
	r := w.claim(run, "worker")
	r.State, r.EndedAt = state, w.clock()
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.UpdateRun(ctx, &r); err != nil {
			return err
		}
		return tx.ReleaseRun(ctx, r.ID, r.Holder, r.Fence)
	})
}

// counting is an estate whose sessions are counted by a command that prints them; what
// else could be looked at is not part of taking requests.
type counting struct{}

func (counting) Count(_ context.Context, m *secret.Sessions) (string, error) {
	if m.Count[0] == "broken" {
		return "", context.DeadlineExceeded
	}
	return strings.Join(m.Count, " ") + " end.", nil
}

func (counting) Run(context.Context, rotate.Subject, secret.Value, time.Time) (seen, failed []string) {
	return nil, nil
}

func (counting) Usage(context.Context, []secret.UsageSource, time.Time) (issue.Usage, error) {
	return issue.Usage{}, nil
}
func (counting) End(context.Context, *secret.Sessions) (string, error)  { return "", nil }
func (counting) Tidy(context.Context, *secret.Sessions) (string, error) { return "", nil }
