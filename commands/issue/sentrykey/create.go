package sentrykey

import (
	"context"
	"fmt"
	"net/http"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Create answers the DSN of the run's client key, which it makes unless it is there. A
// key works from the moment it is made.
func (i *Issuer) Create(ctx context.Context, o issue.Order) (v secret.Value, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if err != nil {
		return secret.Value{}, "", err
	}
	var old *key
	if name, ok := public(o.Old); ok {
		if old, err = d.look(ctx, name); err != nil {
			return secret.Value{}, "", err
		}
	}
	keys, err := d.named(ctx, o.Run)
	if err != nil {
		return secret.Value{}, "", err
	}
	verb := "Found"
	if len(keys) == 0 {
		body := map[string]any{"name": nameOf(o.Run)}
		if old != nil && old.Limit != nil {
			body["rateLimit"] = old.Limit
		}
		if err := d.changes(ctx, "make a client key", http.MethodPost, body, nil, "keys"); err != nil {
			return secret.Value{}, "", err
		}
		// The list decides, not the answer: two that make one at once then agree.
		if keys, err = d.named(ctx, o.Run); err != nil {
			return secret.Value{}, "", err
		}
		verb = "Made"
	}
	if len(keys) == 0 {
		return secret.Value{}, "", fmt.Errorf("making client key %q: Sentry does not list it yet", nameOf(o.Run))
	}
	v, rerouted, err := shape(o.Old, old, keys[0])
	if err != nil {
		return secret.Value{}, "", issue.Faultf("Sentry's answer holds no DSN for client key %s.", keys[0].called())
	}
	note = fmt.Sprintf("%s client key %s in %s.", verb, keys[0].called(), d.project())
	if rerouted {
		note += " The DSN in use leads to another address than the one Sentry names, so the new one does too."
	}
	return v, note, nil
}

// Set makes sure that the new key is on, and removes others that a lost answer left
// behind for the same run.
func (i *Issuer) Set(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if err != nil {
		return "", err
	}
	made, err := d.needed(ctx, o)
	if err != nil {
		return "", err
	}
	note = fmt.Sprintf("Client key %s is on.", made.called())
	if !made.Active {
		if err := d.activate(ctx, *made, true); err != nil {
			return "", err
		}
		note = fmt.Sprintf("Switched client key %s on.", made.called())
	}
	twins, err := d.named(ctx, o.Run)
	if err != nil {
		return "", err
	}
	for _, twin := range twins {
		if twin.ID == made.ID || isOld(o, twin) {
			continue
		}
		if err := d.remove(ctx, twin); err != nil {
			return "", err
		}
		note += " Deleted a second one of the same name."
	}
	return note, nil
}

// needed finds the new key, which must be there.
func (d *desk) needed(ctx context.Context, o issue.Order) (*key, error) {
	name, ok := public(o.New)
	if !ok {
		return nil, issue.Faultf("The new value is not a Sentry DSN.")
	}
	if old, ok := public(o.Old); ok && old == name {
		return nil, issue.Faultf("The new DSN has the client key of the old one.")
	}
	made, err := d.look(ctx, name)
	if err != nil {
		return nil, err
	}
	if made == nil {
		return nil, issue.Faultf("The new client key is no longer in %s: somebody deleted it.", d.project())
	}
	return made, nil
}

// isOld reports whether k is the key of the DSN in use, which only Retire and Finish
// may touch.
func isOld(o issue.Order, k key) bool {
	name, ok := public(o.Old)
	return ok && name == k.ID
}
