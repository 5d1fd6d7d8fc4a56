package rehearsal_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/commands/journal"
)

// fire kills p, which stands still in the first of the steps of each holding's run, and
// the next rekey in the next ones, to the last of them.
func (h *house) fire(p *process, steps [][]ledger.Step) {
	h.t.Helper()
	for i := range steps[0] {
		if i > 0 {
			p = h.start(func(g *holding) string { return steps[slices.Index(h.holdings, g)][i].Key })
			h.awaits(p)
		}
		h.dies(p, steps[0][i].Key)
	}
	for i := range steps {
		if len(steps[i]) != len(steps[0]) {
			h.t.Fatalf("%d steps over one store, and %d over another", len(steps[0]), len(steps[i]))
		}
	}
}

// start puts a rekey on duty, after the last one's death, that stands still in a step of
// each run, at the moment of its secret; nowhere when step is nil.
func (h *house) start(step func(*holding) string) *process {
	h.t.Helper()
	h.help() // nobody is there to see it
	h.Slack.ExpectDisconnected(h.t)
	h.expire()
	var points []string
	for _, g := range h.holdings {
		if g.awaited = ""; step != nil {
			g.awaited = step(g)
			points = append(points, fmt.Sprintf("%s: %s %s", g.variable, g.awaited, g.moment))
		}
	}
	return h.spawn(points...)
}

// types lets alice type a line as soon as a rekey is there to read it, and say yes where
// she is asked whether she means it.
func (h *house) types(line string) {
	h.t.Helper()
	h.Slack.ExpectConnected(h.t, 1)
	answer := h.typed(h.Alice, line)
	if !bytes.Contains(answer.Blocks, []byte(render.ActionConfirm)) {
		return
	}
	var asked bottest.Message
	h.within("alice sees the question", func() bool {
		whispers := h.Alice.Whispers()
		i := slices.IndexFunc(whispers, func(m bottest.Message) bool { return bytes.Equal(m.Blocks, answer.Blocks) })
		if i >= 0 {
			asked = whispers[i]
		}
		return i >= 0
	})
	if said, err := h.Alice.Click(h.t.Context(), asked, render.ActionConfirm); err != nil || said.Err != "" {
		h.t.Fatalf("clicked: %+v, %v", said, err)
	}
}

// begins lets alice type what begins a run.
func (h *house) begins(g *holding, line string) {
	h.t.Helper()
	before := g.run
	h.types(line)
	h.within(line+" begins a run", func() bool {
		for _, r := range h.runs(h.watch) {
			if r.Secret == g.variable {
				g.run = r.ID
				return g.run != before
			}
		}
		return false
	})
}

// awaits waits until a rekey stands still in every run, and does meanwhile what a person
// has to.
func (h *house) awaits(p *process) {
	h.t.Helper()
	var point []string
	for _, g := range h.holdings {
		point = append(point, g.variable+" in "+g.awaited+" "+string(g.moment))
	}
	var ended time.Time
	began := time.Now()
	h.reaches(p, strings.Join(point, ", "), func() {
		h.help()
		for _, g := range h.holdings {
			r := h.run(g)
			switch {
			case time.Since(began) > patience-time.Second:
				h.t.Errorf("%s is %s in %q: %s", g.variable, r.State, h.next(g).Key, r.Problem)
			case !r.State.Final():
			case ended.IsZero(): // it may stand still right after its end
				ended = time.Now()
			case time.Since(ended) > 5*time.Second:
				h.t.Fatalf("%s: %s has ended %s: %s", strings.Join(point, ", "), g.variable, r.State, r.Problem)
			}
		}
	})
}

// dies kills a rekey, and looks whether the services serve all the same.
func (h *house) dies(p *process, point string) {
	h.t.Helper()
	p.kill()
	h.deaths++
	h.heard(p)
	for _, g := range h.holdings {
		h.learns(g)
		h.mustServeAt(g, point)
	}
}

// finish lets a rekey carry the runs to their ends, and ends it in order.
func (h *house) finish() {
	h.t.Helper()
	p := h.start(nil)
	for _, g := range h.holdings {
		h.within(g.variable+": the run ends", func() bool {
			h.help()
			return h.run(g).State.Final()
		})
		h.within(g.variable+": everything is told", func() bool { return h.untold(h.watch, g.run) == 0 })
	}
	p.end()
	h.heard(p)
	for _, g := range h.holdings {
		h.learns(g)
	}
}

// heard keeps what a rekey has logged.
func (h *house) heard(p *process) {
	h.t.Helper()
	if _, err := h.log.Write([]byte(p.err.String())); err != nil {
		h.t.Fatal(err)
	}
}

// help does what the procedure asks of a person at the steps at hand.
func (h *house) help() {
	h.t.Helper()
	for _, g := range h.holdings {
		// A value that is brought early is never asked for.
		early := g.awaited == "create" && g.moment == journal.Intended
		if g.person != nil && g.run != "" && !early && !h.run(g).State.Final() {
			g.person(h, g.run, h.next(g).Key)
		}
	}
}

// run is the run of a secret, as it is now.
func (h *house) run(g *holding) ledger.Run {
	h.t.Helper()
	r, _, err := h.watch.Look(h.t.Context(), g.run)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// next is the step that a secret's run is in, or that it will begin; the zero Step after
// the last one.
func (h *house) next(g *holding) ledger.Step {
	h.t.Helper()
	for _, st := range h.steps(g.run) {
		if st.State == ledger.StepPending || st.State == ledger.StepRunning {
			return st
		}
	}
	return ledger.Step{}
}

func (h *house) steps(run string) []ledger.Step {
	h.t.Helper()
	_, steps, err := h.watch.Look(h.t.Context(), run)
	if err != nil {
		h.t.Fatal(err)
	}
	return steps
}
