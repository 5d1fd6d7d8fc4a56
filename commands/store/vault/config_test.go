package vault_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/vault"
	"rekey/commands/store/vault/vaulttest"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	token := tokenOf(limited)
	for name, c := range map[string]struct {
		config vault.Config
		says   string
	}{
		"no address":       {vault.Config{Token: token}, "must be a URL"},
		"no scheme":        {vault.Config{Address: "vault.example.com:8200", Token: token}, "must be a URL"},
		"a file":           {vault.Config{Address: "unix:///run/vault", Token: token}, "must be a URL"},
		"no TLS":           {vault.Config{Address: "http://vault.example.com:8200", Token: token}, "use https"},
		"a password in it": {vault.Config{Address: "https://me:canary-word@vault.example.com", Token: token}, "no user, password"},
		"no token":         {vault.Config{Address: "https://vault.example.com"}, "needs a token"},
		"a strange mount":  {vault.Config{Address: "https://vault.example.com", Token: token, Mount: "a/../b"}, "cannot be the path of a mount"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := vault.New(c.config); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want something that says %q", err, c.says)
			}
		})
	}
}

func TestRefsAreChecked(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := open(t, srv)
	for name, c := range map[string]struct {
		ref  store.Ref
		says string
	}{
		"no key":          {store.Ref{Location: "app"}, "holds several keys"},
		"one key twice":   {store.Ref{Location: "app", Variable: "X", Previous: "X"}, "must be another one"},
		"no path":         {store.Ref{Variable: "X"}, "cannot be the path"},
		"a leading slash": {store.Ref{Location: "/app", Variable: "X"}, "cannot be the path"},
		"up":              {store.Ref{Location: "app/../other", Variable: "X"}, "cannot be the path"},
		"a line":          {store.Ref{Location: "app\nother", Variable: "X"}, "cannot be the path"},
		"rekey's own":     {store.Ref{Location: ".rekey/app/escrow/X", Variable: "new"}, "not a secret"},
	} {
		_, read := s.Read(t.Context(), c.ref)
		_, write := s.Write(t.Context(), c.ref, publish("", 1))
		_, deposit := s.Deposit(t.Context(), c.ref, escrowed, free)
		_, withdraw := s.Withdraw(t.Context(), c.ref, "r1")
		for _, err := range []error{read, write, deposit, withdraw, s.Discard(t.Context(), c.ref, "r1"), s.Sweep(t.Context(), c.ref, "r1", 1), s.Forget(t.Context(), c.ref, oldValue)} {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want something that says %q", name, err, c.says)
			}
		}
	}
	for _, run := range []string{"", "a.b", "a/b", strings.Repeat("r", 101)} {
		if err := s.Sweep(t.Context(), ref, run, 1); err == nil {
			t.Errorf("%q names a run", run)
		}
	}
	if asked := srv.Requests(); len(asked) > 0 {
		t.Errorf("asked before looking: %v", asked)
	}
}

// TestAnyKeyIsAKey: keys are free text, and each has a slot of its own.
func TestAnyKeyIsAKey(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := open(t, srv)
	keys := []string{"a/b", "a=2fb", "a b", "..", "ключ", "%2e%2e?x#y", "a.b.c.d"}
	data := map[string]any{}
	for _, key := range keys {
		data[key] = oldValue.Reveal()
	}
	put(t, srv, "app/strange keys?", data)
	for i, key := range keys {
		r := store.Ref{Location: "app/strange keys?", Variable: key}
		run := "run-" + string(rune('a'+i))
		if _, err := s.Deposit(t.Context(), r, store.Escrow{Run: run, Old: oldValue, New: newValue}, free); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		st, err := s.Read(t.Context(), r)
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		c := publish(st.Revision, 1)
		c.Want.Previous, c.Run = secret.Value{}, run
		if changed, err := s.Write(t.Context(), r, c); !changed || err != nil {
			t.Errorf("%q: changed=%v, %v", key, changed, err)
		}
		if err := s.Sweep(t.Context(), r, run, 2); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if err := s.Discard(t.Context(), r, run); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// TestTheTokenIsAskedEachTime: a renewed token counts at once, and a bad one is not sent.
func TestTheTokenIsAskedEachTime(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	token, tokenErr := secret.NewValue(limited), error(nil)
	s, err := vault.New(vault.Config{Address: srv.URL, Token: func() (secret.Value, error) { return token, tokenErr }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	srv.Revoke(limited)
	srv.Grant("hvs.renewed", "", policy)
	token = secret.NewValue("hvs.renewed")
	if _, err := s.Read(t.Context(), ref); err != nil {
		t.Errorf("with the renewed token: %v", err)
	}
	before := len(srv.Requests())
	for _, bad := range []string{"", "two\nlines", "wörter"} {
		token = secret.NewValue(bad)
		if _, err := s.Read(t.Context(), ref); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("got %v", err)
		}
	}
	tokenErr = errors.New("the file is gone")
	if _, err := s.Read(t.Context(), ref); !errors.Is(err, tokenErr) {
		t.Errorf("got %v", err)
	}
	if len(srv.Requests()) != before {
		t.Error("a request was sent without a token")
	}
}

// TestTheEnvironmentSaysNothing: what VAULT_* says is somebody else's.
func TestTheEnvironmentSaysNothing(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, value := range map[string]string{
		"VAULT_ADDR": "https://elsewhere.example.com", "VAULT_TOKEN": "hvs.of-somebody", "VAULT_NAMESPACE": "elsewhere",
		"VAULT_SKIP_VERIFY": "true", "VAULT_HEADERS": `{"X-Else":"where"}`, "VAULT_MAX_RETRIES": "7",
	} {
		t.Setenv(name, value)
	}
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	srv.Inject(&vaulttest.Fault{Method: http.MethodGet, Skip: 1, Status: 500})
	s := open(t, srv)
	if _, err := s.Read(t.Context(), ref); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(t.Context(), ref); err == nil || len(srv.Requests()) != 2 {
		t.Errorf("a refused request was repeated: %v (%v)", srv.Requests(), err)
	}
}
