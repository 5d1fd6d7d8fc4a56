package sentrykey

import (
	"context"
	"fmt"

	"rekey/commands/issue"
)

// Retire switches the old key off. Ingestion may take some minutes to notice.
func (i *Issuer) Retire(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, old, err := i.proper(ctx, o)
	if err != nil {
		return "", err
	}
	switch {
	case old == nil:
		return "The old client key is gone from Sentry already.", nil
	case !old.Active:
		return fmt.Sprintf("Client key %s is off already.", old.called()), nil
	}
	if err := d.activate(ctx, *old, false); err != nil {
		return "", err
	}
	return fmt.Sprintf("Switched client key %s off.", old.called()), nil
}

// Finish deletes the old key.
func (i *Issuer) Finish(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, old, err := i.proper(ctx, o)
	if err != nil {
		return "", err
	}
	i.forget(o)
	if old == nil {
		return "The old client key is gone from Sentry.", nil
	}
	if err := d.remove(ctx, *old); err != nil {
		return "", err
	}
	return fmt.Sprintf("Deleted client key %s.", old.called()), nil
}

// proper finds the old key for a step that ends it: never before the new one is there
// and on, so that monitoring does not stop.
func (i *Issuer) proper(ctx context.Context, o issue.Order) (*desk, *key, error) {
	d, err := i.open(o)
	if err != nil {
		return nil, nil, err
	}
	name, ok := public(o.Old)
	if !ok {
		return nil, nil, issue.Faultf("The old value is not a Sentry DSN.")
	}
	made, err := d.needed(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if !made.Active {
		return nil, nil, issue.Faultf("The new client key %s is switched off; switch it on in Sentry first, or nothing would be reported.", made.called())
	}
	old, err := d.look(ctx, name)
	return d, old, err
}

// Revive switches the old key on again. A *issue.Fault after it was deleted.
func (i *Issuer) Revive(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if err != nil {
		return "", err
	}
	name, ok := public(o.Old)
	if !ok {
		return "", issue.Faultf("The old value is not a Sentry DSN.")
	}
	old, err := d.look(ctx, name)
	switch {
	case err != nil:
		return "", err
	case old == nil:
		return "", issue.Faultf("The old client key is deleted; Sentry cannot bring it back.")
	case old.Active:
		return fmt.Sprintf("Client key %s is on.", old.called()), nil
	}
	if err := d.activate(ctx, *old, true); err != nil {
		return "", err
	}
	return fmt.Sprintf("Switched client key %s on again.", old.called()), nil
}
