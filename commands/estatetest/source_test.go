package estatetest_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

// keeper answers text to whoever shows the header.
func keeper(t *testing.T, header, shown string, text *string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(header) != shown || *text == "" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(*text)) // the service has gone
	}))
	t.Cleanup(s.Close)
	return s
}

// A service that reads its settings from the agent of AWS and from Vault takes them at
// its next reload, over those of its .env file. Where one does not answer it goes on with
// all it has.
func TestServicesReadTheirSources(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	file, err := e.InFile(estatetest.API, "REVALIDATE_SECRET")
	if err != nil {
		t.Fatal(err)
	}
	agent := `{"SecretString": "{\"REVALIDATE_SECRET\": \"of-the-agent\"}"}`
	vault := `{"data": {"data": {"ELSEWHERE": "of-vault"}, "metadata": {"version": 3}}}`
	reload := func() {
		t.Helper()
		argv := e.Reload(estatetest.API)
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	all := func(variable string, v secret.Value) func() bool {
		return func() bool {
			workers := map[string]bool{}
			for range 40 {
				proof, err := e.Ask(t.Context(), estatetest.API, variable)
				if err == nil {
					workers[proof.Worker] = proof.Of(v)
				}
			}
			on := 0
			for _, is := range workers {
				if is {
					on++
				}
			}
			return on == e.Workers(estatetest.API)
		}
	}
	if !all("REVALIDATE_SECRET", file)() {
		t.Fatal("the service does not begin with its file")
	}
	err = e.SetSources(estatetest.API,
		estatetest.Source{Kind: estatetest.AWSAgent, URL: keeper(t, "X-Aws-Parameters-Secrets-Token", "agents", &agent).URL, Token: "agents"},
		estatetest.Source{Kind: estatetest.VaultKV, URL: keeper(t, "X-Vault-Token", "vaults", &vault).URL, Token: "vaults"},
	)
	if err != nil {
		t.Fatal(err)
	}
	reload()
	eventually(t, "every worker has what the agent holds", all("REVALIDATE_SECRET", secret.NewValue("of-the-agent")))
	eventually(t, "every worker has what Vault holds", all("ELSEWHERE", secret.NewValue("of-vault")))

	if err := e.Show(t.Context(), "hmac", "REVALIDATE_SECRET", file); err == nil {
		t.Error("api accepts what was signed with the value of its file")
	}
	if err := e.Show(t.Context(), "hmac", "REVALIDATE_SECRET", secret.NewValue("of-the-agent")); err != nil {
		t.Errorf("api refuses what was signed with the agent's value: %v", err)
	}
	for _, scheme := range []string{"hmac", "django"} {
		if err := e.Sign(t.Context(), estatetest.API, scheme, "ELSEWHERE"); err != nil {
			t.Errorf("api refuses its own signature (%s): %v", scheme, err)
		}
	}
}
