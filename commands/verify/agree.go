package verify

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"rekey/commands/secret"
)

// Options says how to ask.
type Options struct {
	// Consumer is the service's name, for people.
	Consumer string
	// Workers is how many processes answer behind one address; 0 when unknown. Where
	// answers name their worker, that many distinct ones must agree.
	Workers int
	// Streak is how many rounds in a row must agree where answers do not name their
	// worker, or where a worker has disagreed that is not heard of any more. 0 means
	// 20: with four equal workers, the chance that one lagging behind stays unheard
	// in 20 rounds of a single question is 0.3 %.
	Streak int
	// Within is how long a service may take to agree; 0 means 10 s.
	Within time.Duration
	// Pause lies between two rounds while a service does not agree; 0 means 100 ms.
	// Rounds that agree follow one another at once.
	Pause time.Duration
}

func (o Options) withDefaults() Options {
	if o.Consumer == "" {
		o.Consumer = "the service"
	}
	if o.Streak <= 0 {
		o.Streak = 20
	}
	if o.Within <= 0 {
		o.Within = 10 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 100 * time.Millisecond
	}
	return o
}

// Wrong answers a fresh made-up value, which every service must refuse.
func Wrong() secret.Value { return secret.NewValue(crand.Text() + crand.Text() + crand.Text()) }

// Agree asks every instance (one Prober each) for every expectation, over and over on
// fresh connections, until all of each instance's workers agree with all
// expectations, or opts.Within has passed. A worker agrees by its newest answers,
// given after its last contrary one. What could not be asked never passes.
//
// Time is the machine's monotonic clock: a reload takes as long as it takes.
func Agree(ctx context.Context, instances []Prober, exps []Expectation, opts Options) Result {
	opts = opts.withDefaults()
	if len(instances) == 0 || len(exps) == 0 {
		return Result{Outcome: UnknownCheck, Detail: opts.Consumer + ": nothing was asked: the catalogue names no address."}
	}
	found := make([]Result, len(instances))
	var wg sync.WaitGroup
	for i, p := range instances {
		wg.Go(func() { found[i] = settle(ctx, p, exps, opts, place{i + 1, len(instances)}) })
	}
	wg.Wait()
	return worst(found)
}

// settle asks one instance until it agrees or the time is up.
func settle(ctx context.Context, p Prober, exps []Expectation, opts Options, at place) Result {
	t := newTally(exps, opts)
	for deadline := time.Now().Add(opts.Within); ; {
		t.round(askAll(ctx, p, exps))
		if t.agreed() {
			return t.passed(at)
		}
		if ctx.Err() != nil {
			return t.stopped(at)
		}
		if !time.Now().Before(deadline) {
			return t.missed(at)
		}
		if t.clean == 0 || t.clean > opts.Streak {
			pause(ctx, opts.Pause)
		}
	}
}

// askAll asks all questions of a round at once, in an order of its own: a load
// balancer that takes turns would otherwise give one worker the same question
// every time.
func askAll(ctx context.Context, p Prober, exps []Expectation) []Try {
	if one, ok := p.(atOnce); ok {
		values := make([]secret.Value, len(exps))
		for i, e := range exps {
			values[i] = e.Value
		}
		return one.tryAll(ctx, values)
	}
	tries := make([]Try, len(exps))
	var wg sync.WaitGroup
	for _, i := range rand.Perm(len(exps)) {
		wg.Go(func() { tries[i] = p.Try(ctx, exps[i].Value) })
	}
	wg.Wait()
	return tries
}

// atOnce is a Prober for which one question shows what its worker says to every value.
type atOnce interface {
	tryAll(ctx context.Context, values []secret.Value) []Try
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// worst joins the results of several instances: one that failed outweighs one that
// could not be asked, which outweighs all that passed.
func worst(found []Result) Result {
	rank := map[Outcome]int{Passed: 0, UnknownCheck: 1, FailedCheck: 2}
	all := found[0]
	for _, r := range found[1:] {
		asked, workers := all.Asked+r.Asked, append(slices.Clone(all.Workers), r.Workers...)
		switch {
		case rank[r.Outcome] > rank[all.Outcome]:
			all = r
		case r.Outcome == all.Outcome:
			all.Detail += " " + r.Detail
		}
		all.Asked, all.Workers = asked, workers
	}
	slices.Sort(all.Workers)
	all.Workers = slices.Compact(all.Workers)
	return all
}
