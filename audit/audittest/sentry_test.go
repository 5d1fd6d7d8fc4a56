package audittest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	sentrygo "github.com/getsentry/sentry-go"

	"rekey/audit/audittest"
)

func start(t *testing.T) *audittest.Sentry {
	t.Helper()
	s, err := audittest.StartSentry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The vendor's own SDK must be able to deliver, and every byte it sent must be seen.
func TestTheSDKDelivers(t *testing.T) {
	t.Parallel()
	s := start(t)
	client, err := sentrygo.NewClient(sentrygo.ClientOptions{Dsn: s.DSN()})
	if err != nil {
		t.Fatal(err)
	}
	hub := sentrygo.NewHub(client, sentrygo.NewScope())
	hub.CaptureMessage("canary-4711")
	if !client.Flush(30 * time.Second) {
		t.Fatal("the SDK could not deliver")
	}
	if n := len(s.Envelopes()); n != 1 || !bytes.Contains(s.Envelopes()[0].Body, []byte("canary-4711")) {
		t.Errorf("%d envelopes, want one with the message", n)
	}
	if !bytes.Contains(bytes.Join(s.Traffic(), nil), []byte("canary-4711")) {
		t.Error("the traffic lacks the message")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	issues := "/api/0/organizations/leather/issues/"
	tests := []struct {
		name, method, path string
		header             map[string]string
		want               int
	}{
		{"issues", "GET", issues + "?project=4501&query=", nil, 200},
		{"no slash at the end", "GET", strings.TrimSuffix(issues, "/"), nil, 404},
		{"no token", "GET", issues, map[string]string{"Authorization": ""}, 401},
		{"wrong token", "GET", issues, map[string]string{"Authorization": "Bearer x"}, 401},
		{"a DSN's key is no token", "GET", issues, map[string]string{"Authorization": "DSN x"}, 401},
		{"another organization", "GET", "/api/0/organizations/other/issues/", nil, 404},
		{"a slug for a number", "GET", issues + "?project=leather-api", nil, 400},
		{"another project", "GET", issues + "?project=1", nil, 403},
		{"start without end", "GET", issues + "?start=2026-11-22T00:00:00", nil, 400},
		{"not a date", "GET", issues + "?start=yesterday&end=today", nil, 400},
		{"a period", "GET", issues + "?statsPeriod=24h", nil, 200},
		{"a wrong period", "GET", issues + "?statsPeriod=1y", nil, 400},
		{"too many a page", "GET", issues + "?limit=101", nil, 400},
		{"a wrong cursor", "GET", issues + "?cursor=x", nil, 400},
		{"the project", "GET", "/api/0/projects/leather/leather-api/", nil, 200},
		{"an envelope without a key", "POST", "/api/4501/envelope/", nil, 401},
		{"an envelope with a wrong key", "POST", "/api/4501/envelope/", map[string]string{"X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=" + strings.Repeat("0f", 16)}, 403},
		{"an envelope with what cannot be a key", "POST", "/api/4501/envelope/", map[string]string{"X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=x"}, 400},
	}
	s := start(t)
	for _, tt := range tests {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL()+tt.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.Token())
		for name, value := range tt.header {
			req.Header.Set(name, value)
			if value == "" {
				req.Header.Del(name)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, resp.StatusCode, tt.want)
		}
	}
}
