// Package inspect answers /audit-secret: it gathers the evidence about one secret in
// one environment (log files, Sentry), counts every request once, tells our own
// addresses from strangers, and has package audit reach the verdict. It exists
// because nobody at three in the morning should join four logs by eye.
//
// A report is always produced. Whatever could not be read is a gap in it, with the
// reason in a sentence, and the verdict takes the gaps into account.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/audit/sentry"
	"rekey/commands/secret"
)

// Config is what an Inspector needs.
type Config struct {
	Catalogue *secret.Catalogue
	// SentryToken answers the API token; nil or "" makes Sentry a gap.
	SentryToken func() string
	// HTTPClient asks Sentry, and Loki; nil means a default one that follows no redirects.
	HTTPClient *http.Client
	// SentryTimeout bounds the time spent on Sentry; 0 means 20 s.
	SentryTimeout time.Duration
	// Clock is the time; nil means time.Now.
	Clock func() time.Time
	// Zone is the zone of log timestamps that name none; nil means UTC. Django writes
	// them in its TIME_ZONE.
	Zone *time.Location
	// Tracer answers what finds the values of a secret, the retired ones too, in text; nil
	// leaves the logs unsearched for them.
	Tracer func(ctx context.Context, name, environment string) (*secret.Tracer, error)
	// Workers bounds the cores used for reading logs, by all audits together; 0 means all.
	Workers int
}

// Request names what to audit. Environment "" means the catalogue's first. A zero
// Since means 24 hours before Until, a zero Until means now.
type Request struct {
	Secret      string
	Environment string
	Since       time.Time
	Until       time.Time
	// Died is when the old value was proven dead; zero while it lives. Accepted requests
	// of strangers after it were made with the new one.
	Died time.Time
	// Brief asks for the logs of the window alone: no Sentry, and nothing to compare with.
	Brief bool
	// Marks are moments for the report's timeline.
	Marks []audit.Mark
	// Lines, when set, is handed every line behind the report's totals, one log after the
	// other and each in its order, up to MaxLines of each kind. It is called before Audit
	// returns, on its goroutine.
	Lines func(Line)
}

// Errors that mean the question was wrong, not that evidence is missing.
var (
	ErrUnknownSecret      = errors.New("the catalogue has no such secret")
	ErrUnknownEnvironment = errors.New("the catalogue has no such environment")
	ErrNotThere           = errors.New("the secret does not exist in this environment")
	ErrWindow             = errors.New("the window ends before it begins")
)

// Inspector audits secrets. It is safe for concurrent use.
type Inspector struct {
	cfg     Config
	readers *logs.Readers
}

// New checks the configuration.
func New(cfg Config) (*Inspector, error) {
	if cfg.Catalogue == nil {
		return nil, errors.New("inspect: a catalogue is needed")
	}
	if cfg.SentryToken == nil {
		cfg.SentryToken = func() string { return "" }
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Workers == 0 {
		cfg.Workers = min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	}
	return &Inspector{cfg: cfg, readers: logs.NewReaders(cfg.Workers)}, nil
}

// keep is how many findings of each kind a report holds.
const keep = 100

// attempts is how often the logs are read where one was truncated under the reading: by
// then a copy of it lies beside it, and nothing else tells which lines were read.
const attempts = 3

// Audit reads the evidence and reaches a verdict. An error means that the request
// itself is wrong; missing evidence never is one. When ctx ends, what was not read
// becomes a gap and the report says what was found until then.
func (i *Inspector) Audit(ctx context.Context, req Request) (audit.Report, error) {
	start := i.cfg.Clock()
	env, place, err := i.find(req)
	if err != nil {
		return audit.Report{}, fmt.Errorf("auditing %s: %w", req.Secret, err)
	}
	window := audit.Window{Since: req.Since.UTC(), Until: req.Until.UTC()}
	if req.Until.IsZero() {
		window.Until = start.UTC()
	}
	if req.Since.IsZero() {
		window.Since = window.Until.Add(-24 * time.Hour)
	}
	if !window.Since.Before(window.Until) {
		return audit.Report{}, fmt.Errorf("auditing %s: %w", req.Secret, ErrWindow)
	}

	issues := make(chan fromSentry, 1)
	reach := audit.Window{Since: before(window).Since, Until: window.Until}
	if req.Brief {
		env.Sentry, reach = secret.Sentry{}, window
	}
	go func() { issues <- i.askSentry(ctx, env.Sentry, window) }()

	traced := i.trace(ctx, req, env.Name)
	var j *judge
	var read reading
	for n := range attempts {
		j = newJudge(env, place, window, req.Died)
		if req.Lines != nil {
			j.lines = &lines{hand: req.Lines}
		}
		if read = i.readLogs(ctx, env.Logs, window, reach, j, traced, n+1 == attempts); !read.moved || ctx.Err() != nil {
			break
		}
	}
	asked := <-issues

	report := audit.Report{
		Secret: req.Secret, Environment: env.Name, Window: window,
		Totals: j.totals.counts(), Strangers: j.strangers.counts(),
		Findings:  j.findings(),
		Addresses: j.addresses.top(), Paths: j.paths.top(),
		Read: read.read, Gaps: append(read.gaps, traced().gaps...), Exposed: read.exposed,
	}
	if j.usual.count > 0 {
		report.Before = before(window)
	}
	report.Timeline = *j.timeline
	report.Timeline.Marks = req.Marks
	read.evidence.Endpoints = j.endpointPaths()
	j.into(&read.evidence)
	report.Visitors = read.evidence.Visitors
	report.Gaps = append(report.Gaps, j.gaps()...)

	terms := sentry.Terms{Endpoints: read.evidence.Endpoints}
	for _, t := range report.Addresses {
		if !t.Ours && t.Name != unrecorded {
			terms.Addresses = append(terms.Addresses, t.Name)
		}
	}
	report.Issues = asked.issues.Rank(terms)
	for _, issue := range report.Issues {
		if issue.Relevance > 1 { // more than an address
			read.evidence.Signals++
		}
	}
	report.Issues = report.Issues[:min(keep, len(report.Issues))]
	report.Gaps = append(report.Gaps, asked.gaps...)
	report.Read = append(report.Read, asked.read...)

	read.evidence.Gaps = report.Gaps
	report.Verdict = audit.Decide(read.evidence)
	report.TookMS = i.cfg.Clock().Sub(start).Milliseconds()
	return report, nil
}

// find looks up the secret and the environment.
func (i *Inspector) find(req Request) (secret.Environment, secret.Place, error) {
	environments := i.cfg.Catalogue.Environments
	at := -1
	for n, e := range environments {
		if e.Name == req.Environment || req.Environment == "" && n == 0 {
			at = n
		}
	}
	if at < 0 {
		return secret.Environment{}, secret.Place{}, ErrUnknownEnvironment
	}
	for _, s := range i.cfg.Catalogue.Secrets {
		if s.Name != req.Secret {
			continue
		}
		for _, place := range s.Places {
			if place.Environment == environments[at].Name {
				return environments[at], place, nil
			}
		}
		return secret.Environment{}, secret.Place{}, ErrNotThere
	}
	return secret.Environment{}, secret.Place{}, ErrUnknownSecret
}

// fromSentry is Sentry's part of the evidence.
type fromSentry struct {
	issues sentry.Found
	gaps   []audit.Gap
	read   []string
}

func (i *Inspector) askSentry(ctx context.Context, where secret.Sentry, window audit.Window) fromSentry {
	if where.URL == "" {
		return fromSentry{}
	}
	client, err := sentry.New(sentry.Config{
		URL: where.URL, Organization: where.Organization, Project: where.Project,
		Token: i.cfg.SentryToken, HTTPClient: i.cfg.HTTPClient, Timeout: i.cfg.SentryTimeout, Now: i.cfg.Clock,
	})
	if err != nil {
		return fromSentry{gaps: []audit.Gap{{Source: sentry.Source, Why: "The catalogue's Sentry entry is incomplete; it needs url, organization and project."}}}
	}
	var out fromSentry
	out.issues, out.gaps = client.Issues(ctx, window)
	if len(out.gaps) == 0 || len(out.issues) > 0 {
		out.read = []string{fmt.Sprintf("Sentry %s/%s (%s)", where.Organization, where.Project, audit.Count(len(out.issues), "issue"))}
	}
	return out
}
