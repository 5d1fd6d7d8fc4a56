package sentrykey

import (
	"context"
	"fmt"
	"slices"

	"rekey/commands/issue"
)

// Rollback deletes the run's key, and all others of its name. The old key is never
// among them.
func (i *Issuer) Rollback(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if err != nil {
		return "", err
	}
	keys, err := d.named(ctx, o.Run)
	if err != nil {
		return "", err
	}
	if name, ok := public(o.New); ok && !slices.ContainsFunc(keys, func(k key) bool { return k.ID == name }) {
		renamed, err := d.look(ctx, name)
		if err != nil {
			return "", err
		}
		if renamed != nil {
			keys = append(keys, *renamed)
		}
	}
	note = "There is no client key of this run."
	for _, k := range keys {
		if isOld(o, k) {
			continue
		}
		if err := d.remove(ctx, k); err != nil {
			return "", err
		}
		note = fmt.Sprintf("Deleted client key %s.", k.called())
	}
	return note, nil
}
