package aws_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/storetest"
)

// keys are credentials that open nothing.
func keys() sdk.CredentialsProvider {
	return sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "AKIDEXAMPLE00000000", SecretAccessKey: "none", Source: "test"}, nil
	})
}

// server answers a Secrets Manager in whose time 20 minutes pass from one version to
// the next: a test makes as many versions in seconds as a year of rotations does.
func server(t *testing.T) *awstest.Server {
	t.Helper()
	var versions atomic.Int64
	start := time.Now()
	s := awstest.New(awstest.Config{Now: func() time.Time { return start.Add(time.Duration(versions.Add(1)) * 10 * time.Minute) }})
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, s *awstest.Server) *aws.Store {
	t.Helper()
	st, err := aws.New(t.Context(), aws.Config{Region: s.Region(), Endpoint: s.URL, Credentials: keys(), MaxBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Guide: aws/consumer
func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, current, neighbour secret.Value) storetest.Place {
		s := server(t)
		const name = "production/leather-api"
		s.Create(name, "{\n  \"DEBUG\": false,\n  \"X\": \""+current.Reveal()+"\",\n  \"Y\": \""+neighbour.Reveal()+"\"\n}\n")
		return storetest.Place{
			Store:     open(t, s),
			Ref:       store.Ref{Location: name, Variable: "X", Previous: "X_OLD"},
			Neighbour: store.Ref{Location: name, Variable: "Y", Previous: "Y_OLD"},
			Another:   func() store.Store { return open(t, s) },
			Disturb: func(*testing.T) {
				s.Edit(name, strings.Replace(s.Text(name, "AWSCURRENT"), "{", "{\"somebody\": \"was here\",", 1))
			},
		}
	})
}
