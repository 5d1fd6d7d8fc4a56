package emergency_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
	"rekey/commands"
	"rekey/commands/emergency"
	"rekey/commands/estatetest"
	"rekey/commands/inspect"
	"rekey/commands/jobs"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
	"rekey/commands/usage"
)

func TestMain(m *testing.M) {
	estatetest.Main()
	os.Exit(m.Run())
}

const (
	id       = "r-1"
	name     = "REVALIDATE_SECRET"
	channel  = "C0ALERTS"
	overlap  = 24 * time.Hour
	patience = time.Minute // for what must happen
)

// world is a run, an estate of two real processes, and all that carries a run on.
type world struct {
	t      *testing.T
	estate *estatetest.Estate
	cat    *secret.Catalogue
	store  *sqlite.Store
	queue  *jobs.Engine
	guard  *secret.Guard
	key    secret.Key
	within time.Duration
	claims int

	mu   sync.Mutex
	now  time.Time
	look journal.Observer
	seek func() // called when somebody looks who uses the old value; may be nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, within: 30 * time.Second, now: time.Now().UTC().Truncate(time.Microsecond)}
	var err error
	w.estate, err = estatetest.Start(t.Context(), estatetest.Config{
		Dir: filepath.Join(t.TempDir(), "estate"), APIWorkers: 2, WebWorkers: 1, SpreadFrom: time.Millisecond, SpreadTo: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.estate.Stop(); err != nil {
			t.Errorf("stopping the estate: %v", err)
		}
	})
	w.cat = w.catalogue()
	w.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "rekey.db"), Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	if w.queue, err = jobs.InsertOnly(t.Context(), jobs.Config{Store: w.store}); err != nil {
		t.Fatal(err)
	}
	if w.key, err = secret.NewKey(nil); err != nil {
		t.Fatal(err)
	}
	w.guard = secret.NewGuard(w.key)
	return w
}

// catalogue says what the estate's rekey.yaml says.
func (w *world) catalogue() *secret.Catalogue {
	consumer := func(service string, workers int) secret.Consumer {
		return secret.Consumer{
			Name: service, Store: secret.Dotenv, Location: w.estate.EnvFile(service), Reload: w.estate.Reload(service),
			Health: w.estate.URL(service) + "/api/healthcheck/", Workers: workers,
		}
	}
	env := secret.Environment{
		Name: "production", Own: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Consumers: []secret.Consumer{consumer(estatetest.API, 2), consumer(estatetest.Web, 1)},
	}
	for _, format := range []secret.LogFormat{secret.LogSecurity, secret.LogDjango, secret.LogAccess} {
		env.Logs = append(env.Logs, secret.Log{Path: w.estate.Log(string(format)), Format: format})
	}
	return &secret.Catalogue{
		Slack: secret.Slack{Channel: channel}, Environments: []secret.Environment{env},
		Secrets: []secret.Secret{{
			Name: name, Procedure: secret.HMACOverlap, Generator: secret.Hex32, Overlap: overlap,
			Places: []secret.Place{{
				Environment: "production",
				Endpoints:   []secret.Endpoint{{Path: "/api/revalidate/", Method: http.MethodPost, Callers: []netip.Prefix{netip.MustParsePrefix(estatetest.HonestNetwork)}}},
				Uses: []secret.Use{
					{Consumer: estatetest.API, Variable: name, Previous: name + "_OLD", Role: secret.Accepts, Proof: secret.Proof{Request: &secret.SignedRequest{
						URLs: []string{w.estate.URL(estatetest.API) + "/api/revalidate/"}, Method: http.MethodPost,
						Body: `{"slugs":["test"]}`, Header: "X-Signature", ContentType: "application/json",
					}}},
					{Consumer: estatetest.Web, Variable: name, Role: secret.Signs, Proof: secret.Proof{Challenge: &secret.Challenge{
						URLs: []string{w.estate.URL(estatetest.Web) + "/rekey/proof?variable=" + name},
					}}},
				},
			}},
		}},
	}
}

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

// engine is a process that starts now, with the catalogue as it is now.
func (w *world) engine() *emergency.Engine {
	w.t.Helper()
	rotator, err := rotate.New(rotate.Config{
		Stores: map[string]store.Store{"dotenv": dotenv.New()}, Guard: w.guard, Key: w.key,
		Within: w.within, Pause: 10 * time.Millisecond, Now: w.clock, Checks: w.checks(), Glance: time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	inspector, err := inspect.New(inspect.Config{Catalogue: w.cat, Clock: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	looker, err := usage.New(usage.Config{Guard: w.guard, Clock: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	return emergency.New(emergency.Config{
		Catalogue: w.cat, Rotator: rotator, Inspector: inspector, Store: w.store, Queue: w.queue,
		Log: slog.New(slog.DiscardHandler), Now: w.clock, Observer: w.observe, Tripwires: looker,
	})
}

func (w *world) observe(run ledger.Run, step ledger.Step, m journal.Moment) {
	w.mu.Lock()
	look := w.look
	w.mu.Unlock()
	if look != nil {
		look(run, step, m)
	}
}

// at makes the observer call fn once, at a moment of a step: "check settled".
func (w *world) at(moment string, fn func()) {
	var once sync.Once
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look = func(_ ledger.Run, step ledger.Step, m journal.Moment) {
		if step.Key+" "+string(m) == moment {
			once.Do(fn)
		}
	}
}

// request records a run as a request does.
func (w *world) request(amend func(*ledger.Run)) {
	w.t.Helper()
	r := ledger.Run{
		ID: id, Kind: ledger.KindRotate, Secret: name, Environment: "production", Mode: string(commands.Compromised),
		Reason: "found in a CI log", Actor: "slack:U0ALICE (alice)", ReplyTo: channel, Incident: id, Paged: true,
		State: ledger.Queued, Since: w.clock().Add(-time.Hour), CreatedAt: w.clock(), Version: 1,
	}
	if amend != nil {
		amend(&r)
	}
	w.update(func(ctx context.Context, tx ledger.Tx) error { return tx.InsertRun(ctx, r) })
}

func routine(r *ledger.Run) { r.Mode, r.Paged = string(commands.Routine), false }

func (w *world) update(fn func(ctx context.Context, tx ledger.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), fn); err != nil {
		w.t.Fatalf("writing: %v", err)
	}
}

// claim takes the run over from whoever has it.
func (w *world) claim() ledger.Run {
	w.t.Helper()
	w.claims++
	replica := fmt.Sprint("replica ", w.claims)
	var run ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		// A lease that has passed lets the next one claim.
		if err := tx.Beat(ctx, ledger.Replica{ID: replica}, -time.Second); err != nil {
			return err
		}
		var err error
		run, err = tx.ClaimRun(ctx, id, replica)
		return err
	})
	return run
}

// work lets a fresh process carry the run on as far as it goes.
func (w *world) work() ledger.Run {
	w.t.Helper()
	if err := w.engine().Work(w.t.Context(), w.claim()); err != nil {
		w.t.Fatalf("working: %v", err)
	}
	return w.run()
}

// crash lets a process carry the run on and die at a moment of a step.
func (w *world) crash(moment string) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.at(moment, cancel)
	err := w.engine().Work(ctx, w.claim())
	if err == nil || ctx.Err() == nil {
		w.t.Fatalf("the process did not die at %q: %v", moment, err)
	}
	w.look = nil
}

func (w *world) view(fn func(ctx context.Context, tx ledger.Tx) error) {
	w.t.Helper()
	if err := w.store.View(context.Background(), fn); err != nil {
		w.t.Fatalf("reading: %v", err)
	}
}

func (w *world) run() (r ledger.Run) {
	w.t.Helper()
	w.view(func(ctx context.Context, tx ledger.Tx) (err error) { r, err = tx.Run(ctx, id); return err })
	return r
}

func (w *world) steps() (s []ledger.Step) {
	w.t.Helper()
	w.view(func(ctx context.Context, tx ledger.Tx) (err error) { s, err = tx.Steps(ctx, id); return err })
	return s
}

// states are the run's steps in words: "check done".
func (w *world) states() []string {
	w.t.Helper()
	var all []string
	for _, s := range w.steps() {
		all = append(all, s.Key+" "+string(s.State))
	}
	return all
}

func (w *world) state(key string) string {
	w.t.Helper()
	for _, s := range w.states() {
		if k, state, _ := strings.Cut(s, " "); k == key {
			return state
		}
	}
	return "no such step"
}

func (w *world) entries() (e []ledger.Entry) {
	w.t.Helper()
	w.view(func(ctx context.Context, tx ledger.Tx) (err error) { e, err = tx.Entries(ctx, id); return err })
	return e
}

// told are the names of what people are to be told.
func (w *world) told() []string {
	w.t.Helper()
	var names []string
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		ds, err := tx.Deliveries(ctx, id)
		names = nil
		for _, d := range ds {
			names = append(names, strings.TrimPrefix(d.ID, id+"/"))
		}
		return err
	})
	slices.Sort(names)
	return names
}

func (w *world) report() audit.Report {
	w.t.Helper()
	var r audit.Report
	if err := json.Unmarshal(w.run().Report, &r); err != nil {
		w.t.Fatalf("the run has no report: %v", err)
	}
	return r
}

func (w *world) faults(service string, f estatetest.Faults) {
	w.t.Helper()
	if err := w.estate.SetFaults(service, f); err != nil {
		w.t.Fatal(err)
	}
}

// value is what a service's env file assigns to a variable.
func (w *world) value(service, variable string) secret.Value {
	w.t.Helper()
	v, err := w.estate.InFile(service, variable)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// serves checks that api and web agree on one value, and whether it is the old one.
func (w *world) serves(old bool) {
	w.t.Helper()
	api, web := w.value(estatetest.API, name), w.value(estatetest.Web, name)
	if !api.Equal(web) || api.IsZero() {
		w.t.Error("api and web hold different values")
	}
	if api.Equal(w.estate.Values()[name]) != old {
		w.t.Errorf("the services hold the old value: %v, want %v", !old, old)
	}
	if !w.value(estatetest.API, name+"_OLD").IsZero() {
		w.t.Error("api accepts a second value")
	}
}

// holds checks that the security log is whole.
func (w *world) holds() {
	w.t.Helper()
	if v, err := w.store.Verify(context.Background()); err != nil || !v.OK {
		w.t.Errorf("the security log: %+v, %v", v, err)
	}
}
