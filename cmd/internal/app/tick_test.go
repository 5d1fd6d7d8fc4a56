package app_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
	"rekey/commands/secret"
)

// What is due starts by itself, once, however many processes look, and only in a
// window.
//
// Guide: practices/quarterly-hmac
func TestWhatIsDueStartsOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings, err := config.FromEnvironment(func(name string) string {
		return map[string]string{"REKEY_STATE_DIR": dir}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	cat := &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production", Consumers: []secret.Consumer{{Name: "api", Store: secret.Dotenv, Location: filepath.Join(dir, ".env")}}}},
		Secrets: []secret.Secret{{
			Name: "REVALIDATE_SECRET", Procedure: secret.HMACOverlap, Generator: secret.Hex32, Automatic: true,
			RotateEvery: 90 * 24 * time.Hour, RotateMonths: 3, LastRotated: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			Places: []secret.Place{{Environment: "production", Uses: []secret.Use{{Consumer: "api", Variable: "X", Previous: "X_OLD", Role: secret.Both}}}},
		}},
		Schedule: secret.Schedule{Zone: time.UTC, Windows: []secret.Window{{From: 10 * time.Hour, To: 12 * time.Hour}}},
	}
	var apps []*app.App
	for range 3 {
		a, err := app.Open(t.Context(), app.Config{Catalogue: cat, Settings: settings, Log: slog.DiscardHandler}, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		apps = append(apps, a)
	}
	runs := func() (all []ledger.Run) {
		err := apps[0].Store().View(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			var err error
			all, err = tx.Runs(ctx, ledger.RunFilter{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	look := func(at time.Time) {
		var wg sync.WaitGroup
		for _, a := range apps {
			wg.Go(func() {
				if err := a.StartDue(t.Context(), at); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	look(time.Date(2026, 11, 24, 9, 59, 0, 0, time.UTC))
	if n := len(runs()); n != 0 {
		t.Fatalf("%d runs before the window", n)
	}
	look(time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	look(time.Date(2026, 11, 24, 10, 1, 0, 0, time.UTC))
	all := runs()
	if len(all) != 1 || all[0].Mode != "routine" || all[0].Actor != "rekey" || all[0].Secret != "REVALIDATE_SECRET" {
		t.Errorf("started: %+v", all)
	}
}
