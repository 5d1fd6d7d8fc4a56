package vaulttest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"rekey/commands/store/vault/vaulttest"
)

// ask sends one request as curl would.
func ask(t *testing.T, srv *vaulttest.Server, method, path, body string, header ...string) (status int, answer map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", vaulttest.Root)
	r.Header.Set("X-Vault-Request", "true")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer) // a body is not always there
	return resp.StatusCode, answer
}

func start(t *testing.T) *vaulttest.Server {
	t.Helper()
	srv := vaulttest.New()
	t.Cleanup(srv.Close)
	return srv
}

// TestKeyValueVersion2 follows the API documentation of the engine, step by step.
func TestKeyValueVersion2(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for i, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "secret/data/a", "", 404},
		{"PUT", "secret/data/a", `{"options":{"cas":1},"data":{"k":"1"}}`, 400}, // does not exist
		{"PUT", "secret/data/a", `{"options":{"cas":0}}`, 400},                  // no data
		{"PUT", "secret/data/a", `{"data":"text"}`, 400},
		{"PUT", "secret/data/a", `no JSON`, 400},
		{"PUT", "secret/data/a", `{"options":{"cas":0},"data":{"k":"1"}}`, 200},
		{"PUT", "secret/data/a", `{"options":{"cas":0},"data":{"k":"2"}}`, 400}, // exists
		{"PUT", "secret/data/a", `{"options":{"cas":"1"},"data":{"k":"2"}}`, 200},
		{"PUT", "secret/data/a", `{"options":{"cas":"x"},"data":{"k":"2"}}`, 400},
		{"POST", "secret/data/a", `{"data":{"k":"3"}}`, 200}, // cas is asked for only where required
		{"GET", "secret/data/a?version=2", "", 200},
		{"GET", "secret/data/a?version=9", "", 404},
		{"PUT", "secret/metadata/a", `{"cas_required":true}`, 204},
		{"PUT", "secret/data/a", `{"data":{"k":"4"}}`, 400},
		{"DELETE", "secret/data/a", "", 204},
		{"GET", "secret/data/a", "", 404},
		{"PUT", "secret/data/a", `{"options":{"cas":3},"data":{"k":"4"}}`, 200}, // deleted versions count
		{"PUT", "secret/undelete/a", `{"versions":[3]}`, 204},
		{"GET", "secret/data/a?version=3", "", 200},
		{"PUT", "secret/destroy/a", `{"versions":[3,99]}`, 204},
		{"PUT", "secret/undelete/a", `{"versions":[3]}`, 204},
		{"GET", "secret/data/a?version=3", "", 404}, // destroyed for good
		{"PUT", "secret/destroy/a", `{}`, 400},
		{"PUT", "secret/destroy/none", `{"versions":[1]}`, 204},
		{"GET", "secret/metadata/a", "", 200},
		{"PATCH", "secret/data/a", `{}`, 405},
		{"DELETE", "secret/metadata/a", "", 204},
		{"PUT", "secret/data/a", `{"options":{"cas":0},"data":{"k":"1"}}`, 200}, // begins anew
		{"LIST", "secret/metadata/none/", "", 404},
		{"GET", "nowhere/data/a", "", 404},
		{"GET", "secret/nothing/a", "", 404},
	} {
		if status, answer := ask(t, srv, c.method, c.path, c.body); status != c.status {
			t.Errorf("step %d, %s %s %s: got %d %v, want %d", i, c.method, c.path, c.body, status, answer, c.status)
		}
	}
}

func TestADeletedVersionAnswersItsMetadata(t *testing.T) {
	t.Parallel()
	srv := start(t)
	ask(t, srv, "PUT", "secret/data/a", `{"data":{"k":"v"}}`)
	ask(t, srv, "DELETE", "secret/data/a", "")
	status, answer := ask(t, srv, "GET", "secret/data/a", "")
	data, _ := answer["data"].(map[string]any)
	meta, _ := data["metadata"].(map[string]any)
	if status != 404 || data["data"] != nil || meta["version"] != 1.0 || meta["deletion_time"] == "" || meta["destroyed"] != false {
		t.Errorf("got %d %v", status, answer)
	}
}

func TestOldVersionsArePruned(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for _, path := range []string{"a", "b"} {
		if path == "b" {
			ask(t, srv, "PUT", "secret/metadata/b", `{"max_versions":2}`)
		}
		for range 12 {
			ask(t, srv, "PUT", "secret/data/"+path, `{"data":{"k":"v"}}`)
		}
	}
	for path, want := range map[string]int{"a?version=2": 404, "a?version=3": 200, "b?version=10": 404, "b?version=11": 200} {
		if status, _ := ask(t, srv, "GET", "secret/data/"+path, ""); status != want {
			t.Errorf("%s: got %d, want %d", path, status, want)
		}
	}
}

func TestListsAreFolders(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for _, path := range []string{"a", "a/b", "a/c/d", "e"} {
		ask(t, srv, "PUT", "secret/data/"+path, `{"data":{}}`)
	}
	for path, want := range map[string]string{"": `["a","a/","e"]`, "a": `["b","c/"]`, "a/": `["b","c/"]`} {
		_, answer := ask(t, srv, "GET", "secret/metadata/"+path+"?list=true", "")
		data, _ := answer["data"].(map[string]any)
		if keys, _ := json.Marshal(data["keys"]); string(keys) != want {
			t.Errorf("%q: got %s, want %s", path, keys, want)
		}
	}
}

func TestWhoMayWhat(t *testing.T) {
	t.Parallel()
	srv := start(t)
	srv.Mount("team", "kv")
	srv.Grant("t", "", vaulttest.Policy{
		"secret/data/a":        {"create"},
		"secret/data/b*":       {"read", "update"},
		"secret/data/bb*":      {"deny"},
		"secret/data/+/c":      {"read", "create"},
		"secret/metadata/app/": {"list"},
	})
	srv.Grant("n", "team", vaulttest.Policy{"kv/*": {"create", "read"}})
	for i, c := range []struct {
		method, path string
		status       int
		header       []string
	}{
		{"PUT", "secret/data/a", 200, nil},
		{"PUT", "secret/data/a", 403, nil}, // exists by now, which makes it an update
		{"GET", "secret/data/a", 403, nil},
		{"PUT", "secret/data/b", 403, nil}, // does not exist, which makes it a creation
		{"GET", "secret/data/b", 404, nil},
		{"GET", "secret/data/bb", 403, nil},
		{"PUT", "secret/data/x/c", 200, nil},
		{"GET", "secret/data/x/y/c", 403, nil},
		{"LIST", "secret/metadata/app", 404, nil},
		{"LIST", "secret/metadata/other", 403, nil},
		{"GET", "nowhere/x", 403, nil}, // not even whether it exists
		{"GET", "secret/data/a", 403, []string{"X-Vault-Token", "none"}},
		{"GET", "secret/data/a", 412, []string{"X-Vault-Request", ""}},
		{"PUT", "kv/data/a", 200, []string{"X-Vault-Token", "n", "X-Vault-Namespace", "team/"}},
		{"PUT", "kv/data/a", 403, []string{"X-Vault-Token", "n"}}, // its namespace is another one
		{"GET", "secret/data/a", 404, []string{"X-Vault-Token", vaulttest.Root, "X-Vault-Namespace", "none"}},
	} {
		header := append([]string{"X-Vault-Token", "t"}, c.header...)
		if status, answer := ask(t, srv, c.method, c.path, `{"data":{}}`, header...); status != c.status {
			t.Errorf("step %d, %s %s: got %d %v, want %d", i, c.method, c.path, status, answer, c.status)
		}
	}
}

func TestSealedAndStandby(t *testing.T) {
	t.Parallel()
	srv := start(t)
	health := func() int { status, _ := ask(t, srv, "GET", "sys/health", ""); return status }
	if health() != 200 {
		t.Error("an active node is not healthy")
	}
	srv.StandbyOf("https://active.example.com")
	if status, _ := ask(t, srv, "GET", "secret/data/a", ""); status != 307 || health() != 429 {
		t.Errorf("a standby answers %d", status)
	}
	srv.StandbyOf("")
	srv.Seal(true)
	if status, _ := ask(t, srv, "GET", "secret/data/a", ""); status != 503 || health() != 503 {
		t.Errorf("a sealed server answers %d", status)
	}
	if _, answer := ask(t, srv, "GET", "sys/seal-status", ""); answer["sealed"] != true {
		t.Errorf("seal status: %v", answer)
	}
}
