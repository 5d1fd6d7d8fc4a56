package vault_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest/porttest"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/vault"
	"rekey/commands/store/vault/vaulttest"
	"rekey/commands/storetest"
)

// without answers the policy without one rule, or with fewer capabilities for it.
func without(rule string, caps ...string) vaulttest.Policy {
	p := vaulttest.Policy{}
	for path, c := range policy {
		if path != rule {
			p[path] = c
		} else if caps != nil {
			p[path] = caps
		}
	}
	return p
}

func TestTroubleIsOnePlainSentence(t *testing.T) {
	t.Parallel()
	page := "<html>token=" + limited + " value=" + oldValue.Reveal() + "</html>"
	for name, c := range map[string]struct {
		spoil func(t *testing.T, srv *vaulttest.Server)
		is    error
		says  string
	}{
		"sealed": {func(_ *testing.T, srv *vaulttest.Server) { srv.Seal(true) }, vault.ErrSealed, "must unseal it"},
		"503 without a seal": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 503, Body: page})
		}, vault.ErrUnreachable, "answers 503"},
		"token revoked": {func(_ *testing.T, srv *vaulttest.Server) { srv.Revoke(limited) }, vault.ErrToken, "expired, was revoked"},
		"no rule for the secret": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Grant(limited, "", without("secret/data/app/*"))
		}, vault.ErrDenied, `secret/data/app/production is not allowed to this token: no policy names it, or one denies it; it needs "read" there`},
		"may not write": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Grant(limited, "", without("secret/data/app/*", "read", "list"))
		}, vault.ErrDenied, `secret/data/app/production is not allowed to this token: it has read, list there and needs "update"`},
		"may not keep marks": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Grant(limited, "", without("secret/data/.rekey/*", "read"))
		}, vault.ErrDenied, `it has read there and needs "create" and "update"`},
		"may not list marks": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Grant(limited, "", without("secret/metadata/.rekey/*", "read", "delete"))
		}, vault.ErrDenied, `secret/metadata/.rekey/app/production/prepared/X/ is not allowed to this token: it has read, delete there and needs "list"`},
		"may not even ask": {func(_ *testing.T, srv *vaulttest.Server) {
			p := without("secret/data/app/*")
			p["sys/capabilities-self"] = []string{"deny"}
			srv.Grant(limited, "", p)
		}, vault.ErrToken, `the policy "default"`},
		"too many requests": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 429, RetryAfter: "17", Body: `{"errors":["request path \"secret/data/app\": rate limit quota exceeded"]}`})
		}, vault.ErrBusy, "asks to wait 17s"},
		"too many requests, no time": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 429})
		}, vault.ErrBusy, "wait before trying again"},
		"no such mount": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 404, Body: `{"errors":["no handler for route \"secret/data/app\". route entry not found."]}`})
		}, store.ErrNotFound, "no engine at secret/"},
		"a performance standby answers": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 473})
		}, vault.ErrUnreachable, "a standby answers (473)"},
		"the standby's standby": {func(_ *testing.T, srv *vaulttest.Server) { srv.StandbyOf(srv.URL) }, vault.ErrUnreachable, "a standby answers (307)"},
		"the node lags behind": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Times: 9, Status: 412})
		}, vault.ErrUnreachable, "lags behind (412)"},
		"the connection breaks": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Times: 9})
		}, vault.ErrUnreachable, "the connection broke before an answer came"},
		"nobody listens": {func(t *testing.T, srv *vaulttest.Server) { t.Helper(); srv.Close(); porttest.Keep(t, srv.URL) }, vault.ErrUnreachable, "nothing listens there"},
		"deleted": {func(t *testing.T, srv *vaulttest.Server) {
			t.Helper()
			srv.Do(http.MethodDelete, "secret/data/app/production", nil)
		}, store.ErrNotFound, `"vault kv undelete -versions=1" brings it back`},
		"destroyed": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Do(http.MethodPut, "secret/destroy/app/production", map[string]any{"versions": []int{1}})
		}, store.ErrNotFound, "version 1 was destroyed"},
		"removed": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Do(http.MethodDelete, "secret/metadata/app/production", nil)
		}, store.ErrNotFound, `without "data/"`},
		"a key removed": {func(t *testing.T, srv *vaulttest.Server) {
			t.Helper()
			put(t, srv, ref.Location, map[string]any{"Y": "why"})
		}, store.ErrNotFound, `the key "X" is not found in it`},
		"a number": {func(t *testing.T, srv *vaulttest.Server) {
			t.Helper()
			put(t, srv, ref.Location, map[string]any{"X": 12345})
		}, store.ErrAmbiguous, "holds no text"},
		"a previous that is no text": {func(t *testing.T, srv *vaulttest.Server) {
			t.Helper()
			put(t, srv, ref.Location, map[string]any{"X": "x", "X_OLD": []string{oldValue.Reveal()}})
		}, store.ErrAmbiguous, `the key "X_OLD" is ambiguous`},
		"a proxy's own page": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 200, Body: page})
		}, nil, "not JSON: is there a proxy"},
		"a proxy's own error": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 502, Body: page})
		}, nil, "answers 502"},
		"version 1 of the engine": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 200, Body: `{"data":{"X":"` + oldValue.Reveal() + `"}}`})
		}, nil, "KV engine of version 2?"},
		"the engine is being upgraded": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 400, Body: `{"errors":["Upgrading from non-versioned to versioned data."]}`})
		}, nil, "being upgraded right now?"},
		"an internal error": {func(_ *testing.T, srv *vaulttest.Server) {
			srv.Inject(&vaulttest.Fault{Path: "data/", Status: 500, Body: `{"errors":["` + oldValue.Reveal() + `"]}`})
		}, nil, "answers 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t)
			put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
			c.spoil(t, srv)
			s := open(t, srv)
			err := attempt(t.Context(), s)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\n<") {
				t.Errorf("got  %v\nwant one line that is %v and says %q", err, c.is, c.says)
			}
			storetest.AssertLeaksNoSecret(t, []secret.Value{oldValue, newValue, secret.NewValue(limited)}, err, s)
		})
	}
}

// attempt does everything once.
func attempt(ctx context.Context, s *vault.Store) error {
	st, err := s.Read(ctx, ref)
	if err != nil {
		return err
	}
	if err := s.Sweep(ctx, ref, "r1", 1); err != nil {
		return err
	}
	_, err = s.Write(ctx, ref, publish(st.Revision, 1))
	return err
}

// TestARefusalLeavesNoMark: a write that was refused for good is over.
func TestARefusalLeavesNoMark(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	srv.Grant(limited, "", without("secret/data/app/*", "read"))
	if err := attempt(t.Context(), open(t, srv)); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("got %v", err)
	}
	if left := marks(srv); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestBusySaysForHowLong(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	srv.Inject(&vaulttest.Fault{Status: 429, RetryAfter: "17"})
	_, err := open(t, srv).Read(t.Context(), ref)
	var asks interface{ RetryAfter() time.Duration }
	if !errors.As(err, &asks) || asks.RetryAfter() != 17*time.Second {
		t.Errorf("got %v", err)
	}
}

// TestALaggingNodeIsAskedAgain: 412 says that nothing was done.
func TestALaggingNodeIsAskedAgain(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	srv.Inject(&vaulttest.Fault{Path: "data/", Times: 2, Status: 412})
	if err := attempt(t.Context(), open(t, srv)); err != nil {
		t.Error(err)
	}
}

func TestAStandbySendsToTheActiveNode(t *testing.T) {
	t.Parallel()
	active, standby := serve(t), serve(t)
	standby.StandbyOf(active.URL)
	put(t, active, ref.Location, map[string]any{"X": oldValue.Reveal(), "PORT": 8000})
	s := open(t, standby)
	if err := rotate(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	ended(t, active, s)
}

func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	srv.Mount("teams/shop", "kv")
	srv.Grant("hvs.shop", "teams/shop", vaulttest.Policy{"kv/*": {"create", "read", "update", "list", "delete"}})
	put(t, srv, ref.Location, map[string]any{"X": "in-the-root"})
	c := vault.Config{Address: srv.URL, Namespace: "teams/shop/", Mount: "/kv/", Token: tokenOf("hvs.shop")}
	s, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for ns, says := range map[string]string{"teams/none": `no such namespace`, "": "belongs to another namespace"} {
		c.Namespace = ns
		if s, err = vault.New(c); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context(), ref); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("in the namespace %q: %v", ns, err)
		}
	}
	srv.Seal(true)
	c.Namespace = "teams/shop"
	if s, err = vault.New(c); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), ref); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("sealed, seen from a namespace: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	https := httptest.NewUnstartedServer(srv)
	https.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of who does not trust it
	https.StartTLS()
	t.Cleanup(https.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, says := range map[string]string{"": "name the authority's file in ca_file", file: ""} {
		s, err := vault.New(vault.Config{Address: https.URL, Token: tokenOf(limited), CAFile: ca})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Read(t.Context(), ref); says == "" && err != nil || says != "" && (!errors.Is(err, vault.ErrUnreachable) || !strings.Contains(err.Error(), says)) {
			t.Errorf("trusting %q: %v", ca, err)
		}
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{file, file + ".missing"} {
		if _, err := vault.New(vault.Config{Address: https.URL, Token: tokenOf(limited), CAFile: ca}); err == nil || !strings.Contains(err.Error(), "ca.pem") {
			t.Errorf("trusting %q: %v", ca, err)
		}
	}
}

// TestNoTokenOverPlainHTTP: a redirect must not lead a token out of TLS.
func TestNoTokenOverPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := serve(t)
	https := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/v1/secret/data/"+ref.Location, http.StatusTemporaryRedirect))
	t.Cleanup(https.Close)
	s, err := vault.New(vault.Config{Address: https.URL, Token: tokenOf(limited), HTTPClient: https.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), ref); !errors.Is(err, vault.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if asked := plain.Requests(); len(asked) > 0 {
		t.Errorf("asked without TLS: %v", asked)
	}
}
