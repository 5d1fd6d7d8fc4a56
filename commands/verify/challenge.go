package verify

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"rekey/commands/secret"
)

// challengePrefix keeps a proof from being the signature of any real request.
const challengePrefix = "rekey-proof-v1\n"

// NewChallenge asks one instance for a proof of the value it runs on; see
// secret.Challenge. The nonce is fresh each time, so that no cache can answer. rt
// may be nil for Transport().
func NewChallenge(address string, rt http.RoundTripper) Prober {
	return &challenge{asker: newAsker(rt), address: address}
}

type challenge struct {
	asker   asker
	address string
}

func (p *challenge) Try(ctx context.Context, v secret.Value) Try {
	u, err := url.Parse(p.address)
	if err != nil {
		return Try{Why: "its address in the catalogue cannot be used"}
	}
	nonce := rand.Text()
	q := u.Query()
	q.Set("nonce", nonce)
	u.RawQuery = q.Encode()
	got := p.asker.ask(ctx, http.MethodGet, u.String(), "", nil)
	if got.why != "" {
		return Try{Why: got.why}
	}
	if got.status != http.StatusOK {
		return Try{Worker: got.worker, Why: fmt.Sprintf("it answered %d", got.status)}
	}
	return judge(got.body, nonce, v, got.worker)
}

// judge says what an answer to a challenge shows of v. worker names who gave it where
// the answer itself does not.
func judge(body []byte, nonce string, v secret.Value, worker string) Try {
	var said struct {
		Proof  string `json:"proof"`
		Worker string `json:"worker"`
	}
	t := Try{Worker: worker}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Why = "its answer is no proof"
		return t
	}
	if said.Worker != "" {
		t.Worker = said.Worker
	}
	proof, err := hex.DecodeString(said.Proof)
	if err != nil || len(proof) != 32 {
		t.Why = "its answer is no proof"
		return t
	}
	t.Answer = Refused
	if hmac.Equal(proof, mac([]byte(v.Reveal()), challengePrefix+nonce)) {
		t.Answer = Accepted
	}
	return t
}
