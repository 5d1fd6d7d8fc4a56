package awsrotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws/document"
)

// text is one version's text.
type text struct {
	all   func() string // a function: printing a text prints no value
	value secret.Value  // what all slots hold
}

// read answers the version with a label; version narrows it down. ErrNotFound of package
// store when there is none, or none with a value.
func (r *rotation) read(ctx context.Context, label, version string) (text, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(r.event.SecretID), VersionStage: aws.String(label)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	out, err := r.h.cfg.Client.GetSecretValue(ctx, in)
	if err != nil {
		return text{}, r.explain("GetSecretValue", err)
	}
	if out.SecretString == nil {
		return text{}, fmt.Errorf("%s holds bytes and not text, which rekey does not change: %w", r.name, store.ErrAmbiguous)
	}
	all := *out.SecretString
	t := text{all: func() string { return all }}
	if t.value, err = r.target.value(all); err != nil {
		return text{}, fmt.Errorf("%s of %s: %w", label, r.name, err)
	}
	r.h.cfg.Learn(t.value)
	return t, nil
}

// readPending answers the version that is to be. An error where createSecret has not
// kept one.
func (r *rotation) readPending(ctx context.Context) (text, error) {
	t, err := r.read(ctx, pending, r.event.ClientRequestToken)
	if errors.Is(err, store.ErrNotFound) {
		return text{}, fmt.Errorf("%w: createSecret has kept no value of %s for version %s", ErrRefused, r.name, r.event.ClientRequestToken)
	}
	return t, err
}

// value answers what all slots of t agree on.
func (t target) value(all string) (secret.Value, error) {
	var v secret.Value
	for i, s := range t.slots {
		st, err := s.read(all)
		switch {
		case err != nil:
			return secret.Value{}, err
		case st.Current.IsZero():
			return secret.Value{}, fmt.Errorf("%q is empty; put the value in use there first", s.variable)
		case i > 0 && !st.Current.Equal(v):
			return secret.Value{}, fmt.Errorf("%q and %q hold different values of %s; make them agree first", t.slots[0].variable, s.variable, t.secret.Name)
		}
		v = st.Current
	}
	return v, nil
}

func (s slot) read(all string) (st store.State, err error) {
	if s.variable == "" {
		if document.IsObject(all) {
			return st, fmt.Errorf("it holds several keys, and the catalogue names none: %w", store.ErrAmbiguous)
		}
		return store.State{Current: secret.NewValue(all)}, nil
	}
	d, err := document.Parse(all)
	if err != nil {
		return st, err
	}
	var found bool
	st.Current, found, err = d.Value(s.variable)
	if err == nil && !found {
		err = fmt.Errorf("%q is %w in it", s.variable, store.ErrNotFound)
	}
	if err == nil && s.previous != "" {
		st.Previous, _, err = d.Value(s.previous)
	}
	return st, err
}

// with answers the text in which every slot holds fresh, and old where the slot has room
// for it. All else keeps its bytes.
func (t target) with(all string, fresh, old secret.Value) (string, error) {
	for _, s := range t.slots {
		if s.variable == "" {
			if s.previous != "" {
				return "", fmt.Errorf("the whole text is the value of %s, so there is no room for a previous one: %w", t.secret.Name, ErrCatalogue)
			}
			all = fresh.Reveal()
			continue
		}
		d, err := document.Parse(all)
		if err == nil {
			d, err = d.With(s.variable, fresh, "")
		}
		if err == nil && s.previous != "" {
			d, err = d.With(s.previous, old, s.variable)
		}
		if err != nil {
			return "", err
		}
		all = d.Text()
	}
	return all, nil
}
