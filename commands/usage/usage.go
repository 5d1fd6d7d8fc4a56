// Package usage tells who still uses a secret's old value: from a log in which each
// use is a line, or from a counter that must not grow. It exists so that an old value
// is ended when nobody needs it any more, instead of when a clock says so, and so that
// ending it earlier has a measured price.
//
// What could not be read is an error and never "nobody".
package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Config is what a Looker needs.
type Config struct {
	// Transport fetches metrics; nil means verify.Transport().
	Transport http.RoundTripper
	// Guard scrubs the names found in logs. Required.
	Guard *secret.Guard
	// Apart lies between the two readings of a counter that was not read before; 0 means
	// 2 s.
	Apart time.Duration
	// Clock is the time; nil means time.Now.
	Clock func() time.Time
}

// Looker looks at usage sources. It remembers what counters said, so one Looker should
// serve a whole run; another process only has to watch anew. It is safe for concurrent
// use.
type Looker struct {
	cfg    Config
	client http.Client

	mu       sync.Mutex
	counters map[string]*counter
}

// New checks the configuration.
func New(cfg Config) (*Looker, error) {
	if cfg.Guard == nil {
		return nil, errors.New("usage: a guard is needed")
	}
	if cfg.Transport == nil {
		cfg.Transport = verify.Transport()
	}
	if cfg.Apart <= 0 {
		cfg.Apart = 2 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Looker{
		cfg: cfg,
		client: http.Client{
			Transport:     cfg.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		counters: map[string]*counter{},
	}, nil
}

// defaultQuiet is for how long there must have been no use where a source says nothing.
const defaultQuiet = 5 * time.Minute

// Look tells who used the old value since everybody was switched over (since; zero when
// that is long ago), within each source's quiet span at most. PerMinute adds up what all
// sources measured.
//
// When nobody was seen but a source has not been watched for its whole quiet span yet,
// the error is an *issue.Wait. Any other error says which source could not be read, in
// plain words without a full stop; the Usage still holds what the others told.
func (l *Looker) Look(ctx context.Context, sources []secret.UsageSource, since time.Time) (issue.Usage, error) {
	sights := make([]sight, len(sources))
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { sights[i], errs[i] = l.lookAt(ctx, s, since) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return issue.Usage{}, context.Cause(ctx)
	}
	var all issue.Usage
	var users []user
	var wait *issue.Wait
	for _, s := range sights {
		users = append(users, s.users...)
		all.PerMinute += s.perMinute
		if s.wait != nil && (wait == nil || s.wait.Again > wait.Again) {
			wait = s.wait
		}
	}
	slices.SortStableFunc(users, func(a, b user) int {
		return cmp.Or(cmp.Compare(b.times, a.times), b.last.Compare(a.last), cmp.Compare(a.name, b.name))
	})
	for _, u := range users {
		all.Users = append(all.Users, u.String())
		all.Callers = append(all.Callers, issue.Caller{Name: u.name, Says: u.String(), PerMinute: u.perMinute, Last: u.last})
		if u.last.After(all.Since) {
			all.Since = u.last
		}
	}
	if more := len(all.Users) - maxShown; more > 0 {
		all.Users = append(all.Users[:maxShown], fmt.Sprintf("%d more", more))
	}
	if err := join(errs); err != nil {
		return all, err
	}
	if wait != nil && !all.Any() {
		return all, wait
	}
	return all, nil
}

// maxShown is how many users are named.
const maxShown = 20

// sight is what one source shows.
type sight struct {
	users     []user
	perMinute float64
	wait      *issue.Wait // nobody was seen, but not for long enough
}

// user is somebody who uses the old value.
type user struct {
	name      string
	times     int64
	perMinute float64
	last      time.Time
}

// String is for people: "10.0.0.7 (12 times, last at 19:35:18 UTC)".
func (u user) String() string {
	times := "once"
	if u.times != 1 {
		times = fmt.Sprintf("%d times", u.times)
	}
	return fmt.Sprintf("%s (%s, last at %s UTC)", u.name, times, u.last.UTC().Format(time.TimeOnly))
}

func (l *Looker) lookAt(ctx context.Context, s secret.UsageSource, since time.Time) (sight, error) {
	quiet := s.Quiet
	if quiet <= 0 {
		quiet = defaultQuiet
	}
	switch {
	case s.Log != "":
		return l.log(ctx, s, since, quiet)
	case s.Metric != "":
		return l.metric(ctx, s, since, quiet)
	}
	return sight{}, errors.New("a usage source in the catalogue names neither a log nor a metric")
}

// tooShort asks for patience: a source was watched for less than its quiet span.
func tooShort(watched, quiet time.Duration) *issue.Wait {
	watched = max(0, watched)
	return &issue.Wait{
		Sentence: fmt.Sprintf("nobody was seen using the old value for %s, and %s are called for", span(watched), span(quiet)),
		Again:    max(time.Second, quiet-watched),
	}
}

// span prints a duration for people: "45 s", "5 min", "1 h 30 min".
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// join puts what went wrong into one line; errors.Join would take one for each.
func join(errs []error) error {
	var all error
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// shown is a name that somebody else chose, fit to show.
func (l *Looker) shown(name string) string {
	return strings.TrimSpace(clean(secret.MaskTokens(l.cfg.Guard.ScrubString(name))))
}
