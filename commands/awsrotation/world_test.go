package awsrotation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"rekey/commands/awsrotation"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store/aws"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/verify"
)

const (
	name  = "production/leather-api"
	token = "11111111-2222-4333-8444-555555555555"
	first = "canary-first-6b1f0c"
)

var steps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// world is an AWS secret, a catalogue that knows it, and who issues its value.
type world struct {
	*testing.T
	srv  *awstest.Server
	arn  string
	cat  secret.Catalogue
	cfg  awsrotation.Config
	desk *desk
	said []string
	seen []secret.Value
}

// newWorld has a secret of the procedure under the key X of an object.
func newWorld(t *testing.T, p secret.Procedure) *world {
	t.Helper()
	w := &world{T: t, srv: awstest.New(awstest.Config{}), desk: &desk{valid: map[string]bool{first: true}}}
	t.Cleanup(w.srv.Close)
	w.arn = w.srv.Create(name, `{"n": 1.0, "X": "`+first+`", "z": "\u00e9"}`)
	use := secret.Use{Consumer: "api", Variable: "X", Role: secret.Uses}
	if p.Shared() {
		use.Previous, use.Role = "X_OLD", secret.Both
	}
	w.cat = secret.Catalogue{
		Stores: []secret.Store{{Name: "aws", Kind: secret.AWSSecretsManager}},
		Environments: []secret.Environment{{Name: "production", Consumers: []secret.Consumer{
			{Name: "api", Store: "aws", Location: name}, {Name: "worker", Store: "aws", Location: name}, {Name: "web", Store: secret.Dotenv, Location: "/srv/web/.env"},
		}}},
		Secrets: []secret.Secret{{Name: "X_SECRET", Procedure: p, Generator: secret.Hex32, Places: []secret.Place{{Environment: "production", Uses: []secret.Use{use}}}}},
	}
	client, err := aws.NewClient(t.Context(), aws.Config{Region: w.srv.Region(), Endpoint: w.srv.URL, MaxBackoff: time.Millisecond, Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "AKIDEXAMPLE00000000", SecretAccessKey: "none"}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = awsrotation.Config{
		Client: client, Catalogue: &w.cat, Issuers: map[secret.Procedure]issue.Issuer{secret.PostgresRole: w.desk},
		Learn: func(v secret.Value) { w.seen = append(w.seen, v) }, Say: func(s string) { w.said = append(w.said, s) },
	}
	return w
}

// does performs a step for the version named token.
func (w *world) do(step, token string) error {
	w.Helper()
	h, err := awsrotation.New(w.cfg)
	if err != nil {
		w.Fatal(err)
	}
	err = h.Handle(w.Context(), awsrotation.Event{Step: step, SecretID: w.arn, ClientRequestToken: token})
	for _, v := range append(w.seen, secret.NewValue(first)) {
		if err != nil && strings.Contains(err.Error(), v.Reveal()) || strings.Contains(strings.Join(w.said, ""), v.Reveal()) {
			w.Errorf("%s shows a value", step)
		}
	}
	return err
}

func (w *world) must(step, token string) {
	w.Helper()
	if err := w.do(step, token); err != nil {
		w.Fatalf("%s: %v", step, err)
	}
}

// rotates performs a whole rotation.
func (w *world) rotates(token string) {
	w.Helper()
	w.srv.Rotate(name, token)
	for _, step := range steps {
		w.must(step, token)
	}
}

// current answers what stands under X.
func (w *world) current() string {
	w.Helper()
	_, rest, _ := strings.Cut(w.srv.Text(name, "AWSCURRENT"), `"X": "`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// desk issues values in memory.
type desk struct {
	mu      sync.Mutex
	valid   map[string]bool
	acts    []string
	used    map[string]bool // still in use
	down    bool
	unknown error // of Usage
}

var _ issue.Issuer = (*desk)(nil)

func (d *desk) act(o issue.Order, what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return issue.Faultf("the desk is closed")
	}
	d.acts = append(d.acts, what)
	if o.Run == "" || o.Secret.Name == "" || o.Environment.Name == "" || o.Still == nil {
		return issue.Faultf("the order is not whole")
	}
	return nil
}

func (d *desk) did(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, a := range d.acts {
		if a == what {
			n++
		}
	}
	return n
}

func (d *desk) Check(_ context.Context, o issue.Order) (string, error) { return "", d.act(o, "check") }

func (d *desk) Create(_ context.Context, o issue.Order) (secret.Value, string, error) {
	err := d.act(o, "create")
	v, genErr := secret.Generate(secret.Hex32, nil)
	if err == nil {
		err = genErr
	}
	return v, "", err
}

func (d *desk) Set(ctx context.Context, o issue.Order) (string, error) {
	if err := o.Still(ctx); err != nil {
		return "", err
	}
	if err := d.act(o, "set"); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.valid[o.Old.Reveal()] {
		return "", issue.Faultf("the old value does not work")
	}
	d.valid[o.New.Reveal()] = true
	return "The new value is valid.", nil
}

func (d *desk) Test(_ context.Context, _ issue.Order, v secret.Value) verify.Try {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.down:
		return verify.Try{Answer: verify.Unknown, Why: "connection refused"}
	case d.valid[v.Reveal()]:
		return verify.Try{Answer: verify.Accepted}
	}
	return verify.Try{Answer: verify.Refused}
}

func (d *desk) Usage(_ context.Context, o issue.Order) (issue.Usage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used[o.Old.Reveal()] {
		return issue.Usage{Users: []string{"10.0.0.7 (gunicorn)"}}, nil
	}
	return issue.Usage{}, d.unknown
}

func (d *desk) Retire(_ context.Context, o issue.Order) (string, error) {
	if err := d.act(o, "retire"); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.valid, o.Old.Reveal())
	return "", nil
}

func (d *desk) Revive(context.Context, issue.Order) (string, error)   { panic("not AWS's") }
func (d *desk) Rollback(context.Context, issue.Order) (string, error) { panic("not AWS's") }
func (d *desk) Plan(issue.Order, issue.Step) []string                 { panic("not AWS's") }
func (d *desk) Finish(_ context.Context, o issue.Order) (string, error) {
	return "", d.act(o, "finish")
}

// works lists what is valid at the desk, for a test's eyes alone.
func (d *desk) works() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.valid)
}

func tokens(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%08d-2222-4333-8444-555555555555", i)
	}
	return slices.Clip(out)
}
