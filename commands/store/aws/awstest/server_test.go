package awstest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/commands/store/aws/awstest"
)

const token = "0123456789abcdef0123456789abcdef"

// ask makes one call with the headers a signed request has; change spoils them.
func ask(t *testing.T, s *awstest.Server, operation, body string, change func(http.Header)) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager."+operation)
	req.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE00000000/%s/%s/secretsmanager/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%s",
		now.Format("20060102"), s.Region(), strings.Repeat("0a", 32)))
	if change != nil {
		change(req.Header)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatIsNotSignedIsRefused(t *testing.T) {
	t.Parallel()
	s := awstest.New(awstest.Config{})
	defer s.Close()
	s.Create("a", "text")
	get := `{"SecretId":"a"}`
	if got := ask(t, s, "GetSecretValue", get, nil); !strings.Contains(got, `"SecretString":"text"`) {
		t.Fatalf("a good request: %s", got)
	}
	for what, change := range map[string]func(http.Header){
		"MissingAuthenticationTokenException": func(h http.Header) { h.Del("Authorization") },
		"scoped to":                           func(h http.Header) { edit(h, "Authorization", s.Region(), "us-east-1") },
		"must be signed":                      func(h http.Header) { edit(h, "Authorization", ";x-amz-target", "") },
		"must be sorted":                      func(h http.Header) { edit(h, "Authorization", "content-type;host", "host;content-type") },
		"X-Amz-Date":                          func(h http.Header) { h.Set("X-Amz-Date", "20200101T000000Z") },
		"SerializationException":              func(h http.Header) { h.Set("Content-Type", "application/json") },
		"UnknownOperationException":           func(h http.Header) { h.Set("X-Amz-Target", "dynamodb.GetItem") },
	} {
		if got := ask(t, s, "GetSecretValue", get, change); !strings.Contains(got, what) {
			t.Errorf("want %s: %s", what, got)
		}
	}
}

func edit(h http.Header, name, from, to string) {
	h.Set(name, strings.Replace(h.Get(name), from, to, 1))
}

// The rules that rekey rests on, one call after the other.
func TestRules(t *testing.T) {
	t.Parallel()
	s := awstest.New(awstest.Config{})
	defer s.Close()
	s.Create("a", "one")
	first := s.Stages("a")["AWSCURRENT"]
	for i, c := range []struct{ operation, body, says string }{
		{"GetSecretValue", `{"SecretId":"b"}`, "ResourceNotFoundException"},
		{"GetSecretValue", `{"SecretId":"a","VersionStage":"AWSPENDING"}`, "ResourceNotFoundException"},
		{"PutSecretValue", `{"SecretId":"a","ClientRequestToken":"short","SecretString":"two"}`, "32-64"},
		{"PutSecretValue", `{"SecretId":"a","ClientRequestToken":"` + token + `","SecretString":"two","VersionStages":["AWSPENDING"]}`, `"VersionStages":["AWSPENDING"]`},
		{"PutSecretValue", `{"SecretId":"a","ClientRequestToken":"` + token + `","SecretString":"two","VersionStages":["other"]}`, `"VersionStages":["AWSPENDING"]`},
		{"PutSecretValue", `{"SecretId":"a","ClientRequestToken":"` + token + `","SecretString":"three"}`, "ResourceExistsException"},
		{"PutSecretValue", `{"SecretId":"a","ClientRequestToken":"` + token + `1","SecretString":"` + strings.Repeat("x", awstest.MaxBytes+1) + `"}`, "ValidationException"},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSCURRENT","MoveToVersionId":"` + token + `"}`, "RemoveFromVersionId can't be empty"},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSCURRENT","MoveToVersionId":"` + token + `","RemoveFromVersionId":"` + token + `"}`, "must be set to the version"},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSCURRENT","RemoveFromVersionId":"` + first + `"}`, "can't remove staging label AWSCURRENT"},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSCURRENT","MoveToVersionId":"` + token + `","RemoveFromVersionId":"` + first + `"}`, `"Name":"a"`},
		{"GetSecretValue", `{"SecretId":"a","VersionStage":"AWSPREVIOUS"}`, `"SecretString":"one"`},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSPENDING","RemoveFromVersionId":"` + token + `"}`, `"Name":"a"`},
		{"UpdateSecretVersionStage", `{"SecretId":"a","VersionStage":"AWSPENDING","RemoveFromVersionId":"` + token + `"}`, "InvalidParameterException"},
	} {
		if got := ask(t, s, c.operation, c.body, nil); !strings.Contains(got, c.says) {
			t.Errorf("call %d, %s: want %s: %.300s", i, c.operation, c.says, got)
		}
	}
}

// A version without labels goes when there are too many, and none within a day.
func TestOldVersionsAreRemoved(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := awstest.New(awstest.Config{Now: func() time.Time { return now }})
	defer s.Close()
	s.Create("a", "text")
	put := func(n int) string {
		return ask(t, s, "PutSecretValue", fmt.Sprintf(`{"SecretId":"a","ClientRequestToken":"%s-%d","SecretString":"%d"}`, token, n, n), nil)
	}
	for n := range awstest.MaxVersions - 1 {
		if got := put(n); !strings.Contains(got, "AWSCURRENT") {
			t.Fatalf("version %d: %s", n, got)
		}
	}
	if got := put(1000); !strings.Contains(got, "LimitExceededException") {
		t.Errorf("one more on the same day: %s", got)
	}
	now = now.Add(25 * time.Hour)
	if got := put(1001); !strings.Contains(got, "AWSCURRENT") || s.Versions("a") > awstest.MaxVersions {
		t.Errorf("a day later, with %d versions: %s", s.Versions("a"), got)
	}
}
