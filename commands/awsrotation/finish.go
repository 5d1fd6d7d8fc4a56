package awsrotation

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// test tries the pending value where it counts. A value that nobody issues can only be
// looked at: the services that hold it do not know it yet.
func (h *Handler) test(ctx context.Context, r *rotation) error {
	fresh, err := r.readPending(ctx)
	if err != nil {
		return err
	}
	now, err := r.read(ctx, current, "")
	if err != nil {
		return err
	}
	if fresh.value.Equal(now.value) {
		return fmt.Errorf("the pending value of %s is the current one", r.target.secret.Name)
	}
	if err := r.same(now, fresh); err != nil {
		return err
	}
	if r.target.issuer == nil {
		if err := secret.CheckHMAC(fresh.value); err != nil {
			return fmt.Errorf("the pending value of %s: %w", r.target.secret.Name, err)
		}
		return nil
	}
	try := r.target.issuer.Test(ctx, r.order(now.value, fresh.value), fresh.value)
	if try.Answer != verify.Accepted {
		return fmt.Errorf("the new value of %s does not work: %s", r.target.secret.Name, why(try))
	}
	return nil
}

// same checks that the pending text is the current one with the value changed and
// nothing else: a key that was changed meanwhile would be lost by finishing.
func (r *rotation) same(now, fresh text) error {
	next, err := r.target.with(now.all(), fresh.value, now.value)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	if next != fresh.all() {
		return fmt.Errorf("%s %w since createSecret, and finishing would undo that: cancel the rotation, remove the label AWSPENDING and rotate again", r.name, store.ErrConflict)
	}
	return nil
}

// finish moves AWSCURRENT to the pending version, from the one it was seen on.
func (h *Handler) finish(ctx context.Context, r *rotation) error {
	fresh, err := r.readPending(ctx)
	if err != nil {
		return err
	}
	from := r.on(current)
	now, err := r.read(ctx, current, from)
	if err != nil {
		return err
	}
	if err := r.same(now, fresh); err != nil {
		return err
	}
	token := r.event.ClientRequestToken
	_, err = h.cfg.Client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(r.event.SecretID), VersionStage: aws.String(current),
		MoveToVersionId: aws.String(token), RemoveFromVersionId: aws.String(from),
	})
	if err != nil {
		after := &rotation{h: h, event: r.event} // the answer may have been lost
		switch lookErr := after.describe(ctx); {
		case lookErr != nil, after.on(current) == from:
			return r.explain("UpdateSecretVersionStage", err)
		case after.on(current) != token:
			return fmt.Errorf("%s %w while the rotation was finished; it goes on when AWS calls again", r.name, store.ErrConflict)
		}
	}
	h.cfg.Say(fmt.Sprintf("The new value of %s is current.", r.target.secret.Name))
	return nil
}
