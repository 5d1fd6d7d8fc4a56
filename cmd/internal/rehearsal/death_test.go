package rehearsal_test

import (
	"bytes"
	"slices"
	"strings"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/commands/journal"
)

// fire kills p, which stands still in the first of the steps, and the next rekey in the
// next one, to the last of them.
func (h *house) fire(g *holding, p *process, steps []ledger.Step, m journal.Moment) {
	h.t.Helper()
	for i, st := range steps {
		if i > 0 {
			p = h.start(g, st.Key, m)
			h.awaits(g, p, st.Key, m)
		}
		h.dies(g, p, st.Key+" "+string(m))
	}
}

// start puts a rekey on duty, after the last one's death, that stands still at a moment
// of a step; nowhere when step is "".
func (h *house) start(g *holding, step string, m journal.Moment) *process {
	h.t.Helper()
	h.helps(g) // nobody is there to see it
	h.Slack.ExpectDisconnected(h.t)
	h.expire()
	if step == "" {
		return h.spawn("")
	}
	return h.spawn(step + " " + string(m))
}

// asks lets alice type a line as soon as a rekey is there to read it, and say yes where
// she is asked whether she means it.
func (h *house) asks(line string) {
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

// awaits waits until a rekey stands still, and does meanwhile what a person has to.
func (h *house) awaits(g *holding, p *process, step string, m journal.Moment) {
	h.t.Helper()
	h.reaches(p, step+" "+string(m), func() {
		// A value that was brought early would never be asked for.
		if step != "create" || m != journal.Intended {
			h.helps(g)
		}
	})
}

// dies kills a rekey, and looks whether the services serve all the same.
func (h *house) dies(g *holding, p *process, point string) {
	h.t.Helper()
	p.kill()
	h.heard(p)
	h.learns(g)
	h.mustServeAt(g, point)
}

// finish lets a rekey carry the run to its end, and ends it in order.
func (h *house) finish(g *holding, p *process) ledger.Run {
	h.t.Helper()
	h.within("the run ends", func() bool {
		h.helps(g)
		return h.runs(h.watch)[0].State.Final()
	})
	run := h.ends(h.watch)
	p.end()
	h.heard(p)
	h.learns(g)
	return run
}

// heard keeps what a rekey has logged.
func (h *house) heard(p *process) {
	h.t.Helper()
	if _, err := h.log.Write([]byte(p.err.String())); err != nil {
		h.t.Fatal(err)
	}
}

// helps does what the procedure asks of a person at the step at hand.
func (h *house) helps(g *holding) {
	h.t.Helper()
	if g.person == nil {
		return
	}
	if runs := h.runs(h.watch); len(runs) > 0 && runs[0].Secret == g.variable && !runs[0].State.Final() {
		g.person(h, runs[0].ID, h.next(runs[0].ID).Key)
	}
}

// next is the step that a run is in, or that it will begin; the zero Step after the
// last one.
func (h *house) next(run string) ledger.Step {
	h.t.Helper()
	for _, st := range h.steps(run) {
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

// command lets rekey's own program say what it knows.
func (h *house) commands() {
	for _, line := range []string{"runs --json", "ledger export", "ledger verify"} {
		h.command(h.said, strings.Fields(line)...)
	}
	for _, r := range h.runs(h.watch) {
		h.command(h.said, "runs", r.ID)
	}
}
