package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"

	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
	"rekey/commands/awsrotation"
	"rekey/commands/secret"
	"rekey/commands/store/aws"
)

type awsRotationCmd struct {
	Secret      string `placeholder:"NAME" env:"REKEY_ROTATION_SECRET" help:"Which secret of the catalogue is meant, where several live in one AWS secret."`
	Environment string `placeholder:"NAME" env:"REKEY_ROTATION_ENVIRONMENT" help:"Which environment is meant, where several have it there."`
	Store       string `placeholder:"NAME" env:"REKEY_ROTATION_STORE" help:"Which store of the catalogue AWS calls from, where several have its region."`
}

// maxEvent bounds the event; AWS's is some hundred bytes.
const maxEvent = 64 << 10

// Run performs the step that the event on standard input names. Where AWS Lambda runs
// this program, it serves as the function until Lambda ends it. It needs the catalogue
// and AWS's credentials alone: a function has no database, and AWS keeps its own record
// of a rotation.
func (c *awsRotationCmd) Run(s *session) error {
	cfg, err := config.Load(s.config)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: there is no such file: write the catalogue there, or name it with --config or REKEY_CONFIG", s.config)
	}
	if err != nil {
		return faulty(err)
	}
	if s.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		lambda.StartWithOptions(func(ctx context.Context, e awsrotation.Event) error {
			return c.step(ctx, cfg.Catalogue, e, s.Err)
		}, lambda.WithContext(s.ctx))
	}
	e, err := readEvent(os.Stdin)
	if err != nil {
		return err
	}
	err = c.step(s.ctx, cfg.Catalogue, e, s.Err)
	if errors.Is(err, awsrotation.ErrRefused) || errors.Is(err, awsrotation.ErrCatalogue) {
		return &failure{code: ExitRefused, text: err.Error() + "."}
	}
	return err
}

func readEvent(r io.Reader) (e awsrotation.Event, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxEvent))
	if err != nil {
		return e, fmt.Errorf("reading the event: %w", err)
	}
	if json.Unmarshal(text, &e) != nil || e.Step == "" || e.SecretID == "" || e.ClientRequestToken == "" {
		return e, &failure{
			code: ExitUsage, text: "standard input holds no event of AWS's rotation.",
			hint: `{"Step": "createSecret", "SecretId": "arn:aws:secretsmanager:…", "ClientRequestToken": "…"}`,
		}
	}
	return e, nil
}

// scrubbed is an error whose text has passed the guard; its class is the original's.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.err }

// step performs one step. Whatever comes out has passed a guard that knows the values.
func (c *awsRotationCmd) step(ctx context.Context, cat *secret.Catalogue, e awsrotation.Event, out io.Writer) error {
	st, err := c.pick(cat, e.SecretID)
	if err != nil {
		return err
	}
	client, err := aws.NewClient(ctx, aws.Config{Region: st.Region, Endpoint: st.Endpoint})
	if err != nil {
		return fmt.Errorf("opening the store %s: %w", st.Name, err)
	}
	key, err := secret.NewKey(nil)
	if err != nil {
		return fmt.Errorf("making a key for this call: %w", err)
	}
	guard, mu := secret.NewGuard(key), sync.Mutex{}
	h, err := awsrotation.New(awsrotation.Config{
		Client: client, Catalogue: cat, Secret: c.Secret, Environment: c.Environment, Store: st.Name,
		Issuers: app.Issuers(0),
		Learn:   func(v secret.Value) { guard.Add(secret.Fingerprints(key, "rotation", "aws", "live", v)) },
		Say: func(sentence string) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(out, guard.ScrubString(strings.TrimSpace(sentence)))
		},
	})
	if err != nil {
		return err
	}
	if err := h.Handle(ctx, e); err != nil {
		return &scrubbed{guard.ScrubString(err.Error()), err}
	}
	return nil
}

// pick answers the store that an ARN is in: the one that is named, the only one, or the
// only one of its region.
func (c *awsRotationCmd) pick(cat *secret.Catalogue, arn string) (secret.Store, error) {
	var all, near []secret.Store
	parts := strings.Split(arn, ":")
	for _, s := range cat.Stores {
		if s.Kind != secret.AWSSecretsManager || c.Store != "" && s.Name != c.Store {
			continue
		}
		all = append(all, s)
		if len(parts) > 3 && s.Region == parts[3] {
			near = append(near, s)
		}
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(near) == 1:
		return near[0], nil
	case len(all) == 0:
		return secret.Store{}, &failure{code: ExitConfig, text: "the catalogue has no such store of kind aws-secrets-manager.", hint: "stores: {aws: {kind: aws-secrets-manager}} in the catalogue"}
	}
	return secret.Store{}, &failure{code: ExitConfig, text: "the catalogue has several stores of kind aws-secrets-manager, and the region does not tell which one is meant.", hint: "--store NAME"}
}
