// Package aws keeps secrets in AWS Secrets Manager, where services fetch them by name
// and a secret often holds several keys as one JSON object. It exists because the
// calls AWS offers (put a version, move a label) lose updates, half-finished rotations
// and other people's keys unless they are made in one particular order.
//
// Ref.Location is the name or ARN of the AWS secret and Ref.Variable the key inside
// its JSON object; "" where the secret's whole text is the value. A write changes the
// bytes of that key alone; see package document. A whole text has no room for a
// previous value: Ref.Previous is refused there. AWS's own AWSPREVIOUS label is no
// substitute, because it moves with every change of the secret, whoever makes it, and
// cannot be taken away together with one: the end of an overlap would not be one act.
//
// # Visible acts
//
// AWSCURRENT is on one version of a secret, versions never change, and AWS moves the
// label only when it is told from which version (RemoveFromVersionId): that move is a
// compare-and-swap, and the only visible act of a write. The revision of a State is the
// version's id.
//
// A write puts the new text as a version labelled AWSPENDING and with a label of the
// owner's (run, fence number, and the version it was made from), asks its Fence, and
// moves AWSCURRENT. While AWSPENDING is elsewhere than AWSCURRENT, AWS starts no
// rotation of its own; and where AWS's own rotation holds AWSPENDING, a write is a
// conflict, because that rotation would end by putting its older text over ours. After
// the move both labels are taken off again: AWSPENDING would stay behind with the next
// change of the secret, whoever makes it, and look like a rotation of AWS's under way.
//
// # Fencing
//
// A process that was paused may wake up between its Fence and its move. A version
// cannot be deleted, so a successor's Sweep makes the move impossible instead: where a
// label names an earlier owner and the version AWSCURRENT is on, it turns the page,
// that is, puts the same text as a new version and moves AWSCURRENT there. The sleeper's
// move names the old version and is refused. A sleeper that had put no version when
// Sweep looked is stopped by its Fence, as in package dotenv.
//
// # Escrow
//
// The values of a run are a version of the same secret, under the label
// rekey-escrow/KEY. It needs no other permission than writing does, is encrypted with
// the secret's own key, is in nobody's way (AWS's schedule uses other labels) and AWS
// never removes a version that has a label. A deposit puts the version with a draft
// label, adds rekey-escrow/KEY (AWS refuses while another version has it), asks its
// Fence and removes the draft label: only then the escrow exists. A Sweep removes
// rekey-escrow/KEY from a draft before the draft's own label.
//
// # What stays behind
//
// AWS has no way to delete a version. A version without labels can be fetched by its id
// by whoever may read the secret, until AWS removes it: some time after there are more
// than 100, never within a day. Forget sees to it that a dead value is under no label.
// AWS counts versions (100 or so) and labels (20): a rotation uses one version for each
// write and one for the escrow, and at most five labels at a time.
package aws

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/store"
)

// Config says which Secrets Manager. The zero Config is the SDK's own: environment,
// shared files, and the role of the machine.
type Config struct {
	Name     string // of the store, in errors; "AWS" when ""
	Region   string // "" takes the SDK's
	Endpoint string // "" is AWS's own; plain http is for this machine alone
	// HTTPClient carries requests; nil is the SDK's, with 15 s for each try.
	HTTPClient aws.HTTPClient
	// Credentials sign requests; nil is the SDK's default chain.
	Credentials aws.CredentialsProvider
	// MaxBackoff bounds the pause between two of a request's three tries; 0 leaves tries
	// and pauses to the SDK's settings (three, 20 s, AWS_MAX_ATTEMPTS).
	MaxBackoff time.Duration
}

// requestTimeout bounds one try of a request.
const requestTimeout = 15 * time.Second

// Store reads and changes secrets of AWS Secrets Manager. It is safe for concurrent
// use. The zero Store is not usable; call New.
type Store struct {
	name   string
	client func() *secretsmanager.Client // a function: printing a Store prints no credentials
	// key makes the ids of versions, so that they tell nothing about what is in them.
	key func() []byte
}

var _ store.Store = (*Store)(nil)

// New answers a Store. It asks AWS for nothing yet, and looks for credentials when
// they are first needed.
func New(ctx context.Context, cfg Config) (*Store, error) {
	client, err := NewClient(ctx, cfg)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	name := cfg.Name
	if name == "" {
		name = "AWS"
	}
	return &Store{name: name, client: func() *secretsmanager.Client { return client }, key: func() []byte { return key }}, nil
}

// NewClient answers the SDK's client as a Store uses it, for who speaks to AWS about
// more than stores do.
func NewClient(ctx context.Context, cfg Config) (*secretsmanager.Client, error) {
	loaded, err := LoadConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	}), nil
}

// LoadConfig answers the SDK's own settings with those of cfg in their place, for clients
// of any of AWS's services: rekey finds its credentials in one way. The endpoint is
// checked, and each client's own to set: in these settings the SDK's variables would win.
func LoadConfig(ctx context.Context, cfg Config) (aws.Config, error) {
	if err := checkEndpoint(cfg.Endpoint); err != nil {
		return aws.Config{}, err
	}
	client := cfg.HTTPClient
	if client == nil {
		client = awshttp.NewBuildableClient().WithTimeout(requestTimeout)
	}
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(client)}
	if cfg.MaxBackoff > 0 {
		opts = append(opts, config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = cfg.MaxBackoff })
		}))
	}
	if cfg.Region != "" {
		opts = append(opts, config.WithRegion(cfg.Region))
	}
	if cfg.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(cfg.Credentials))
	}
	loaded, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS's settings: %w", err)
	}
	if loaded.Region == "" {
		return aws.Config{}, errors.New("no AWS region is known: name one in the catalogue, or set AWS_REGION")
	}
	return loaded, nil
}

// checkEndpoint refuses to carry secrets over a network in the clear.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return errors.New("the AWS endpoint is no address such as https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("the AWS endpoint %s would carry secrets in the clear: %w; use https", u.Host, store.ErrUnsafe)
	}
	return nil
}

// token answers the id of a version. It is the same for the same words within the life
// of a Store, so that a repeated request makes no second version.
func (s *Store) token(words ...string) string {
	h := hmac.New(sha256.New, s.key())
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}
