package leathertest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
	"rekey/cmd/internal/leathertest"
	"rekey/commands"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

// rate is how many signed requests a second the estate serves while it is rotated. A
// build server that also has the race detector to feed gets fewer: what is proven is
// that none is refused, and what is measured is measured by "make leather".
func rate() float64 {
	if everything() {
		return 200
	}
	return 40
}

func everything() bool { return os.Getenv("REKEY_LEATHER") == "all" }

// rekey is the program over a real estate.
type rekey struct {
	t      *testing.T
	estate *leathertest.Estate
	app    *app.App
}

func onDuty(t *testing.T, e *leathertest.Estate) *rekey {
	t.Helper()
	path := filepath.Join(e.Dir(), "rekey.yaml")
	top := "slack: {channel: C0ALERTS}\naccess: {responders: [U0ALICE], cli: [root]}\n"
	text := e.Catalogue(leathertest.Extra{Top: top, Overlap: 3 * time.Second, Quiet: 2 * time.Second})
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(e.Dir(), "state")
	settings, err := config.FromEnvironment(func(name string) string {
		return map[string]string{"REKEY_STATE_DIR": state, "SENTRY_AUTH_TOKEN": e.Sentry.Token()}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Config{
		Catalogue: cfg.Catalogue, Settings: settings, Log: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}),
		Version: "test", Within: time.Minute, Recheck: time.Second,
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return &rekey{t: t, estate: e, app: a}
}

// rotate asks for a rotation and sees it through, doing what a person would have to.
func (r *rekey) rotate(name string, mode commands.Mode) ledger.Run {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	alice := commands.Actor{Via: "slack", ID: "U0ALICE"}
	answer, err := r.app.Take(ctx, commands.Request{
		ID: rand.Text(), At: time.Now(), Actor: alice, Verb: commands.Rotate, Secret: name, Environment: "production",
		Mode: mode, Confirmed: true, Reason: "a rehearsal",
	})
	if err != nil || answer.Outcome != commands.Taken {
		r.t.Fatalf("%s %s: answered %s %s, %v", name, mode, answer.Outcome, answer.Text, err)
	}
	old := r.live(leathertest.Django, name)
	for {
		run, err := r.app.Carry(ctx, answer.Run, func(ledger.Run, []ledger.Step) {})
		if err != nil {
			r.t.Fatalf("%s %s: %v\n%s", name, mode, err, r.story(answer.Run))
		}
		if run.State.Final() {
			return run
		}
		if name == "EMAIL_HOST_PASSWORD" {
			r.person(ctx, alice, run, old)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// person is somebody at the mail provider's dashboard: a new password when rekey waits
// for one, the old one deleted when rekey asks for that.
func (r *rekey) person(ctx context.Context, who commands.Actor, run ledger.Run, old secret.Value) {
	r.t.Helper()
	_, steps, err := r.app.Look(ctx, run.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range steps {
		switch {
		case s.State != ledger.StepRunning:
		case s.Kind == rotate.KindCreate:
			fresh := secret.NewValue("mail-" + rand.Text())
			r.estate.Mail.Add(leathertest.MailUser, fresh)
			if _, err := r.app.Provide(ctx, who, run.ID, fresh); err != nil {
				r.t.Fatalf("providing: %v", err)
			}
		case s.Kind == rotate.KindRevoke:
			r.estate.Mail.Revoke(leathertest.MailUser, old, true)
		}
	}
}

// live is what a service's file holds.
func (r *rekey) live(service, name string) secret.Value {
	r.t.Helper()
	at, err := dotenv.New().Read(r.t.Context(), store.Ref{Location: r.estate.EnvFile(service), Variable: name, Previous: name + "_OLD"})
	if err != nil {
		r.t.Fatal(err)
	}
	return at.Current
}

// story is what each step saw, for a test that failed.
func (r *rekey) story(id string) string {
	run, steps, err := r.app.Look(context.WithoutCancel(r.t.Context()), id)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "run %s: %s\n", run.State, run.Problem)
	for _, s := range steps {
		fmt.Fprintf(&b, "  %-8s %-24s %s\n", s.State, s.Key, s.Note)
	}
	return b.String()
}

// Every procedure of the guide, routine and compromised, on real Django, gunicorn,
// Celery, Redis, PostgreSQL, SMTP and Node.js under steady signed traffic: none of the
// honest requests is refused, and the old value is dead in the end.
//
// With -v the test prints the table that the README shows. Without REKEY_LEATHER=all
// each secret is rotated in one of the two modes, in turn. It has the machine to
// itself: what it measures would be somebody else's load.
//
// Guide: overview/no-downtime
// Guide: procedures/secret-key/impact, procedures/secret-key/set, procedures/secret-key/reload, procedures/secret-key/clear-sessions
// Guide: procedures/revalidate-secret/impact, procedures/revalidate-secret/django, procedures/revalidate-secret/nextjs, procedures/revalidate-secret/deploy, procedures/revalidate-secret/test
// Guide: procedures/analytics-secret/impact, procedures/analytics-secret/django, procedures/analytics-secret/nextjs, procedures/analytics-secret/deploy, procedures/analytics-secret/test
// Guide: procedures/email-host-password/set, procedures/email-host-password/reload
// Guide: procedures/database-url/set, procedures/database-url/reload, procedures/database-url/healthcheck, procedures/database-url/drop-old-role
// Guide: procedures/sentry-dsn/rotate
// Guide: checklist/healthcheck, checklist/celery, checklist/sentry, checklist/no-denials, practices/monitor
//
//nolint:paralleltest // see above
func TestEveryProcedureUnderTraffic(t *testing.T) {
	e := start(t, leathertest.Config{})
	r := onDuty(t, e)
	session, err := e.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "secret\tmode\tended after\trequests\ta second\trefused\tslowest\t")
	for i, mode := range []commands.Mode{commands.Routine, commands.Compromised} {
		for j, name := range leathertest.Secrets {
			if !everything() && (i+j)%2 != 0 {
				continue // each secret in one mode; "make leather" does both
			}
			old := r.live(leathertest.Django, name)
			traffic := e.StartTraffic(t.Context(), leathertest.Load{Signed: rate(), Pages: 10, Sessions: sessionRate(name, mode), Session: session})
			began := time.Now()
			run := r.rotate(name, mode)
			took, running := time.Since(began), traffic.Running()
			counts := traffic.Stop()
			total := counts.Total()
			fmt.Fprintf(w, "%s\t%s\t%.1f s\t%d\t%.0f\t%d\t%d ms\t\n", name, mode, took.Seconds(), total.Sent,
				float64(total.Sent)/running.Seconds(), total.Lost(), total.Slowest.Milliseconds())
			if run.State != ledger.Succeeded {
				t.Fatalf("%s %s ended %s:\n%s", name, mode, run.State, r.story(run.ID))
			}
			if total.Lost() != 0 {
				t.Errorf("%s %s: honest requests were lost: %+v", name, mode, counts)
			}
			if r.live(leathertest.Django, name).Equal(old) {
				t.Errorf("%s %s: Django is on the old value", name, mode)
			}
			session = r.after(name, mode, session)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	v, err := r.app.Store().Verify(t.Context())
	if err != nil || !v.OK {
		t.Errorf("the security log: %+v, %v", v, err)
	}
}

// sessionRate: a compromised SECRET_KEY ends sessions on purpose.
func sessionRate(name string, mode commands.Mode) float64 {
	if name == "SECRET_KEY" && mode == commands.Compromised {
		return 0
	}
	return 5
}

// after checks what becomes of people who were logged in.
func (r *rekey) after(name string, mode commands.Mode, s *leathertest.Session) *leathertest.Session {
	r.t.Helper()
	alive, err := s.Alive(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if want := name != "SECRET_KEY" || mode == commands.Routine; alive != want {
		r.t.Errorf("%s %s: the session lives: %v, want %v", name, mode, alive, want)
	}
	if !alive {
		if s, err = r.estate.Login(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	return s
}
