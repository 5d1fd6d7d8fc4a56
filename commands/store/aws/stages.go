package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey/commands/store"
)

// What rekey's staging labels begin with.
const (
	ours         = "rekey-"
	writeLabel   = ours + "write/"  // rekey-write/RUN/FENCE/VERSION: made from VERSION
	escrowLabel  = ours + "escrow/" // rekey-escrow/KEY: the escrow, or a draft of it
	depositLabel = ours + "draft/"  // rekey-draft/RUN/KEY/VERSION: VERSION is a draft
	pageLabel    = ours + "page"    // on a copy while it is made; says nothing
)

// stages says which version each staging label is on.
type stages map[string]string

// stages asks AWS where the labels are.
func (s *Store) stages(ctx context.Context, ref store.Ref) (stages, error) {
	out, err := s.client().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(ref.Location)})
	if err != nil {
		return nil, s.explain("DescribeSecret", ref.Location, err)
	}
	at := stages{}
	for version, labels := range out.VersionIdsToStages {
		for _, label := range labels {
			at[label] = version
		}
	}
	return at, nil
}

// foreign reports that AWSPENDING is on a version which is neither the current one nor
// one that rekey's stores made: a rotation of AWS's own is under way.
func (at stages) foreign() bool {
	version := at[pending]
	if version == "" || version == at[current] {
		return false
	}
	for label, v := range at {
		if v == version && strings.HasPrefix(label, ours) {
			return false
		}
	}
	return true
}

// owner is what the label of a write says.
type owner struct {
	run   string
	fence int64
	from  string // the version it was made from
}

func (o owner) label() string { return fmt.Sprintf("%s%s/%d/%s", writeLabel, o.run, o.fence, o.from) }

// ownerOf reads a label back; ok is false for any other label.
func ownerOf(label string) (o owner, ok bool) {
	rest, ok := strings.CutPrefix(label, writeLabel)
	if !ok {
		return owner{}, false
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) != 3 {
		return owner{}, false
	}
	fence, err := strconv.ParseInt(parts[1], 10, 64)
	return owner{run: parts[0], fence: fence, from: parts[2]}, err == nil
}

// escrowOf is the label of a key's escrow, and depositOf what those of a run's drafts
// begin with; the version follows.
func escrowOf(ref store.Ref) string { return escrowLabel + keyName(ref.Variable) }

func depositOf(ref store.Ref, run string) string {
	return depositLabel + run + "/" + keyName(ref.Variable) + "/"
}

// draft answers the label that makes a version a mere draft, wherever that label is;
// "" for none.
func (at stages) draft(version string) string {
	for label := range at {
		if strings.HasPrefix(label, depositLabel) && strings.HasSuffix(label, "/"+version) {
			return label
		}
	}
	return ""
}

// keyName makes a key a part of a label: as it is where it is short and plain.
func keyName(key string) string {
	if key != "" && len(key) <= 64 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == "" {
		return key
	}
	sum := sha256.Sum256([]byte(key)) // a key's name is no secret
	return "~" + hex.EncodeToString(sum[:16])
}

// move puts a label on a version; from is the version it is on, "" for none, and AWS
// refuses when it is elsewhere.
func (s *Store) move(ctx context.Context, ref store.Ref, label, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(ref.Location), VersionStage: aws.String(label)}
	if to != "" {
		in.MoveToVersionId = aws.String(to)
	}
	if from != "" {
		in.RemoveFromVersionId = aws.String(from)
	}
	_, err := s.client().UpdateSecretVersionStage(ctx, in)
	return s.explain("UpdateSecretVersionStage", ref.Location, err)
}

// remove takes a label off a version. That it is not there (any more) is no error.
func (s *Store) remove(ctx context.Context, ref store.Ref, label, version string) error {
	err := s.move(ctx, ref, label, "", version)
	if err == nil {
		return nil
	}
	// An answer may have been lost, and somebody else may have been quicker.
	if at, lookErr := s.stages(ctx, ref); lookErr == nil && at[label] != version {
		return nil
	}
	return err
}

// put adds a version under labels, taking them from where they are; the first one is
// on it in any case.
func (s *Store) put(ctx context.Context, ref store.Ref, version, text string, labels ...string) error {
	out, err := s.client().PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(ref.Location), ClientRequestToken: aws.String(version),
		SecretString: aws.String(text), VersionStages: labels,
	})
	if err != nil {
		return s.explain("PutSecretValue", ref.Location, err)
	}
	if slices.Contains(out.VersionStages, labels[0]) {
		return nil
	}
	// A version that exists already keeps the labels it has.
	at, err := s.stages(ctx, ref)
	if err != nil || at[labels[0]] == version {
		return err
	}
	return s.move(ctx, ref, labels[0], version, at[labels[0]])
}

// maxBytes is AWS's limit of a secret's text.
const maxBytes = 65_536

func (s *Store) fits(ref store.Ref, text string) error {
	if len(text) > maxBytes {
		return fmt.Errorf("%s in %s would be larger than AWS's limit of %d bytes", ref.Location, s.name, maxBytes)
	}
	return nil
}

// tidying bounds what is done after the outcome is decided.
const tidying = 5 * time.Second

// afterwards answers a context for tidying up that outlives the end of ctx.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidying)
}
