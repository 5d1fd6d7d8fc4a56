package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/commands"
)

// start takes a request, and carries or watches its run.
func (s *session) start(req commands.Request, asJSON bool) error {
	a, err := s.worker()
	if err != nil {
		return unstarted(err)
	}
	defer a.Close()
	answer, err := s.take(a, req)
	if err != nil {
		return err
	}
	return s.carried(a, answer, asJSON)
}

// carried prints what a request was answered, and carries or watches its run.
func (s *session) carried(a *app.App, answer commands.Answer, asJSON bool) error {
	if !asJSON {
		s.say(answer.Text + "\n")
	}
	return s.follow(a, answer.Run, asJSON)
}

// unstarted says so, where the words of err do not.
func unstarted(err error) error {
	var f *failure
	if errors.As(err, &f) || errors.Is(err, ledger.ErrBroken) {
		return err
	}
	return fmt.Errorf("nothing was started: %w", err)
}

// follow carries or watches a run to its end, and prints how it goes.
func (s *session) follow(a *app.App, id string, asJSON bool) error {
	// A dropped connection must not end a rotation half way.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Stop(hangups)
	quiet := context.AfterFunc(s.ctx, func() {
		s.complain("stopping after the step at hand; once more stops at once.")
	})
	defer quiet()

	show := func(ledger.Run, []ledger.Step) {}
	if !asJSON {
		show = s.progress(a)
	}
	run, err := a.Carry(s.ctx, id, show)
	if err != nil && s.ctx.Err() != nil {
		return &failure{
			code: ExitStopped, text: "stopped before run " + id + " had ended. It is recorded, and goes on with the next rekey that works.",
			hint: "rekey resume " + id,
		}
	}
	if err != nil {
		return fmt.Errorf("following run %s: %w", id, err)
	}
	return s.ended(a, run, asJSON)
}

// progress prints each step once, when it has ended; of a batch, each member whenever it
// is somewhere else. A run that stands and asks says so at once.
func (s *session) progress(a *app.App) func(ledger.Run, []ledger.Step) {
	said := map[int]bool{}
	members := map[string]string{}
	asked := map[string]time.Time{}
	asks := func(scene render.Scene) { // once, and again when its end was put off
		if d, held := commands.Held(scene.Run); held && !d.Until.Equal(asked[scene.Run.ID]) {
			asked[scene.Run.ID] = d.Until
			s.say(render.HeldLine(scene) + "\n")
		}
	}
	return func(run ledger.Run, steps []ledger.Step) {
		if run.Kind == ledger.KindBatch {
			scene, err := a.Scene(s.ctx, run.ID)
			if err != nil {
				return // the next change tells
			}
			for _, m := range scene.Members {
				asks(m)
				if line := render.MemberLine(m); m.Run.State != ledger.Queued && members[m.Run.ID] != line {
					members[m.Run.ID] = line
					s.say(line + "\n")
				}
			}
			return
		}
		asks(render.Scene{Run: run, Steps: steps})
		for _, st := range steps {
			ended := st.State == ledger.StepDone || st.State == ledger.StepFailed || st.State == ledger.StepUndone
			if ended && !said[st.Index] {
				said[st.Index] = true
				s.say(render.StepLine(st) + "\n")
			}
		}
	}
}

// ended prints how a run ended and answers the exit code that says so.
func (s *session) ended(a *app.App, run ledger.Run, asJSON bool) error {
	ctx := context.WithoutCancel(s.ctx) // it has ended, and that is worth saying
	scene, err := a.Scene(ctx, run.ID)
	if err != nil {
		return err
	}
	switch {
	case s.result != nil:
		if err := s.result(scene); err != nil {
			return err
		}
	case asJSON:
		if err := writeJSON(s.Out, sceneJSON(scene)); err != nil {
			return err
		}
	default:
		s.say("\n" + render.EndText(scene))
	}
	if err := s.left(ctx, a, scene.Run); err != nil {
		return err
	}
	return verdictError(scene)
}

// left says what is still to be done and that this process will not do.
func (s *session) left(ctx context.Context, a *app.App, run ledger.Run) error {
	untold, err := a.Untold(ctx, run.ID)
	if err != nil {
		return err
	}
	alone, err := a.Alone(ctx)
	if err != nil || !alone {
		return err // another rekey is there, and does it
	}
	missed := func(n int, what string) {
		if n > 0 {
			s.complain(what + " was not told everything yet. Nothing is lost: the next rekey that serves and reaches " + what + " tells it.")
		}
	}
	missed(untold.Slack, "Slack")
	missed(untold.PagerDuty, "PagerDuty")
	if run.State == ledger.Succeeded && run.Mode == string(commands.Compromised) {
		s.complain("no rekey is serving here, so nobody keeps watch for uses of the old value. Start one: it watches for the rest of 24 hours.")
	}
	if run.State == ledger.Waiting {
		s.complain("no rekey is serving here, so nobody ends the overlap at that time. Start one, or type then: rekey resume " + run.ID)
	}
	return nil
}

// verdictError answers the exit code of how a run ended; of a batch, its worst member's.
func verdictError(s render.Scene) error {
	run, worst := s.Run, ExitOK
	if run.State == ledger.Failed || run.State == ledger.RolledBack {
		return &failure{code: ExitRunFailed}
	}
	for _, m := range append(s.Members, s) {
		if m.Report == nil {
			continue
		}
		switch m.Report.Verdict.Outcome {
		case audit.Misused:
			return &failure{code: ExitMisused}
		case audit.CannotTell:
			worst = ExitUnsure
		case audit.NoSign, audit.Refused:
		}
	}
	if worst != ExitOK {
		return &failure{code: worst}
	}
	return nil
}

type resumeCmd struct {
	ID   string `arg:"" name:"run" optional:"" help:"One run's number; everything that can go on when left out."`
	JSON bool   `name:"json" help:"Print each ended run as JSON."`
}

// Run carries on what was begun.
func (c *resumeCmd) Run(s *session) error {
	a, err := s.worker()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, commands.Request{Verb: commands.Status, Run: c.ID})
	if err != nil {
		return err
	}
	if c.ID != "" {
		answer.Runs = answer.Runs[:min(1, len(answer.Runs))] // a batch answers for its members
	}
	found, worst := false, ExitOK
	for _, run := range answer.Runs {
		idle := commands.Idle(run, time.Now())
		if c.ID == "" && idle {
			continue
		}
		found = true
		err := s.follow(a, run.ID, c.JSON)
		if s.ctx.Err() != nil {
			return err
		}
		worst = max(worst, s.report(err))
	}
	if !found && !c.JSON {
		s.say("Nothing was interrupted.\n")
	}
	return &failure{code: worst}
}
