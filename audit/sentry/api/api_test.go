package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"rekey/audit/sentry/api"
)

// server answers with these statuses in turn, the last one for ever, and keeps what it
// was asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T, statuses ...int) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		status := statuses[min(len(s.asked), len(statuses)-1)]
		s.asked = append(s.asked, r.Method+" "+r.RequestURI)
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = w.Write([]byte("{}"))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, "|")
}

func client(t *testing.T, url string) *api.Client {
	t.Helper()
	c, err := api.New(api.Config{URL: url, Token: func() string { return "sntryu_canary" }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A self-hosted Sentry may live below a path, and a name from the catalogue must stay
// one part of an address.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := serve(t, http.StatusOK)
	for _, tt := range []struct{ base, want string }{
		{"", "/api/0/projects/leather/a%2F..%2Fb%3Fc/keys/"},
		{"/", "/api/0/projects/leather/a%2F..%2Fb%3Fc/keys/"},
		{"/tools/sentry/?x=1", "/tools/sentry/api/0/projects/leather/a%2F..%2Fb%3Fc/keys/"},
	} {
		if _, err := client(t, s.URL+tt.base).Do(t.Context(), api.Call{Path: []string{"projects", "leather", "a/../b?c", "keys"}}, nil); err != nil {
			t.Fatal(err)
		}
		if got := s.requests(); !strings.HasSuffix(got, "GET "+tt.want) {
			t.Errorf("below %q: asked %q, want %q", tt.base, got, tt.want)
		}
	}
	if _, err := client(t, s.URL).Do(t.Context(), api.Call{Path: []string{"projects", "..", "..", "x"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); strings.Contains(got, "/../") || strings.HasSuffix(got, "GET /api/x/") {
		t.Errorf("two dots led out of the path: %q", got)
	}
}

// Reading is repeated; changing may have happened and is not.
func TestOnlyReadingIsRepeated(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{"GET": 2, "POST": 1, "PUT": 1, "DELETE": 1} {
		s := serve(t, http.StatusBadGateway, http.StatusOK)
		_, err := client(t, s.URL).Do(t.Context(), api.Call{Method: method}, nil)
		if n := strings.Count(s.requests(), method); n != want {
			t.Errorf("%s was sent %d times, want %d", method, n, want)
		}
		if (method == "GET") != (err == nil) || err != nil && api.Status(err) != http.StatusBadGateway {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// The address of a client key is half a DSN, and the token is a token.
func TestErrorsTellNeitherAddressNorToken(t *testing.T) {
	t.Parallel()
	s := serve(t, http.StatusOK)
	s.Close()
	_, err := client(t, s.URL).Do(t.Context(), api.Call{Method: "DELETE", Path: []string{"keys", "canary-key"}}, nil)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Error("no error, or one that tells too much")
	}
	nothing := serve(t, http.StatusNoContent)
	var into struct{}
	if _, err := client(t, nothing.URL).Do(t.Context(), api.Call{}, &into); !errors.Is(err, api.ErrNotAPI) {
		t.Errorf("an empty answer: %v, want %v", err, api.ErrNotAPI)
	}
}
