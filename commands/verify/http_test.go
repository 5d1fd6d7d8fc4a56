package verify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

func hexMAC(key, message string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return hex.EncodeToString(m.Sum(nil))
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var webhook = secret.SignedRequest{Method: http.MethodPost, Body: `{"slugs":["test"]}`, Header: "X-Signature", ContentType: "application/json"}

// Guide: procedures/revalidate-secret/test, procedures/analytics-secret/test
func TestSignedRequestIsTheGuidesCall(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Rekey-Worker", "7")
		ok := r.Method == http.MethodPost && r.URL.Path == "/api/revalidate/" && string(body) == `{"slugs":["test"]}` &&
			r.Header.Get("Content-Type") == "application/json" && r.UserAgent() == "rekey-check/1" && r.Close
		if !ok {
			http.Error(w, "not the guide's call", http.StatusBadRequest)
			return
		}
		// As computed by: echo -n '{"slugs":["test"]}' | openssl dgst -sha256 -hmac new-0123456789
		if r.Header.Get("X-Signature") != hexMAC("new-0123456789", `{"slugs":["test"]}`) {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	p := verify.NewSignedRequest(webhook, url+"/api/revalidate/", nil)
	if got := p.Try(t.Context(), newV); got.Answer != verify.Accepted || got.Worker != "7" {
		t.Errorf("the right value: %+v", got)
	}
	if got := p.Try(t.Context(), oldV); got.Answer != verify.Refused || got.Worker != "7" {
		t.Errorf("another value: %+v", got)
	}
}

func TestAnswersAreTakenForWhatTheyAre(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]verify.Answer{
		200: verify.Accepted, 202: verify.Accepted, 204: verify.Accepted, 401: verify.Refused, 403: verify.Refused,
		301: verify.Unknown, 307: verify.Unknown, 400: verify.Unknown, 404: verify.Unknown, 429: verify.Unknown, 500: verify.Unknown, 503: verify.Unknown,
	} {
		followed := false
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed = true
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		got := verify.NewSignedRequest(webhook, url, nil).Try(t.Context(), newV)
		if got.Answer != want || followed || want == verify.Unknown && !strings.Contains(got.Why, fmt.Sprint(status)) {
			t.Errorf("%d: %+v (redirect followed: %v), want answer %d", status, got, followed, want)
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	body := func(nonce string) string {
		return fmt.Sprintf(`{"proof":%q,"worker":"w1"}`, hexMAC("new-0123456789", "rekey-proof-v1\n"+nonce))
	}
	nonces := map[string]bool{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("variable") != "X" {
			http.Error(w, "the query was lost", http.StatusBadRequest)
			return
		}
		nonces[r.URL.Query().Get("nonce")] = true
		_, _ = io.WriteString(w, body(r.URL.Query().Get("nonce")))
	})
	p := verify.NewChallenge(url+"/rekey/proof?variable=X", nil)
	if got := p.Try(t.Context(), newV); got.Answer != verify.Accepted || got.Worker != "w1" {
		t.Errorf("the right value: %+v", got)
	}
	if got := p.Try(t.Context(), oldV); got.Answer != verify.Refused {
		t.Errorf("another value: %+v", got)
	}
	if len(nonces) != 2 {
		t.Errorf("nonces were repeated: %v", nonces)
	}
	for _, answer := range []string{"", "null", `{"proof":""}`, `{"proof":"abcd"}`, `{"proof":"zz"}`, "<html>", strings.Repeat("x", 1<<20)} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		if got := verify.NewChallenge(url, nil).Try(t.Context(), newV); got.Answer != verify.Unknown || got.Why == "" {
			t.Errorf("answer %.20q: %+v, want unknown", answer, got)
		}
	}
	denied := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if got := verify.NewChallenge(denied, nil).Try(t.Context(), newV); got.Answer != verify.Unknown {
		t.Errorf("a denied challenge: %+v, want unknown: it says nothing about the value", got)
	}
}

func TestEveryQuestionHasItsOwnConnection(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen[r.RemoteAddr] = true })
	// Also over a transport that would keep connections.
	p := verify.NewSignedRequest(webhook, url, &http.Transport{})
	for range 5 {
		p.Try(t.Context(), newV)
	}
	if len(seen) != 5 {
		t.Errorf("5 questions took %d connections", len(seen))
	}
}

func TestWhyItCouldNotBeAsked(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	closed := s.URL
	s.Close()
	tls := httptest.NewTLSServer(nil)
	t.Cleanup(tls.Close)
	hangUp := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	release := make(chan struct{})
	silent := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	for url, want := range map[string]string{
		closed: "connection refused", tls.URL: "its TLS certificate is not trusted",
		hangUp: "the connection was closed without an answer", "://": "its address in the catalogue cannot be used",
		silent: "no answer within 3s",
	} {
		for _, p := range []verify.Prober{verify.NewSignedRequest(webhook, url, nil), verify.NewChallenge(url, nil)} {
			if got := p.Try(t.Context(), newV); got.Answer != verify.Unknown || got.Why != want {
				t.Errorf("%T: %+v, want %q", p, got, want)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	asked := 0
	slow := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	opts := verify.Options{Within: time.Minute, Pause: time.Millisecond}
	if res := verify.Health(t.Context(), "api", slow, nil, opts); res.Outcome != verify.Passed || res.Asked != 3 {
		t.Errorf("got %+v, want passed at the third time", res)
	}
	opts.Within = time.Millisecond
	sick := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if res := verify.Health(t.Context(), "api", sick, nil, opts); res.Outcome != verify.FailedCheck || !strings.Contains(res.Detail, "204") {
		t.Errorf("got %+v, want failed: 204 is not 200", res)
	}
	if res := verify.Health(t.Context(), "api", "http://127.0.0.1:1", nil, opts); res.Outcome != verify.UnknownCheck {
		t.Errorf("got %+v, want unknown", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := verify.Health(ctx, "api", slow, nil, opts); res.Outcome != verify.UnknownCheck {
		t.Errorf("got %+v, want unknown when stopped", res)
	}
}

func TestWrongIsFreshAndLong(t *testing.T) {
	t.Parallel()
	a, b := verify.Wrong(), verify.Wrong()
	if a.Equal(b) || len(a.Reveal()) < 64 {
		t.Error("a made-up value must be fresh each time and as long as a real one")
	}
}
