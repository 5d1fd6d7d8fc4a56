package rehearsal_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/commands/estatetest"
	"rekey/commands/secret"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/store/vault/vaulttest"
)

// places are the stores of a house besides its .env files. They live in the test's
// process, so that they lose nothing when a rekey is killed.
type places struct {
	aws       *awstest.Server
	agent     *httptest.Server // beside the services
	vault     *vaulttest.Server
	tokenFile string
}

const (
	agentToken = "token-of-the-agent"
	vaultToken = "hvs.rekey-in-the-rehearsal"
)

// vaultPolicy is what the documentation of package vault asks for.
var vaultPolicy = vaulttest.Policy{
	"secret/data/leather/*":     {"read", "update"},
	"secret/metadata/leather/*": {"read"},
	"secret/destroy/leather/*":  {"update"},
	"secret/data/.rekey/*":      {"create", "read", "update"},
	"secret/metadata/.rekey/*":  {"read", "list", "delete"},
	"secret/destroy/.rekey/*":   {"update"},
}

func openPlaces(t *testing.T) *places {
	t.Helper()
	p := &places{aws: awstest.New(awstest.Config{}), vault: vaulttest.New(), tokenFile: filepath.Join(t.TempDir(), "vault-token")}
	p.vault.Grant(vaultToken, "", vaultPolicy)
	if err := os.WriteFile(p.tokenFile, []byte(vaultToken), 0o600); err != nil {
		t.Fatal(err)
	}
	p.agent = httptest.NewServer(http.HandlerFunc(p.ask))
	t.Cleanup(func() {
		p.agent.Close()
		p.aws.Close()
		p.vault.Close()
	})
	return p
}

// ask is the Secrets Manager Agent: the current version of a secret.
func (p *places) ask(w http.ResponseWriter, r *http.Request) {
	text := p.aws.Text(r.URL.Query().Get("secretId"), "AWSCURRENT")
	if r.Header.Get("X-Aws-Parameters-Secrets-Token") != agentToken || text == "" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": text}) // the client has gone
}

// location is where a service's secrets lie in AWS and in Vault.
func location(service string) string { return "leather/" + service }

func (p *places) sources(service string) []estatetest.Source {
	return []estatetest.Source{
		{Kind: estatetest.AWSAgent, URL: p.agent.URL + "/secretsmanager/get?secretId=" + location(service), Token: agentToken},
		{Kind: estatetest.VaultKV, URL: p.vault.URL + "/v1/secret/data/" + location(service), Token: vaultToken},
	}
}

func (p *places) yaml() string {
	return fmt.Sprintf("stores:\n  aws: {kind: aws-secrets-manager, region: %s, endpoint: %q}\n  vault: {kind: vault-kv, address: %q, token: {file: %q}}\n",
		p.aws.Region(), p.aws.URL, p.vault.URL, p.tokenFile)
}

// kindOfStore is a store as the test sees it, past rekey.
type kindOfStore struct {
	name string
	put  func(h *house, service, variable string, v secret.Value)
	get  func(h *house, service, variable string) (now, previous secret.Value)
	// left says what a run has left behind; "" for nothing. dead must be in no version
	// that can be asked for by a name.
	left func(h *house, dead secret.Value) string
}

var stores = []kindOfStore{
	{name: "dotenv", put: putDotenv, get: getDotenv, left: leftInFiles},
	{name: "aws", put: putAWS, get: getAWS, left: leftInAWS},
	{name: "vault", put: putVault, get: getVault, left: leftInVault},
}

// consumer is what rekey.yaml calls a service that reads from the store.
func (k kindOfStore) consumer(service string) string {
	if k.name == "dotenv" {
		return service
	}
	return service + "-" + k.name
}

// consumers are the services that read from the store, in rekey.yaml.
func (k kindOfStore) consumers(h *house) string {
	if k.name == "dotenv" {
		return "" // they are there
	}
	var b strings.Builder
	for _, service := range both {
		quoted := make([]string, 0, 3)
		for _, arg := range h.Estate.Reload(service) {
			quoted = append(quoted, fmt.Sprintf("%q", arg))
		}
		fmt.Fprintf(&b, "      %s:\n        store: %s\n        location: %s\n        reload: [%s]\n        health: %q\n        workers: %d\n",
			k.consumer(service), k.name, location(service), strings.Join(quoted, ", "), h.Estate.URL(service)+"/api/healthcheck/", h.Estate.Workers(service))
	}
	return b.String()
}

func putDotenv(h *house, service, variable string, v secret.Value) {
	f, err := os.OpenFile(h.Estate.EnvFile(service), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s='%s'\n", variable, v.Reveal())
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func getDotenv(h *house, service, variable string) (now, previous secret.Value) {
	h.t.Helper()
	now, err := h.Estate.InFile(service, variable)
	if err == nil {
		previous, err = h.Estate.InFile(service, variable+"_OLD")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return now, previous
}

// leftInFiles looks into and beside the files.
func leftInFiles(h *house, dead secret.Value) string {
	for _, service := range both {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(h.Estate.EnvFile(service)), "*"))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				h.t.Fatal(err)
			}
			if strings.Contains(string(text), dead.Reveal()) {
				return "the dead value is in " + name
			}
		}
	}
	return ""
}

// beside is what lies beside each secret in AWS and in Vault, and must stay.
const beside = "KEEP"

func putAWS(h *house, service, variable string, v secret.Value) {
	text, err := json.Marshal(map[string]string{beside: "as it is", variable: v.Reveal()})
	if err != nil {
		h.t.Fatal(err)
	}
	h.places.aws.Create(location(service), string(text))
}

func getAWS(h *house, service, variable string) (now, previous secret.Value) {
	h.t.Helper()
	var held map[string]string
	if err := json.Unmarshal([]byte(h.places.aws.Text(location(service), "AWSCURRENT")), &held); err != nil {
		h.t.Fatal("what AWS holds is no JSON")
	}
	if held[beside] != "as it is" {
		h.t.Error("AWS: what lay beside the value has changed")
	}
	return secret.NewValue(held[variable]), secret.NewValue(held[variable+"_OLD"])
}

func leftInAWS(h *house, dead secret.Value) string {
	for _, service := range both {
		for label := range h.places.aws.Stages(location(service)) {
			if label == "AWSPENDING" || strings.HasPrefix(label, "rekey-") {
				return "AWS has the label " + label + " still"
			}
			if strings.Contains(h.places.aws.Text(location(service), label), dead.Reveal()) {
				return "AWS answers the dead value under the label " + label
			}
		}
	}
	return ""
}

func putVault(h *house, service, variable string, v secret.Value) {
	status, _ := h.places.vault.Do(http.MethodPost, "secret/data/"+location(service), map[string]any{
		"data": map[string]string{beside: "as it is", variable: v.Reveal()},
	})
	if status != http.StatusOK {
		h.t.Fatalf("Vault answers %d", status)
	}
}

func getVault(h *house, service, variable string) (now, previous secret.Value) {
	h.t.Helper()
	status, answer := h.places.vault.Do(http.MethodGet, "secret/data/"+location(service), nil)
	outer, _ := answer["data"].(map[string]any)
	held, _ := outer["data"].(map[string]any)
	if status != http.StatusOK || held[beside] != "as it is" {
		h.t.Errorf("Vault answers %d, or what lay beside the value has changed", status)
	}
	text := func(key string) secret.Value {
		s, _ := held[key].(string)
		return secret.NewValue(s)
	}
	return text(variable), text(variable + "_OLD")
}

func leftInVault(h *house, dead secret.Value) string {
	if h.places.vault.Finds(dead.Reveal()) {
		return "Vault has the dead value in some version still"
	}
	for _, service := range both {
		status, answer := h.places.vault.Do("LIST", "secret/metadata/.rekey/"+location(service)+"/prepared", nil)
		if status != http.StatusNotFound {
			return fmt.Sprintf("Vault has marks of a write still: %v", answer["data"])
		}
	}
	return ""
}
