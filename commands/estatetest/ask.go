package estatetest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"rekey/commands/secret"
)

// Proof is a worker's answer to a challenge.
type Proof struct {
	// Worker is its name; "" where the estate hides them.
	Worker string

	nonce, proof string
}

// Of reports whether the worker runs on v.
func (p Proof) Of(v secret.Value) bool {
	return !v.IsZero() && hmac.Equal([]byte(p.proof), []byte(mac(v.Reveal(), []byte("rekey-proof-v1\n"+p.nonce))))
}

// Ask asks one worker of a service, whichever it meets, which value of variable it runs
// on.
func (e *Estate) Ask(ctx context.Context, service, variable string) (Proof, error) {
	p := Proof{nonce: rand.Text()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		e.ProofURL(service, variable)+"&nonce="+url.QueryEscape(p.nonce), http.NoBody)
	if err != nil {
		return p, fmt.Errorf("asking %s: %w", service, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return p, fmt.Errorf("asking %s: %w", service, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return p, fmt.Errorf("asking %s: %w", service, err)
	}
	var said struct{ Worker, Proof string }
	if err := json.Unmarshal(body, &said); err != nil || res.StatusCode != http.StatusOK {
		return p, fmt.Errorf("asking %s: it answers %d", service, res.StatusCode)
	}
	p.Worker, p.proof = said.Worker, said.Proof
	return p, nil
}

// ProofURL is where a service answers challenges about variable.
func (e *Estate) ProofURL(service, variable string) string {
	return e.URL(service) + proofPath + "?variable=" + variable
}

// Workers is how many workers a service has.
func (e *Estate) Workers(service string) int { return e.procs[service].spec.Workers }

// Sign lets a worker of a service sign something with variable's value, in a scheme,
// and a worker of api judge it: nil when it was accepted.
func (e *Estate) Sign(ctx context.Context, service, scheme, variable string) error {
	return post(ctx, e.URL(service)+"/sign/"+scheme+"/"+variable, "", nil)
}

// Show signs something with v, in a scheme, as whoever knows v can, and shows it to a
// worker of api: nil when it was accepted.
func (e *Estate) Show(ctx context.Context, scheme, variable string, v secret.Value) error {
	body := []byte(`{"n":0}`)
	signature := mac(v.Reveal(), body)
	if scheme == "django" {
		signature = django(v.Reveal(), body)
	}
	return post(ctx, e.AcceptURL(scheme, variable), signature, body)
}

// AcceptURL is where api judges what was signed with variable's value in a scheme:
// "hmac" or "django".
func (e *Estate) AcceptURL(scheme, variable string) string {
	return e.URL(API) + "/accept/" + scheme + "/" + variable
}

func post(ctx context.Context, address, signature string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	if signature != "" {
		req.Header.Set("X-Signature", signature)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", req.URL.Path, res.StatusCode)
	}
	return nil
}
