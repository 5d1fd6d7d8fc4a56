// Package checklist goes through the verification checklist of a secret after a
// change: every line is a check of the catalogue, tried again until it passes or its
// time is up, and answered in one plain sentence. It exists because a rotation is over
// when the estate works with the new value, and not when the last command exited 0.
//
// What acts (a request, a mail, a task) goes first; what looks for traces (Sentry, the
// logs) goes after it and so sees what the acting has caused. What could not be asked
// is unknown, and unknown is never a pass.
package checklist

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"rekey/audit"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Deps is what a Checklist works with.
type Deps struct {
	// Guard scrubs what is answered. It must know the value in Input. Required.
	Guard *secret.Guard
	// Transport carries health checks and signed requests; nil means verify.Transport().
	Transport http.RoundTripper
	// SentryToken answers the API token; nil or "" makes every Sentry check unknown.
	SentryToken func() string
	// SentryClient asks Sentry, and Loki; nil means a default one that follows no redirects.
	SentryClient *http.Client
	// Zone is the zone of log timestamps that name none; nil means UTC.
	Zone *time.Location
	// Parallel bounds how many checks run at once; 0 means 4.
	Parallel int
	// Clock is the time; nil means time.Now.
	Clock func() time.Time
}

// Checklist runs checks. It is safe for concurrent use.
type Checklist struct{ deps Deps }

// New checks what it is given.
func New(deps Deps) (*Checklist, error) {
	if deps.Guard == nil {
		return nil, errors.New("checklist: a guard is needed")
	}
	if deps.Transport == nil {
		deps.Transport = verify.Transport()
	}
	if deps.SentryToken == nil {
		deps.SentryToken = func() string { return "" }
	}
	if deps.Parallel <= 0 {
		deps.Parallel = 4
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Checklist{deps: deps}, nil
}

// Input is what a checklist is about.
type Input struct {
	Environment secret.Environment
	Secret      secret.Secret
	Place       secret.Place
	// Live is the value that must work: the new one, after a rollback the old one.
	Live secret.Value
	// Since is when the change began to show; new issues and refusals count from its
	// second on.
	Since time.Time
}

// Line is what one check found.
type Line struct {
	Name    string
	Kind    secret.CheckKind
	Outcome verify.Outcome
	Detail  string // a clause for people, without a value in it and without a full stop
	Tries   int    // 0 where the check counts its questions itself
	Took    time.Duration
}

// Sentence is the line for people: "Email sending works: failed: connection refused."
func (l Line) Sentence() string {
	switch l.Outcome {
	case verify.Passed:
		return fmt.Sprintf("%s: passed: %s.", l.Name, l.Detail)
	case verify.FailedCheck:
		return fmt.Sprintf("%s: failed: %s.", l.Name, l.Detail)
	}
	return fmt.Sprintf("%s: not known: %s.", l.Name, l.Detail)
}

// Split answers the sentences of the lines that passed and of those that did not.
func Split(lines []Line) (seen, failed []string) {
	for _, l := range lines {
		if l.Outcome == verify.Passed {
			seen = append(seen, l.Sentence())
		} else {
			failed = append(failed, l.Sentence())
		}
	}
	return seen, failed
}

const (
	defaultWithin = 30 * time.Second
	defaultEvery  = 500 * time.Millisecond
	detailRunes   = 400
)

// Run goes through the place's checks and answers a line for each, in their order. When
// ctx ends, what was not finished is unknown.
func (c *Checklist) Run(ctx context.Context, in Input) []Line {
	lines := make([]Line, len(in.Place.Checks))
	for _, traces := range []bool{false, true} {
		turns := make(chan struct{}, c.deps.Parallel)
		var wg sync.WaitGroup
		for i, k := range in.Place.Checks {
			if (k.Kind == secret.CheckSentry || k.Kind == secret.CheckLogs) != traces {
				continue
			}
			wg.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				lines[i] = c.line(ctx, in, k)
			})
		}
		wg.Wait()
	}
	return lines
}

// line does one check.
func (c *Checklist) line(ctx context.Context, in Input, k secret.Check) Line {
	if k.Within <= 0 {
		k.Within = defaultWithin
	}
	if k.Every <= 0 {
		k.Every = defaultEvery
	}
	l := Line{Name: k.Name, Kind: k.Kind}
	if l.Name == "" {
		l.Name = string(k.Kind)
	}
	began := time.Now()
	f, tries := again(ctx, k, c.look(in, k))
	if ctx.Err() != nil {
		f = unknown("the check was stopped")
	}
	l.Outcome, l.Tries, l.Took = f.outcome, tries, time.Since(began)
	l.Detail = audit.Clean(secret.MaskTokens(c.deps.Guard.ScrubString(f.detail)), detailRunes)
	return l
}

// finding is what one try found.
type finding struct {
	outcome verify.Outcome
	detail  string
	// settled: another try would find the same.
	settled bool
	// early: nothing was found, but too soon to mean much. It passes when the time for
	// the check is up.
	early bool
}

func passed(format string, args ...any) finding {
	return finding{outcome: verify.Passed, detail: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) finding {
	return finding{outcome: verify.FailedCheck, detail: fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) finding {
	return finding{outcome: verify.UnknownCheck, detail: fmt.Sprintf(format, args...)}
}

// settled is an unknown that the catalogue is the reason of.
func settled(format string, args ...any) finding {
	f := unknown(format, args...)
	f.settled = true
	return f
}

// again tries until it passes or the time is up.
func again(ctx context.Context, k secret.Check, look func(context.Context) finding) (f finding, tries int) {
	deadline := time.Now().Add(k.Within)
	for tries = 1; ; tries++ {
		f = look(ctx)
		done := f.outcome == verify.Passed && !f.early || f.settled
		if done || ctx.Err() != nil || !time.Now().Before(deadline) {
			return f, tries
		}
		wait := time.NewTimer(min(k.Every, time.Until(deadline)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// look answers what a try of the check does.
func (c *Checklist) look(in Input, k secret.Check) func(context.Context) finding {
	switch k.Kind {
	case secret.CheckHealth:
		return func(ctx context.Context) finding { return c.health(ctx, k) }
	case secret.CheckRequest:
		return func(ctx context.Context) finding { return c.request(ctx, in, k) }
	case secret.CheckSMTP:
		return func(ctx context.Context) finding { return c.mail(ctx, in, k) }
	case secret.CheckPostgres:
		return func(ctx context.Context) finding { return c.postgres(ctx, in, k) }
	case secret.CheckTask:
		return func(ctx context.Context) finding { return c.task(ctx, k) }
	case secret.CheckCommand:
		return func(ctx context.Context) finding { return c.command(ctx, k) }
	case secret.CheckSentry:
		return func(ctx context.Context) finding { return c.sentry(ctx, in) }
	case secret.CheckLogs:
		l := &logLook{checklist: c, in: in}
		return l.look
	}
	return func(context.Context) finding { return settled("rekey knows no check of kind %q", k.Kind) }
}
