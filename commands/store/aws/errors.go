package aws

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/aws/smithy-go"

	"rekey/commands/store"
)

// sentences say what AWS's errors mean. AWS's own words are not repeated: its
// validation is known to quote what it refuses.
var sentences = map[string]string{ //nolint:gosec // names of errors, no credentials
	"InvalidRequestException":             "AWS does not allow it in the secret's present state: it may be scheduled for deletion, be a replica of another region, or be managed by another service",
	"InvalidParameterException":           "AWS refused a parameter",
	"ValidationException":                 "AWS refused a parameter",
	"DecryptionFailure":                   "AWS cannot decrypt it with its KMS key: allow kms:Decrypt",
	"EncryptionFailure":                   "AWS cannot encrypt it with its KMS key: allow kms:GenerateDataKey",
	"LimitExceededException":              "AWS's quota is used up: about 100 versions within a day, or 20 staging labels; wait, or remove labels that begin with rekey- of runs that are over",
	"InternalServiceError":                "AWS has an error on its side; try again",
	"ThrottlingException":                 "AWS asks for fewer requests; try again",
	"UnrecognizedClientException":         "AWS does not know the credentials",
	"InvalidClientTokenId":                "AWS does not know the credentials",
	"InvalidSignatureException":           "AWS does not accept the signature: the secret access key, the region or this machine's clock is wrong",
	"ExpiredTokenException":               "the AWS credentials have expired",
	"MissingAuthenticationTokenException": "AWS was asked without credentials",
}

// fault is an answer of AWS in words that hold no value. It keeps nothing of the
// original, which may.
type fault struct {
	text  string
	class error // of package store; nil for none
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.class }

// explain makes an error of the SDK one that may be shown.
func (s *Store) explain(operation, id string, err error) error {
	return Explain(s.name, operation, id, err)
}

// Explain makes an error of the SDK's client one that may be shown: it holds neither
// values nor AWS's own words. The operation is AWS's name of the call, id the secret's
// name or ARN. ErrNotFound and ErrConflict of package store are told apart.
func Explain(name, operation, id string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	var unreadable *smithy.DeserializationError
	var unreached *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %s of %s: %w", name, operation, id, context.Canceled)
	case errors.As(err, &api):
		return explainCode(name, operation, id, api.ErrorCode())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer to %s of %s in time: %w", name, operation, id, context.DeadlineExceeded)
	case errors.As(err, &unreadable):
		return fmt.Errorf("%s: the answer to %s of %s is not AWS's; is a proxy in between?", name, operation, id)
	case errors.As(err, &unreached):
		return fmt.Errorf("%s could not be reached for %s of %s: %w", name, operation, id, unreached.Err)
	}
	return fmt.Errorf("%s: %s of %s: %w", name, operation, id, err)
}

func explainCode(name, operation, id, code string) error {
	f := &fault{}
	switch says, known := sentences[code]; {
	case code == "ResourceNotFoundException":
		f.class = store.ErrNotFound
		f.text = fmt.Sprintf("%s: %s, or the version asked for, is %v in this account and region", name, id, f.class)
	case code == "ResourceExistsException":
		f.class = store.ErrConflict
		f.text = fmt.Sprintf("%s: %s %v: a version of that id holds something else", name, id, f.class)
	case code == "AccessDeniedException":
		f.text = fmt.Sprintf("%s: access denied: allow secretsmanager:%s on %s, and its KMS key", name, operation, id)
	case known:
		f.text = fmt.Sprintf("%s: %s of %s: %s (%s)", name, operation, id, says, code)
	default:
		f.text = fmt.Sprintf("%s: %s of %s was refused (%s)", name, operation, id, code)
	}
	return f
}
