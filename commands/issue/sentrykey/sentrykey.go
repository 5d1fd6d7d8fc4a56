// Package sentrykey gives out and revokes Sentry client keys, of which a DSN is made.
// It exists because Sentry has the best of ways back: a key can be switched off and on
// again before it is deleted, and an event that was sent can be seen to have arrived.
//
// What ingestion answers is not taken for proof that a key works. It caches keys for
// minutes and accepts events before it knows their key, so a 200 means "thank you" and
// no more; only an event that the API shows has arrived.
//
// Protocol: https://docs.sentry.io/api/projects/ (client keys),
// https://docs.sentry.io/api/events/. The statistics of a key are not documented;
// their form is that of getsentry/sentry's project_key_stats.py. The token needs
// project:admin, without which Sentry deletes no key, and event:read.
package sentrykey

import (
	"net/http"
	"sync"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Config is what an Issuer needs. The zero Config works.
type Config struct {
	// HTTPClient asks the API, and its transport carries test events; redirects are
	// not followed. nil means the default transport. It must not pass the outbound
	// guard: a client key is half a DSN and stands in the API's paths and in every
	// event's header, where the guard would scrub it. It goes to Sentry alone.
	HTTPClient *http.Client
	// Arrival bounds how long a test event is waited for; 0 means 60 s.
	Arrival time.Duration
	// Quiet is for how long an old key must have counted no event; 0 means 5 min.
	Quiet time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Issuer gives out client keys. It is safe for concurrent use.
type Issuer struct {
	cfg    Config
	client *http.Client

	mu     sync.Mutex
	meters map[string]*meter  // of old keys, by run
	sent   map[string][]event // rekey's own test events, by public key
}

var _ issue.Issuer = (*Issuer)(nil)

// New answers an Issuer. It makes no request.
func New(cfg Config) *Issuer {
	if cfg.Arrival <= 0 {
		cfg.Arrival = time.Minute
	}
	if cfg.Quiet <= 0 {
		cfg.Quiet = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := &http.Client{}
	if cfg.HTTPClient != nil {
		*client = *cfg.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Issuer{cfg: cfg, client: client, meters: map[string]*meter{}, sent: map[string][]event{}}
}

// public answers the public half of a DSN; ok is false for what is no DSN.
func public(v secret.Value) (key string, ok bool) {
	dsn, err := parse(v)
	if err != nil {
		return "", false
	}
	return dsn.GetPublicKey(), true
}
