// Package awsrotation lets rekey be the function that AWS Secrets Manager calls when a
// secret's own rotation schedule is due. It exists so that a secret which AWS rotates
// and one which rekey rotates are made, tried and written by the same code.
//
// AWS's contract has four steps, each called with the secret, the id of the version to
// be (the token) and the step's name, and each called again until it succeeds:
// createSecret keeps a new value as AWSPENDING, setSecret makes it valid where it is
// issued, testSecret tries it, finishSecret moves AWSCURRENT to it. Source: the AWS
// Secrets Manager User Guide, "Rotation by Lambda function".
//
// # What AWS's contract cannot do
//
// It has one visible act, and it knows nothing of who reads the secret. So nobody is
// reloaded, nobody is asked which value he runs on, and there is no retire. What comes
// of that:
//
//   - A credential that is issued (a database role, a client key): the old one stays
//     valid until the next rotation, which ends the one before it (it is AWSPREVIOUS
//     then) in its setSecret, unless somebody still uses it. At most two are valid.
//   - A value that services hold against each other: the new one becomes current and the
//     old one goes under the Previous key in the same move, so whoever reads again
//     accepts both. But a service that signs and reads first is refused by one that
//     verifies and reads later. "rekey rotate" publishes first, waits for all, then
//     switches; AWS's contract has no such order. The old value stays accepted until the
//     next rotation.
//   - A leaked secret: AWS's schedule is no answer. Use "rekey rotate … compromised".
//
// A secret that is also read from elsewhere than this one AWS secret is refused: AWS's
// contract could not change it there.
package awsrotation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/issue"
	"rekey/commands/secret"
	store "rekey/commands/store/aws"
)

// Event is what AWS calls the function with.
type Event struct {
	Step               string `json:"Step"`
	SecretID           string `json:"SecretId"` // the ARN
	ClientRequestToken string `json:"ClientRequestToken"`
	RotationToken      string `json:"RotationToken,omitempty"` // of a role that acts for another account
}

// Client is the part of the SDK's client that is needed.
type Client interface {
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// Config is what a Handler needs.
type Config struct {
	Client    Client            // required; of the region AWS calls from
	Catalogue *secret.Catalogue // required
	// Secret, Environment and Store say which one is meant where the catalogue has
	// several in one AWS secret; "" for any.
	Secret, Environment, Store string
	// Issuers by the procedure they serve.
	Issuers map[secret.Procedure]issue.Issuer
	// Random makes values; crypto/rand when nil.
	Random io.Reader
	// Learn is told every value before it can leave the process; nil for nobody.
	Learn func(secret.Value)
	// Say is told what was done, in sentences for people; nil for nobody.
	Say func(sentence string)
}

// Handler performs AWS's steps. It is safe for concurrent use and keeps nothing from
// one call to the next.
type Handler struct{ cfg Config }

// Sentinel errors. AWS calls a step that failed again; these do not get better by that.
var (
	// ErrRefused: AWS's contract says that this call is to be refused.
	ErrRefused = errors.New("refused")
	// ErrCatalogue: the catalogue does not say what is to be rotated, or says something
	// that AWS's contract cannot do.
	ErrCatalogue = errors.New("not what AWS's rotation can change")
)

// New answers a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Client == nil || cfg.Catalogue == nil {
		return nil, errors.New("AWS's rotation needs a client and a catalogue")
	}
	if cfg.Learn == nil {
		cfg.Learn = func(secret.Value) {}
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	return &Handler{cfg: cfg}, nil
}

// AWS's labels.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// Handle performs one step. Any step may be called again. No error holds a value.
func (h *Handler) Handle(ctx context.Context, e Event) error {
	perform, ok := map[string]func(context.Context, *rotation) error{
		"createSecret": h.create, "setSecret": h.set, "testSecret": h.test, "finishSecret": h.finish,
	}[e.Step]
	if !ok {
		return fmt.Errorf("%w: AWS's rotation has no step %q", ErrRefused, e.Step)
	}
	r := &rotation{h: h, event: e}
	if err := r.describe(ctx); err != nil {
		return err
	}
	at, known := r.versions[e.ClientRequestToken]
	switch {
	case !r.enabled:
		return fmt.Errorf("%w: rotation is turned off for %s", ErrRefused, e.SecretID)
	case !known:
		return fmt.Errorf("%w: %s has no version %s to rotate to", ErrRefused, e.SecretID, e.ClientRequestToken)
	case slices.Contains(at, current):
		return nil // done already
	case !slices.Contains(at, pending):
		return fmt.Errorf("%w: version %s of %s is not AWSPENDING", ErrRefused, e.ClientRequestToken, e.SecretID)
	}
	var err error
	if r.target, err = h.find(r.arn, r.name); err != nil {
		return err
	}
	return perform(ctx, r)
}

// rotation is one call.
type rotation struct {
	h      *Handler
	event  Event
	target target

	arn, name string
	enabled   bool
	versions  map[string][]string // labels by version
}

func (r *rotation) describe(ctx context.Context) error {
	out, err := r.h.cfg.Client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(r.event.SecretID)})
	if err != nil {
		return r.explain("DescribeSecret", err)
	}
	r.arn, r.name = aws.ToString(out.ARN), aws.ToString(out.Name)
	r.enabled, r.versions = aws.ToBool(out.RotationEnabled), out.VersionIdsToStages
	return nil
}

func (r *rotation) explain(operation string, err error) error {
	return store.Explain("AWS", operation, r.event.SecretID, err)
}

// on answers the version a label is on; "" for none.
func (r *rotation) on(label string) string {
	for version, labels := range r.versions {
		if slices.Contains(labels, label) {
			return version
		}
	}
	return ""
}

// still is the fence of this call: the version is AWSPENDING yet, so the rotation was
// neither cancelled nor finished by another call.
func (r *rotation) still(ctx context.Context) error {
	now := &rotation{h: r.h, event: r.event}
	if err := now.describe(ctx); err != nil {
		return err
	}
	if !now.enabled || now.on(pending) != r.event.ClientRequestToken || now.on(current) == r.event.ClientRequestToken {
		return fmt.Errorf("%w: the rotation of %s to version %s is over", ErrRefused, r.event.SecretID, r.event.ClientRequestToken)
	}
	return nil
}

// order is what an issuer is asked for; it is named after the token.
func (r *rotation) order(old, fresh secret.Value) issue.Order {
	return issue.Order{
		Run: "aws-" + r.event.ClientRequestToken, Secret: r.target.secret, Place: r.target.place, Environment: r.target.environment,
		Old: old, New: fresh, Still: r.still,
	}
}
