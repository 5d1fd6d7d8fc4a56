package verify

import (
	"context"
	"fmt"
	"net/http"

	"rekey/commands/secret"
)

// NewSignedRequest asks one instance with the guide's webhook call, signed as
// r.Scheme says. rt may be nil for Transport().
func NewSignedRequest(r secret.SignedRequest, url string, rt http.RoundTripper) Prober {
	return &signedRequest{asker: newAsker(rt), request: r, url: url}
}

type signedRequest struct {
	asker   asker
	request secret.SignedRequest
	url     string
}

func (p *signedRequest) Try(ctx context.Context, v secret.Value) Try {
	signature, known := signed(p.request.Scheme, v, p.request.Body)
	if !known {
		return Try{Why: "the catalogue names a way of signing that rekey does not know"}
	}
	h := http.Header{}
	h.Set(p.request.Header, signature)
	if p.request.ContentType != "" {
		h.Set("Content-Type", p.request.ContentType)
	}
	got := p.asker.ask(ctx, p.request.Method, p.url, p.request.Body, h)
	t := Try{Worker: got.worker}
	switch {
	case got.why != "":
		t.Why = got.why
	case got.status >= 200 && got.status < 300:
		t.Answer = Accepted
	case got.status == http.StatusUnauthorized, got.status == http.StatusForbidden:
		t.Answer = Refused
	default:
		t.Why = fmt.Sprintf("it answered %d", got.status)
	}
	return t
}
