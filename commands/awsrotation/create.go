package awsrotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// create keeps a new value as AWSPENDING, unless there is one.
func (h *Handler) create(ctx context.Context, r *rotation) error {
	if _, err := r.read(ctx, pending, r.event.ClientRequestToken); err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now, err := r.read(ctx, current, "")
	if err != nil {
		return err
	}
	fresh, err := h.fresh(ctx, r, now.value)
	if err != nil {
		return err
	}
	h.cfg.Learn(fresh)
	if fresh.Equal(now.value) {
		return fmt.Errorf("the present value of %s was made again: the source of randomness is broken", r.target.secret.Name)
	}
	next, err := r.target.with(now.all(), fresh, now.value)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	in := &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(r.event.SecretID), ClientRequestToken: aws.String(r.event.ClientRequestToken),
		SecretString: aws.String(next), VersionStages: []string{pending},
	}
	if r.event.RotationToken != "" {
		in.RotationToken = aws.String(r.event.RotationToken)
	}
	_, err = h.cfg.Client.PutSecretValue(ctx, in)
	if err = r.explain("PutSecretValue", err); errors.Is(err, store.ErrConflict) {
		// Another call was quicker and kept another value: that one counts.
		_, err = r.readPending(ctx)
	}
	if err == nil {
		h.cfg.Say(fmt.Sprintf("A new value of %s is kept as AWSPENDING.", r.target.secret.Name))
	}
	return err
}

// fresh makes a value, or has it made by who issues it.
func (h *Handler) fresh(ctx context.Context, r *rotation, old secret.Value) (secret.Value, error) {
	s := r.target.secret
	if r.target.issuer == nil {
		v, err := secret.Generate(s.Generator, h.cfg.Random)
		if err == nil {
			err = secret.CheckHMAC(v)
		}
		if err != nil {
			return secret.Value{}, fmt.Errorf("no new value of %s can be made: %w", s.Name, err)
		}
		return v, nil
	}
	o := r.order(old, secret.Value{})
	if _, err := r.target.issuer.Check(ctx, o); err != nil {
		return secret.Value{}, fmt.Errorf("looking before %s is rotated: %w", s.Name, err)
	}
	v, _, err := r.target.issuer.Create(ctx, o)
	if err == nil && v.IsZero() {
		err = errors.New("it is empty")
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("making a new value of %s: %w", s.Name, err)
	}
	return v, nil
}
