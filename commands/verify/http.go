package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

const (
	// tryTimeout bounds one question, from dialling to the end of the answer.
	tryTimeout = 3 * time.Second
	// maxAnswer bounds how much of an answer is read.
	maxAnswer = 64 << 10
	// WorkerHeader is where an answer may name the process that gave it.
	WorkerHeader = "X-Rekey-Worker"
	// UserAgent is what the services' logs show of rekey's own checks.
	UserAgent = "rekey-check/1"
)

// Transport answers a transport for checks: a connection of its own for every
// question, because a kept one would ask the same worker again and again; HTTP/1.1;
// and no proxy, because the service itself is to be asked.
func Transport() *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: tryTimeout}).DialContext,
		DisableKeepAlives:   true,
		TLSHandshakeTimeout: tryTimeout,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// asker sends one request and hands over the whole, bounded answer.
type asker struct{ client http.Client }

func newAsker(rt http.RoundTripper) asker {
	if rt == nil {
		rt = Transport()
	}
	return asker{http.Client{
		Transport: rt,
		// A redirect is an answer, not an instruction.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back. why is set, and nothing else, when nothing did.
type answer struct {
	status int
	worker string
	body   []byte
	why    string
}

func (a asker) ask(ctx context.Context, method, url, body string, header http.Header) answer {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{why: "its address in the catalogue cannot be used"}
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("User-Agent", UserAgent)
	req.Close = true // whatever transport was given
	res, err := a.client.Do(req)
	if err != nil {
		return answer{why: reason(err)}
	}
	defer res.Body.Close()
	got := answer{status: res.StatusCode, worker: res.Header.Get(WorkerHeader)}
	if got.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return answer{why: reason(err)}
	}
	return got
}

// reason puts a failed request into plain words. The error's own text is not used:
// it quotes addresses, and what a service sent.
func reason(err error) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var badCert x509.CertificateInvalidError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "the check was stopped"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v", tryTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.As(err, &dns):
		return "its host name was not found"
	case errors.As(err, &unknownCA), errors.As(err, &wrongHost), errors.As(err, &badCert):
		return "its TLS certificate is not trusted"
	}
	return "the request did not get through"
}
