package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws/document"
)

// AWS's staging labels.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// Read answers what the AWSCURRENT version holds. ErrNotFound when the secret or the
// key does not exist, ErrAmbiguous when readers would disagree about the value.
func (s *Store) Read(ctx context.Context, ref store.Ref) (store.State, error) {
	if err := checkRef(ctx, ref); err != nil {
		return store.State{}, err
	}
	now, err := s.look(ctx, ref)
	return now.state, err
}

// sight is the AWSCURRENT version at one moment.
type sight struct {
	version string
	text    func() string // a function: printing a sight prints no value
	state   store.State
}

func (s *Store) look(ctx context.Context, ref store.Ref) (sight, error) {
	version, text, err := s.fetch(ctx, ref, "")
	if err != nil {
		return sight{}, err
	}
	now := sight{version: version, text: func() string { return text }}
	if now.state, err = interpret(ref, text); err != nil {
		return sight{}, fmt.Errorf("%s in %s: %w", ref.Location, s.name, err)
	}
	now.state.Revision = version
	return now, nil
}

// fetch answers the text of a version, of AWSCURRENT where none is named.
func (s *Store) fetch(ctx context.Context, ref store.Ref, version string) (id, text string, err error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(ref.Location)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	out, err := s.client().GetSecretValue(ctx, in)
	if err != nil {
		return "", "", s.explain("GetSecretValue", ref.Location, err)
	}
	if out.SecretString == nil {
		return "", "", fmt.Errorf("%s in %s holds bytes and not text, which rekey does not change: %w", ref.Location, s.name, store.ErrAmbiguous)
	}
	return aws.ToString(out.VersionId), *out.SecretString, nil
}

// interpret finds ref's values in a secret's text.
func interpret(ref store.Ref, text string) (store.State, error) {
	if ref.Variable == "" {
		if document.IsObject(text) {
			return store.State{}, fmt.Errorf("it holds several keys as a JSON object, and none is named: name the key that holds the value: %w", store.ErrAmbiguous)
		}
		return store.State{Current: secret.NewValue(text)}, nil
	}
	d, err := document.Parse(text)
	if err != nil {
		return store.State{}, err
	}
	var st store.State
	var found bool
	if st.Current, found, err = d.Value(ref.Variable); err != nil {
		return store.State{}, err
	}
	if !found {
		return store.State{}, fmt.Errorf("%q is %w in it", ref.Variable, store.ErrNotFound)
	}
	if ref.Previous != "" {
		st.Previous, _, err = d.Value(ref.Previous)
	}
	return st, err
}

func checkRef(ctx context.Context, ref store.Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case ref.Location == "":
		return errors.New("an AWS secret needs a name or an ARN")
	case ref.Variable == "" && ref.Previous != "":
		return fmt.Errorf("%s: the whole text is the value, so there is no room for a previous one: keep a JSON object and name a key for each", ref.Location)
	case ref.Variable == ref.Previous && ref.Variable != "":
		return fmt.Errorf("%s: the current value and the previous one need a key each", ref.Location)
	}
	return nil
}

// checkRun keeps a run's name a part of a label.
func checkRun(run string, fence int64) error {
	if run == "" || len(run) > 100 || fence < 0 || strings.Trim(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("%q with fence %d cannot name a run: use letters, digits, _ and -", run, fence)
	}
	return nil
}
