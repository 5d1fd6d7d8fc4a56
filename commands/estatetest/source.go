package estatetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Source is one more place that a service reads its settings from whenever it reads
// its .env file: a secret that holds a JSON object of texts.
type Source struct {
	// Kind is how it is asked.
	Kind SourceKind
	// URL is the whole address that is asked.
	URL string
	// Token is shown to it: a stand-in's, because it lies in a file of the estate.
	Token string
}

// SourceKind is a way to ask for a secret.
type SourceKind string

// The kinds of source.
const (
	// AWSAgent is the Secrets Manager Agent beside a service:
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/secrets-manager-agent.html
	AWSAgent SourceKind = "aws-agent"
	// VaultKV is the newest version of a KV version 2 secret:
	// https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version
	VaultKV SourceKind = "vault-kv"
)

// sourceClient asks sources. A service that waited for one for ever would not reload.
var sourceClient = &http.Client{Timeout: 10 * time.Second}

func sourcesFile(dir, service string) string {
	return filepath.Join(dir, "run", service+".sources")
}

// SetSources tells a service its sources, in place of those it had, from its next
// reload on. What they hold wins over the .env file.
func (e *Estate) SetSources(service string, all ...Source) error {
	if err := tell(sourcesFile(e.cfg.Dir, service), all); err != nil {
		return fmt.Errorf("telling %s its sources: %w", service, err)
	}
	return nil
}

// tell writes v for a service to read, in one rename.
func tell(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// readSettings is the service's side: the .env file and what the sources hold. A
// source that does not answer is an error, because half the settings are none.
func readSettings(s spec) (map[string]string, error) {
	settings, err := loadEnv(envFile(s.Dir, s.Service))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(sourcesFile(s.Dir, s.Service))
	if err != nil {
		return settings, nil //nolint:nilerr // it was told of none
	}
	var all []Source
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("reading the sources: %w", err)
	}
	for _, from := range all {
		held, err := from.read()
		if err != nil {
			return nil, fmt.Errorf("reading from %s: %w", from.Kind, err)
		}
		maps.Copy(settings, held)
	}
	return settings, nil
}

func (from Source) read() (map[string]string, error) {
	req, err := http.NewRequest(http.MethodGet, from.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	switch from.Kind {
	case AWSAgent:
		req.Header.Set("X-Aws-Parameters-Secrets-Token", from.Token)
	case VaultKV:
		req.Header.Set("X-Vault-Token", from.Token)
		req.Header.Set("X-Vault-Request", "true")
	}
	res, err := sourceClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d", res.StatusCode)
	}
	var said struct {
		SecretString string
		Data         struct{ Data map[string]string }
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	if from.Kind == AWSAgent {
		held := map[string]string{}
		return held, json.Unmarshal([]byte(said.SecretString), &held)
	}
	return said.Data.Data, nil
}
