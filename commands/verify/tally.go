package verify

import (
	"maps"
	"slices"
)

// tally is what one instance has said so far.
type tally struct {
	exps     []Expectation
	opts     Options
	rounds   int
	asked    int
	clean    int // rounds in a row in which every answer was as expected
	nameless bool
	workers  map[string]*worker
	// contrary is the last round in which a nameless answer contradicted each
	// expectation; 0 for never.
	contrary []int
	// why is the reason of the newest question without an answer.
	why string
}

// worker is one process behind the address.
type worker struct {
	agreed   []bool // per expectation, since its last contrary answer
	contrary []int  // per expectation, the round of its newest answer if that was contrary, else 0
}

func newTally(exps []Expectation, opts Options) *tally {
	return &tally{exps: exps, opts: opts, workers: map[string]*worker{}, contrary: make([]int, len(exps))}
}

// round takes the answers of one round. Within a round the order of answers is not
// known, so contrary ones count as the last.
func (t *tally) round(tries []Try) {
	t.rounds++
	t.asked += len(tries)
	clean := true
	for i, try := range tries {
		if try.Answer == t.exps[i].Want {
			if w := t.worker(try); w != nil {
				w.agreed[i], w.contrary[i] = true, 0
			}
			continue
		}
		clean = false
		if try.Answer == Unknown {
			t.why = try.Why
		}
	}
	for i, try := range tries {
		if try.Answer == t.exps[i].Want || try.Answer == Unknown && try.Worker == "" {
			continue
		}
		w := t.worker(try)
		switch {
		case w == nil:
			t.contrary[i] = t.rounds
		case try.Answer == Unknown:
			clear(w.agreed)
		default:
			clear(w.agreed)
			w.contrary[i] = t.rounds
		}
	}
	if clean {
		t.clean++
	} else {
		t.clean = 0
	}
}

// worker answers who gave an answer; nil when the answer does not say.
func (t *tally) worker(try Try) *worker {
	if try.Worker == "" {
		t.nameless = true
		return nil
	}
	w := t.workers[try.Worker]
	if w == nil {
		w = &worker{agreed: make([]bool, len(t.exps)), contrary: make([]int, len(t.exps))}
		t.workers[try.Worker] = w
	}
	return w
}

// agreeing lists the workers that agree with everything.
func (t *tally) agreeing() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t.workers)) {
		if !slices.Contains(t.workers[name].agreed, false) {
			names = append(names, name)
		}
	}
	return names
}

// named reports that the workers can be counted.
func (t *tally) named() bool { return t.opts.Workers > 0 && !t.nameless && len(t.workers) > 0 }

// agreed reports that the instance has proven itself. A worker that disagreed and is
// not heard of any more has ended, most likely, but only a streak without it shows
// that; so does one that has not answered everything yet.
func (t *tally) agreed() bool {
	if t.clean == 0 {
		return false
	}
	if !t.named() {
		return t.clean >= t.opts.Streak
	}
	n := len(t.agreeing())
	if n < t.opts.Workers {
		return false
	}
	return n == len(t.workers) || t.clean >= t.opts.Streak
}

// against counts who contradicted expectation i lately: workers where they have
// names, else 1 for anybody.
func (t *tally) against(i int) int {
	n := 0
	recent := func(round int) bool { return round > 0 && t.rounds-round < t.opts.Streak }
	for _, w := range t.workers {
		if recent(w.contrary[i]) {
			n++
		}
	}
	if n == 0 && recent(t.contrary[i]) {
		n = 1
	}
	return n
}
