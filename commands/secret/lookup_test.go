package secret

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"SECRET_KEY", "REVALIDATE_SECRET", "ANALYTICS_SECRET", "EMAIL_HOST_PASSWORD", "SENTRY_DSN", "DATABASE_URL"}
	for word, want := range map[string]string{
		"REVALIDATE_SECRET":   "REVALIDATE_SECRET",
		"revalidate-secret":   "REVALIDATE_SECRET",
		"REVALIDATE_SECERT":   "REVALIDATE_SECRET",
		"REVLIDATE_SECRET":    "REVALIDATE_SECRET",
		"REVALIDATESECRET":    "REVALIDATE_SECRET",
		"revalidate":          "REVALIDATE_SECRET",
		"ANALITICS_SECRET":    "ANALYTICS_SECRET",
		"DATABSE_URL":         "DATABASE_URL",
		"email_host_pasword":  "EMAIL_HOST_PASSWORD",
		"EMAIL":               "EMAIL_HOST_PASSWORD",
		"SENTRY_DNS":          "SENTRY_DSN",
		"KEY":                 "",
		"":                    "",
		"SE":                  "",
		"SE_":                 "",
		"zebra":               "",
		"PAYMENT_GATEWAY_KEY": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestDamerau(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"relod", "reload", 1}, {"kitten", "sitting", 3}, {"secert", "secret", 1}} {
		if got := damerau(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %d, want %d", test.a, test.b, got, test.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(0, 12, 48).Draw(t, "a"), rapid.StringN(0, 12, 48).Draw(t, "b")
		if damerau(a, b) != damerau(b, a) || (damerau(a, b) == 0) != (string([]rune(a)) == string([]rune(b))) {
			t.Fatal("no distance")
		}
	})
}

func TestLookups(t *testing.T) {
	t.Parallel()
	c := &Catalogue{
		Environments: []Environment{{Name: "production", Consumers: []Consumer{{Name: "django"}}}, {Name: "staging"}},
		Secrets:      []Secret{{Name: "A", Places: []Place{{Environment: "production"}}}, {Name: "b"}, {Name: "B"}},
	}
	for name, want := range map[string]string{"A": "A", "a": "A", "b": "b", "B": "B"} {
		if s, ok := c.Secret(name); !ok || s.Name != want {
			t.Errorf("secret %s: %s", name, s.Name)
		}
	}
	if _, ok := c.Secret(""); ok {
		t.Error("there is no secret without a name")
	}
	if e, ok := c.Environment(""); !ok || e.Name != "production" {
		t.Errorf("the default is %q", e.Name)
	}
	if e, ok := c.Environment("STAGING"); !ok || e.Name != "staging" {
		t.Errorf("STAGING is %q", e.Name)
	}
	if _, ok := c.Place("a", ""); !ok {
		t.Error("A is in production")
	}
	if _, ok := c.Place("A", "staging"); ok {
		t.Error("A is not in staging")
	}
	if _, ok := c.Place("zebra", ""); ok {
		t.Error("a zebra is nowhere")
	}
	if _, ok := c.Consumer("production", "Django"); !ok {
		t.Error("django is in production")
	}
	if _, ok := c.Consumer("staging", "django"); ok {
		t.Error("django is not in staging")
	}
	if d := cmp.Diff([]string{"A", "b", "B"}, c.Names()); d != "" {
		t.Error(d)
	}
	empty := &Catalogue{}
	if _, ok := empty.Environment(""); ok || empty.Nearest("x") != "" || len(empty.Names()) != 0 {
		t.Error("an empty catalogue has nothing")
	}
}

// Guide: practices/quarterly-hmac, schedule/secret-key, schedule/revalidate-secret, schedule/analytics-secret, schedule/email-host-password, schedule/database-url
func TestNextDue(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, test := range []struct {
		s          Secret
		last, want time.Time
	}{
		{Secret{RotateMonths: 3}, day("2024-01-01"), day("2024-04-01")},
		{Secret{RotateMonths: 12}, day("2024-01-01"), day("2025-01-01")},
		{Secret{RotateMonths: 1}, day("2024-01-31"), day("2024-02-29")},
		{Secret{RotateMonths: 3}, day("2025-11-30"), day("2026-02-28")},
		{Secret{RotateEvery: 90 * 24 * time.Hour}, day("2024-01-01"), day("2024-03-31")},
		{Secret{}, day("2024-01-01"), time.Time{}},
		{Secret{RotateMonths: 3}, time.Time{}, time.Time{}},
	} {
		if got := test.s.NextDue(test.last); !got.Equal(test.want) {
			t.Errorf("%+v after %s: %s, want %s", test.s, test.last, got, test.want)
		}
	}
}
