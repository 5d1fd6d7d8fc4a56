package dotenv

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"rekey/commands/store"
)

// Sweep removes the copies which earlier owners of the run prepared, escrows in the
// making included. Fence numbers count per run, so the copies of other runs are left
// to their own successors (and to the next Write, which removes all others).
func (s *Store) Sweep(ctx context.Context, ref store.Ref, run string, fenceNumber int64) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	if err := checkRun(run, fenceNumber); err != nil {
		return err
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return err
	}
	defer p.Close()
	// Without the lock: who holds it may be the very process that is paused.
	if err := p.removeCopies(func(name string) bool {
		owner, number, ok := copyOwner(p.base, name)
		return ok && owner == run && number < fenceNumber
	}); err != nil {
		return err
	}
	draft := escrowDraft(p.base, ref.Variable, run)
	if err := p.removeNames(func(name string) bool { return strings.HasPrefix(name, draft) }); err != nil {
		return err
	}
	return p.sync()
}

// removeCopies removes prepared copies of the file that which picks.
func (p *place) removeCopies(which func(name string) bool) error {
	return p.removeNames(func(name string) bool {
		_, _, ok := copyOwner(p.base, name)
		return ok && which(name)
	})
}

func (p *place) removeNames(which func(name string) bool) error {
	names, err := p.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if which(name) {
			if err := p.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyName names a prepared copy of base. The leading dot and the ending keep it out
// of the way of loaders and of patterns like .env.*.
func copyName(base, run string, fence int64) string {
	return fmt.Sprintf(".%s.rekey-%s-%d.tmp", base, run, fence)
}

// copyOwner reads a name back; ok is false for any other file.
func copyOwner(base, name string) (run string, fence int64, ok bool) {
	rest, found := strings.CutPrefix(name, "."+base+".rekey-")
	if !found {
		return "", 0, false
	}
	if rest, found = strings.CutSuffix(rest, ".tmp"); !found {
		return "", 0, false
	}
	dash := strings.LastIndexByte(rest, '-')
	if dash < 1 {
		return "", 0, false
	}
	fence, err := strconv.ParseInt(rest[dash+1:], 10, 64)
	return rest[:dash], fence, err == nil
}

// checkRun keeps a run's name a part of a file name.
func checkRun(run string, fence int64) error {
	if run == "" || len(run) > 100 || fence < 0 || strings.Trim(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("%q with fence %d cannot name a run: use letters, digits, _ and -", run, fence)
	}
	return nil
}
