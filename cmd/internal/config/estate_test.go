package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey/commands/estatetest"
)

func TestMain(m *testing.M) {
	estatetest.Main()
	os.Exit(m.Run())
}

// TestPracticeEstate loads the catalogue that the practice estate writes of itself,
// from its real files, with every check on.
func TestPracticeEstate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	estate, err := estatetest.Start(ctx, estatetest.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := estate.Stop(); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(t.TempDir(), "rekey.yaml")
	yaml := estate.Catalogue(estatetest.Extra{
		Top:       "slack: {channel: C012AB3CD}\naccess: {responders: [U012AB3CD]}",
		SentryURL: "http://127.0.0.1:9", SentryOrganization: "your-org", SentryProject: "leather-api", Overlap: 2 * time.Second,
	})
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"REVALIDATE_SECRET", "ANALYTICS_SECRET"} {
		s, ok := c.Catalogue.Secret(name)
		if !ok || s.Overlap != 2*time.Second || len(s.Places[0].Uses) != 2 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
