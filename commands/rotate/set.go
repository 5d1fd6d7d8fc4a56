package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rekey/audit/ledger"
	"rekey/commands/reload"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// set writes one consumer's copy and has it reloaded. Reloading is repeated after a
// crash: it makes a service read what the file holds, however often.
func (r *Rotator) set(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	u, ok := s.use(step.Consumer)
	if !ok {
		return Result{}, faultf("the catalogue no longer says that %s uses %s; put it back", step.Consumer, s.Secret.Name)
	}
	e, err := r.escrow(ctx, s)
	if err != nil {
		return Result{}, err
	}
	if err := r.write(ctx, s, u, step, e); err != nil {
		return Result{}, err
	}
	if err := s.Still(ctx); err != nil {
		return Result{}, err
	}
	c := s.consumer(u)
	out, err := reload.Run(ctx, c.Reload, c.ReloadTimeout)
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		said := ""
		if out = strings.TrimSpace(r.cfg.Guard.ScrubString(out)); out != "" {
			said = " It said: " + secret.MaskTokens(lastLine(out))
		}
		return Result{}, &Fault{Sentence: fmt.Sprintf("%s could not be reloaded with %q: %v.%s", c.Name, strings.Join(c.Reload, " "), err, said), Err: err}
	}
	return Result{Note: "Copy written, service told to reload."}, nil
}

// write brings one copy to what the stage wants. A copy that somebody changed in the
// meantime is read again: only a value that is not ours stops the run.
func (r *Rotator) write(ctx context.Context, s Subject, u secret.Use, step ledger.Step, e store.Escrow) error {
	st, err := r.store(s, u)
	if err != nil {
		return err
	}
	want := desired(u, step.Stage, e)
	for attempt := 1; ; attempt++ {
		have, err := st.Read(ctx, s.ref(u))
		if err != nil {
			return placeFault(u, err)
		}
		if !known(u, step.Stage, have, e) {
			return faultf("%s holds a value of %s that is neither the old nor the new one: somebody else is changing it; settle that first", s.consumer(u).Location, or(u.Variable, s.Secret.Name))
		}
		_, err = st.Write(ctx, s.ref(u), store.Change{
			From: have.Revision, Want: want, Run: s.Run.ID, FenceNumber: s.Run.Fence, Fence: s.Still,
		})
		if errors.Is(err, store.ErrConflict) && attempt < 5 {
			continue
		}
		if err != nil {
			return placeFault(u, err)
		}
		return nil
	}
}

func lastLine(s string) string {
	s = s[strings.LastIndexByte(s, '\n')+1:]
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
