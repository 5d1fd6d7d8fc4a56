package secret

import (
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskTokens(t *testing.T) {
	t.Parallel()
	const hex64 = "6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c"
	for in, want := range map[string]string{
		"found " + hex64 + " in a log":                                         "found [masked] in a log",
		"key=" + hex64[:32] + ".":                                              "key=[masked].",
		"q83vEjRWeJrT0Fh1u2Zk9wQxLpYbMnCsVaDgHeIoK7+=":                         "[masked]",
		"(q83vEjRWeJrT0Fh1u2Zk9wQxLpYb-_CsVaDg)":                               "([masked])",
		"x&4^k(1$3+@!e=z#_%0-)q*7w8r9t2y5u6i&o$p^a@s(d)f+gh":                   "[masked]",
		"commit 9fceb02d0ae598e95dc970b74767f19372d61af8 has it":               "commit [masked] has it",
		"postgresql://leather_api:hunter22@localhost:5432/db":                  "postgresql://leather_api:[masked]@localhost:5432/db",
		"token xoxb-123456789012-abcdefghijkl":                                 "token [masked]",
		"ghp_abcdefghijklmnopqrstuvwxyz0123456789 leaked":                      "[masked] leaked",
		"AKIAIOSFODNN7EXAMPLE":                                                 "[masked]",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF":                         "[masked]",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "[masked]",
		"PASSWORD=hunter22 was in it":                                          "PASSWORD=[masked] was in it",
		`{"api_key": "hunter2222"}`:                                            `{"api_key": "[masked]"}`,

		"found in a CI log": "found in a CI log",
		"see https://ci.example.com/jobs/artifacts/build-2026-11-22/logs/step-three":            "see https://ci.example.com/jobs/artifacts/build-2026-11-22/logs/step-three",
		"the-quick-brown-fox-jumps-over-the-lazy-dog":                                           "the-quick-brown-fox-jumps-over-the-lazy-dog",
		"/srv/leather-api/releases/2026-11-22T10-00-00/settings/production.py":                  "/srv/leather-api/releases/2026-11-22T10-00-00/settings/production.py",
		"run r-20261122-030000-abcdef of REVALIDATE_SECRET in production":                       "run r-20261122-030000-abcdef of REVALIDATE_SECRET in production",
		"request 8f14e45f-ceea-467a-9a36-dedd4bea2543":                                          "request 8f14e45f-ceea-467a-9a36-dedd4bea2543",
		"DJANGO_SETTINGS_MODULE_FOR_PRODUCTION_AND_STAGING":                                     "DJANGO_SETTINGS_MODULE_FOR_PRODUCTION_AND_STAGING",
		"Unauthorized: /api/revalidate/ from 203.0.113.7":                                       "Unauthorized: /api/revalidate/ from 203.0.113.7",
		"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0 on the machine": "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0 on the machine",
		"the secret: it was in a log":                                                           "the secret: it was in a log",
		"":                                                                                      "",
	} {
		if got := MaskTokens(in); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestMaskTokensMasksWhatIsGenerated draws values and pastes them into a sentence.
func TestMaskTokensMasksWhatIsGenerated(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{3})
	for _, g := range []Generator{Hex32, Base6432, Django} {
		missed := 0
		for range 400 {
			v, err := Generate(g, source)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(MaskTokens("I pasted "+v.Reveal()+" by mistake"), v.Reveal()) {
				missed++
			}
		}
		if missed > 0 {
			t.Errorf("%s: %d of 400 stayed whole", g, missed)
		}
	}
}

func TestMaskTokensIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := MaskTokens(rapid.String().Draw(t, "text"))
		if MaskTokens(once) != once {
			t.Fatalf("masking %q again changes it", once)
		}
	})
}
