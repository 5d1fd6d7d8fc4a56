package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/commands/estatetest"
)

// outcome is what the drill ended with.
type outcome struct {
	run      ledger.Run
	typed    time.Time
	answered time.Duration
	honest   estatetest.Count
	planted  estatetest.Counts
}

// figures prints what a responder wants to know, and answers an error for each that
// is not as it must be.
func (d *drill) figures(ctx context.Context, o outcome) error {
	var report audit.Report
	if err := json.Unmarshal(o.run.Report, &report); err != nil {
		return fmt.Errorf("the run %s has no report: it ended %s: %s", o.run.ID, o.run.State, o.run.Problem)
	}
	v, err := d.app.Store().Verify(ctx)
	if err != nil {
		return err
	}
	used := estatetest.PastAccepted + o.planted.Attacker.Accepted
	refused := estatetest.PastRefused + o.planted.Attacker.Refusals() + o.planted.Prober.Refusals()
	foundUsed := report.Strangers[audit.Used]
	foundRefused := report.Strangers[audit.InvalidSignature] + report.Strangers[audit.Denied]
	honestLost := o.honest.Refusals() + o.honest.Errors

	d.out.title("What a responder wants to know")
	d.out.figure("command answered after", "%v (Slack allows 3 s)", o.answered.Round(time.Millisecond))
	d.out.figure("attacker locked out after", "%.1f s", o.planted.Attacker.LastAccepted.Sub(o.typed).Seconds())
	d.out.figure("old value proven dead after", "%.1f s", d.proven(ctx, o.run).Sub(o.typed).Seconds())
	d.out.figure("honest requests refused", "%d of %d", honestLost, o.honest.Sent)
	d.out.figure("evidence of use", "%d found of %d planted", foundUsed, used)
	d.out.figure("evidence of refused attempts", "%d found of %d planted", foundRefused, refused)
	d.out.figure("evidence read in", "%d ms", report.TookMS)
	d.out.figure("verdict", "%s", report.Verdict.Sentence)
	d.out.figure("the picture of it", "%s", d.chart().Alt)
	d.out.figure("security log", "%d entries, verified, newest %s", v.Entries, v.Head.String()[:12])

	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	must(o.run.State == ledger.Succeeded, "the run ended %s: %s", o.run.State, o.run.Problem)
	must(honestLost == 0, "%d honest requests were refused", honestLost)
	must(used > 0 && foundUsed == used, "%d accepted uses were planted and %d found", used, foundUsed)
	must(refused > 0 && foundRefused == refused, "%d refused attempts were planted and %d found", refused, foundRefused)
	must(report.Verdict.Outcome == audit.Misused, "the verdict is %s, though the attacker was let in", report.Verdict.Outcome)
	must(strings.Contains(report.Verdict.Sentence, fmt.Sprintf("%s was refused %d times and then let in", estatetest.AttackerAddr, estatetest.PastRefused)),
		"the verdict does not say how the attacker got in: %s", report.Verdict.Sentence)
	must(drawn(report, o.typed.Add(-estatetest.PastEntry)) == estatetest.PastAccepted, "the entry of the night is not drawn where it happened")
	must(len(d.chart().Content) > 0, "no chart was attached")
	must(v.OK, "the security log does not hold: %s", v.Problem)
	for _, i := range d.world.PagerDuty.Incidents() {
		must(i.Status == bottest.Resolved, "the page about %q is still open", i.Summary)
	}
	for _, broken := range d.world.Slack.Errors() {
		must(false, "a rule of Slack's was broken: %s", broken)
	}
	return errors.Join(wrong...)
}

// drawn is how many accepted requests of strangers the timeline shows around a moment.
func drawn(r audit.Report, at time.Time) int {
	n := 0
	for _, s := range r.Timeline.Slots {
		if s.At.Before(at.Add(r.Timeline.Step)) && s.At.Add(2*r.Timeline.Step).After(at) {
			n += s.StrangersAccepted
		}
	}
	return n
}

// proven answers when the proof of death was recorded.
func (d *drill) proven(ctx context.Context, run ledger.Run) time.Time {
	_, steps, err := d.app.Look(ctx, run.ID)
	if err != nil {
		return time.Time{}
	}
	for _, s := range steps {
		if s.Kind == "prove" {
			return s.Ended
		}
	}
	return time.Time{}
}
