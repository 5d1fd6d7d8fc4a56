package vault_test

import (
	"net/http"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/vault"
	"rekey/commands/store/vault/vaulttest"
	"rekey/commands/storetest"
)

// limited is what the package documentation says a token needs, and nothing more.
const limited = "hvs.limited-token-of-rekey"

var policy = vaulttest.Policy{
	"secret/data/app/*":        {"read", "update"},
	"secret/data/.rekey/*":     {"create", "read", "update"},
	"secret/metadata/.rekey/*": {"read", "list", "delete"},
	"secret/destroy/.rekey/*":  {"update"},
	"secret/metadata/app/*":    {"read"},
	"secret/destroy/app/*":     {"update"},
}

var ref = store.Ref{Location: "app/production", Variable: "X", Previous: "X_OLD"}

// serve starts a server with the limited token.
func serve(t *testing.T) *vaulttest.Server {
	t.Helper()
	srv := vaulttest.New()
	t.Cleanup(srv.Close)
	srv.Grant(limited, "", policy)
	return srv
}

// open answers a Store of its own, as another process has.
func open(t *testing.T, srv *vaulttest.Server) *vault.Store {
	t.Helper()
	s, err := vault.New(vault.Config{Address: srv.URL, Token: tokenOf(limited)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tokenOf(token string) func() (secret.Value, error) {
	return func() (secret.Value, error) { return secret.NewValue(token), nil }
}

// put writes a secret as a person does.
func put(t *testing.T, srv *vaulttest.Server, path string, data map[string]any) {
	t.Helper()
	if status, _ := srv.Do(http.MethodPut, "secret/data/"+path, map[string]any{"data": data}); status != http.StatusOK {
		t.Fatalf("preparing %s: %d", path, status)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, current, neighbour secret.Value) storetest.Place {
		srv := serve(t)
		data := map[string]any{"X": current.Reveal(), "Y": neighbour.Reveal(), "PORT": 8000, "more": map[string]any{"a": []int{1}}}
		put(t, srv, ref.Location, data)
		changes := 0
		return storetest.Place{
			Store:     open(t, srv),
			Ref:       ref,
			Neighbour: store.Ref{Location: ref.Location, Variable: "Y", Previous: "Y_OLD"},
			Another:   func() store.Store { return open(t, srv) },
			Disturb: func(t *testing.T) {
				changes++
				data["somebody"] = changes
				put(t, srv, ref.Location, data)
			},
		}
	})
}
