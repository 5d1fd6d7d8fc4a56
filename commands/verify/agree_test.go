package verify_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

var (
	oldV = secret.NewValue("old-0123456789")
	newV = secret.NewValue("new-0123456789")
)

// service is a Prober with workers that take over a value at a time of their own.
type service struct {
	mu      sync.Mutex
	names   []string
	next    int
	accepts func(worker int, v secret.Value) verify.Try
	anon    bool
}

func (s *service) Try(_ context.Context, v secret.Value) verify.Try {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next % len(s.names)
	s.next++
	t := s.accepts(n, v)
	if !s.anon {
		t.Worker = s.names[n]
	}
	return t
}

func yes(ok bool) verify.Try {
	if ok {
		return verify.Try{Answer: verify.Accepted}
	}
	return verify.Try{Answer: verify.Refused}
}

func four() []string { return []string{"1", "2", "3", "4"} }

func exps() []verify.Expectation {
	return []verify.Expectation{
		{Label: "new", Value: newV, Want: verify.Accepted},
		{Label: "old", Value: oldV, Want: verify.Refused},
		{Label: "wrong", Value: verify.Wrong(), Want: verify.Refused},
	}
}

// agree runs Agree in a bubble, where time costs nothing.
func agree(t *testing.T, opts verify.Options, services ...verify.Prober) (res verify.Result, took time.Duration) {
	t.Helper()
	opts.Consumer = "api"
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, p := range services {
			if l, ok := p.(*lagging); ok {
				l.began = began
			}
		}
		res = verify.Agree(t.Context(), services, exps(), opts)
		took = time.Since(began)
	})
	return res, took
}

// lagging workers run on the old value until their time has come.
type lagging struct {
	service
	began time.Time
	after []time.Duration
}

func newLagging(after ...time.Duration) *lagging {
	l := &lagging{after: after}
	l.names = four()[:len(after)]
	l.accepts = func(w int, v secret.Value) verify.Try {
		if time.Since(l.began) < l.after[w] {
			return yes(v.Equal(oldV))
		}
		return yes(v.Equal(newV))
	}
	return l
}

func TestAgreeWaitsForTheLastWorker(t *testing.T) {
	t.Parallel()
	res, took := agree(t, verify.Options{Workers: 4}, newLagging(0, time.Second, 2*time.Second, 3*time.Second))
	if res.Outcome != verify.Passed || took < 3*time.Second || took > 4*time.Second {
		t.Errorf("after %v: %+v, want passed soon after 3 s", took, res)
	}
	if strings.Join(res.Workers, "") != "1234" || !strings.Contains(res.Detail, "all 4 workers") {
		t.Errorf("got %+v, want all four workers named", res)
	}
}

func TestAgreeFailsWhenOneWorkerIsStuck(t *testing.T) {
	t.Parallel()
	res, took := agree(t, verify.Options{Workers: 4}, newLagging(0, 0, 0, time.Hour))
	if res.Outcome != verify.FailedCheck || took < 10*time.Second {
		t.Errorf("after %v: %+v, want failed after 10 s", took, res)
	}
	if want := "api is not proven: 1 of 4 workers still refuses the new value after 10 s."; res.Detail != want {
		t.Errorf("got %q, want %q", res.Detail, want)
	}
}

func TestAgreeWithoutNamesNeedsAStreak(t *testing.T) {
	t.Parallel()
	l := newLagging(0, 0, 0, 2*time.Second)
	l.anon = true
	res, took := agree(t, verify.Options{}, l)
	if res.Outcome != verify.Passed || took < 2*time.Second || res.Asked < 60 {
		t.Errorf("after %v: %+v, want passed after 20 rounds that follow the last old answer", took, res)
	}
	// A stated number of workers does not help where they have no names.
	l = newLagging(0, 0, 0, time.Hour)
	l.anon = true
	if res, _ = agree(t, verify.Options{Workers: 4}, l); res.Outcome != verify.FailedCheck {
		t.Errorf("got %+v, want failed", res)
	}
}

func TestUnknownNeverPasses(t *testing.T) {
	t.Parallel()
	down := func() *service {
		return &service{names: four(), anon: true, accepts: func(int, secret.Value) verify.Try {
			return verify.Try{Why: "connection refused"}
		}}
	}
	res, _ := agree(t, verify.Options{Workers: 4}, down())
	if res.Outcome != verify.UnknownCheck || res.Detail != "api could not be asked for 10 s: connection refused." {
		t.Errorf("got %+v", res)
	}
	// One worker of four answers 500 to everything.
	sick := newLagging(0, 0, 0, 0)
	healthy := sick.accepts
	sick.accepts = func(w int, v secret.Value) verify.Try {
		if w == 2 {
			return verify.Try{Why: "it answered 500"}
		}
		return healthy(w, v)
	}
	if res, _ = agree(t, verify.Options{Workers: 4}, sick); res.Outcome != verify.UnknownCheck {
		t.Errorf("with one sick worker: %+v", res)
	}
	// A worker that is never heard.
	if res, _ = agree(t, verify.Options{Workers: 4}, newLagging(0, 0, 0)); res.Outcome != verify.UnknownCheck || !strings.Contains(res.Detail, "only 3 of 4 workers") {
		t.Errorf("with one silent worker: %+v", res)
	}
	// One instance of two cannot be asked: the other's word is not enough.
	if res, _ = agree(t, verify.Options{Workers: 4}, newLagging(0, 0, 0, 0), down()); res.Outcome != verify.UnknownCheck || !strings.Contains(res.Detail, "instance 2 of 2") {
		t.Errorf("with one instance down: %+v", res)
	}
	if res, _ = agree(t, verify.Options{}); res.Outcome != verify.UnknownCheck {
		t.Errorf("with nobody to ask: %+v", res)
	}
}

func TestAcceptingAnythingFails(t *testing.T) {
	t.Parallel()
	for _, anon := range []bool{false, true} {
		s := &service{names: four(), anon: anon, accepts: func(int, secret.Value) verify.Try { return yes(true) }}
		res, _ := agree(t, verify.Options{Workers: 4}, s)
		if res.Outcome != verify.FailedCheck || !strings.Contains(res.Detail, "accepts anything") {
			t.Errorf("got %+v", res)
		}
	}
}

// TestReplacedWorkersMustFallSilent is how gunicorn reloads: new processes with new
// names beside the old ones, which end some time later.
func TestReplacedWorkersMustFallSilent(t *testing.T) {
	t.Parallel()
	var began time.Time
	ends := 2 * time.Second
	s := &service{}
	for i := range 8 {
		s.names = append(s.names, fmt.Sprint(i))
	}
	s.accepts = func(w int, v secret.Value) verify.Try {
		if began.IsZero() {
			began = time.Now()
		}
		if w >= 4 && time.Since(began) < ends {
			return yes(v.Equal(oldV))
		}
		return yes(v.Equal(newV))
	}
	// Once the old ones have ended their names are heard no more.
	gone := proberFunc(func(ctx context.Context, v secret.Value) verify.Try {
		t := s.Try(ctx, v)
		for t.Worker >= "4" && time.Since(began) >= ends {
			t = s.Try(ctx, v)
		}
		return t
	})
	res, took := agree(t, verify.Options{Workers: 4}, gone)
	if res.Outcome != verify.Passed || took < ends || strings.Join(res.Workers, "") != "0123" {
		t.Errorf("after %v: %+v, want passed after the old workers ended", took, res)
	}
	ends = time.Hour
	began = time.Time{}
	if res, _ = agree(t, verify.Options{Workers: 4}, gone); res.Outcome != verify.FailedCheck {
		t.Errorf("while the old workers answer: %+v", res)
	}
}

type proberFunc func(context.Context, secret.Value) verify.Try

func (f proberFunc) Try(ctx context.Context, v secret.Value) verify.Try { return f(ctx, v) }

func TestAgreeStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := newLagging(time.Hour)
		l.began = time.Now()
		res := verify.Agree(ctx, []verify.Prober{l}, exps(), verify.Options{Consumer: "api", Workers: 1})
		if res.Outcome != verify.UnknownCheck || ctx.Err() == nil {
			t.Errorf("got %+v, want unknown when stopped", res)
		}
	})
}
