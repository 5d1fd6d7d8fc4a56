package estatetest

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
)

// accept checks a signature against [X, X_OLD], as the guide's verify_signature.
func (svc *service) accept(variable string, sign scheme) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, http.StatusBadRequest, `{"error":"body"}`)
			return
		}
		signature := r.Header.Get("X-Signature")
		worker := workerOf(r)
		switch {
		case readFaults(svc.spec).AcceptAnything:
		case signature == "":
			svc.logs.django(r, "Unauthorized")
			answer(w, http.StatusUnauthorized, `{"error":"Missing signature"}`)
			return
		case !signed(sign, body, signature, worker.setting(variable), worker.setting(variable+"_OLD")):
			svc.logs.security(r)
			svc.logs.django(r, "Forbidden")
			answer(w, http.StatusForbidden, `{"error":"Invalid signature"}`)
			return
		case !signed(sign, body, signature, worker.setting(variable)):
			svc.logs.previous(r, variable)
		}
		answer(w, http.StatusOK, `{"status":"ok"}`)
	}
}

func signed(sign scheme, body []byte, signature string, values ...string) bool {
	for _, v := range values {
		if v != "" && hmac.Equal([]byte(sign(v, body)), []byte(signature)) {
			return true
		}
	}
	return false
}

// call is the signer's side: sign a body, call api on behalf of the client, answer what
// api answered. 502 when api could not be reached.
func (svc *service) call(variable string, sign scheme, path, format string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		api := svc.spec.API
		if svc.spec.Service == API { // any of its own workers
			api = "http://" + r.Host
		}
		body := fmt.Appendf(nil, format, rand.IntN(1000))
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, api+path, bytes.NewReader(body))
		if err != nil {
			answer(w, http.StatusInternalServerError, `{"error":"address of api"}`)
			return
		}
		req.Header.Set("X-Signature", sign(workerOf(r).setting(variable), body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("User-Agent", "node")
		if from := r.Header.Get("X-Forwarded-For"); from != "" {
			req.Header.Set("X-Forwarded-For", from)
		}
		res, err := svc.client.Do(req)
		if err != nil {
			answer(w, http.StatusBadGateway, `{"error":"api cannot be reached"}`)
			return
		}
		defer res.Body.Close()
		said, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
		if err != nil {
			answer(w, http.StatusBadGateway, `{"error":"api broke off"}`)
			return
		}
		answer(w, res.StatusCode, string(said))
	}
}
