package vault

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rekey/commands/store"
)

// Sentinel errors; match with errors.Is. The sentences around them name the path and
// what to do, and quote neither a value, a token nor the server's own words.
var (
	// ErrSealed: the server holds its data encrypted until somebody unseals it.
	ErrSealed = errors.New("sealed")
	// ErrDenied: the token is good, and its policies do not allow the request.
	ErrDenied = errors.New("not allowed")
	// ErrToken: the token is not accepted at all.
	ErrToken = errors.New("token not accepted")
	// ErrBusy: the server asks for fewer requests. Such an error has a method
	// RetryAfter() time.Duration.
	ErrBusy = errors.New("too many requests")
	// ErrUnreachable: no answer came.
	ErrUnreachable = errors.New("not reachable")
)

// busy is ErrBusy with the time the server asked for.
type busy struct {
	address string
	wait    time.Duration
}

func (b *busy) Error() string {
	if b.wait == 0 {
		return fmt.Sprintf("vault at %s gets too many requests for its quota; wait before trying again", b.address)
	}
	return fmt.Sprintf("vault at %s gets too many requests for its quota; it asks to wait %s", b.address, b.wait)
}

func (b *busy) Is(target error) bool { return target == ErrBusy }

// RetryAfter is how long the server asks to wait; 0 when it does not say.
func (b *busy) RetryAfter() time.Duration { return b.wait }

func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, 24*3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at).Round(time.Second))
	}
	return 0
}

// unanswered is a request without an answer, in one sentence. What the connection said
// is kept for errors.Is, and not quoted: it may hold what the server sent.
type unanswered struct {
	sentence string
	cause    error
}

func (u *unanswered) Error() string   { return u.sentence }
func (u *unanswered) Unwrap() []error { return []error{ErrUnreachable, u.cause} }

// lost says why there is no answer.
func (s *Store) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("asking vault at %s: %w", s.address, ctx.Err())
	}
	return &unanswered{sentence: fmt.Sprintf("vault at %s is %v: %s", s.address, ErrUnreachable, reason(err)), cause: err}
}

func reason(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		name     *net.DNSError
		deadline interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused)"
	case errors.As(err, &name):
		return "the name does not resolve"
	case errors.As(err, &unknown):
		return "its certificate is of an unknown authority; name the authority's file in ca_file"
	case errors.As(err, &wrong):
		return "its certificate is for another name"
	case errors.As(err, &invalid):
		return "its certificate is not valid, or not any more"
	case errors.As(err, &deadline) && deadline.Timeout():
		return "no answer came in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection broke before an answer came"
	}
	return "the connection failed"
}

// trouble says in one sentence why a request was refused; nil for one that was not,
// and for a read of something that does not exist, which the caller understands better.
func (s *Store) trouble(ctx context.Context, verb, path string, a answer) error {
	switch {
	case a.status >= 200 && a.status < 300:
		return nil
	case a.status == http.StatusNotFound && len(a.errors) == 0 && verb != put:
		return nil
	case a.status == http.StatusNotFound:
		in := ""
		if s.namespace != "" {
			in = fmt.Sprintf(" in the namespace %q, or no such namespace", s.namespace)
		}
		return fmt.Errorf("vault at %s has no engine at %s/%s: the mount is %w", s.address, s.mount, in, store.ErrNotFound)
	case a.status == http.StatusForbidden:
		return s.denied(ctx, verb, path)
	case a.status == http.StatusTooManyRequests:
		return &busy{address: s.address, wait: a.wait}
	case a.status == http.StatusServiceUnavailable && s.sealed(ctx):
		return fmt.Errorf("vault at %s is %w: somebody who holds its keys must unseal it", s.address, ErrSealed)
	case a.status == http.StatusServiceUnavailable:
		return fmt.Errorf("vault at %s is %w for now: it answers 503", s.address, ErrUnreachable)
	case a.status == 472 || a.status == 473 || a.status >= 300 && a.status < 400:
		return fmt.Errorf("vault at %s is %w: a standby answers (%d); the address must lead to the active node", s.address, ErrUnreachable, a.status)
	case a.status == http.StatusPreconditionFailed:
		return fmt.Errorf("vault at %s is %w for now: the node that answers lags behind (412); the address must lead to the active node", s.address, ErrUnreachable)
	case a.status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s: vault does not know this request (405): the mount %s must be a KV engine of version 2", path, s.mount)
	case a.status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s: the secret is larger than vault takes (413)", path)
	case a.status == http.StatusBadRequest:
		return fmt.Errorf("%s: vault refuses the request (400): is the mount %s a KV engine of version 2, and not being upgraded right now?", path, s.mount)
	case a.status >= 400 && a.status < 500:
		return fmt.Errorf("%s: vault refuses the request (%d)", path, a.status)
	}
	return fmt.Errorf("%s: vault at %s answers %d", path, s.address, a.status)
}

// sealed asks, since 503 has other causes too.
func (s *Store) sealed(ctx context.Context) bool {
	a, err := s.send(ctx, get, sealStatus, nil, nil)
	var status struct {
		Sealed bool `json:"sealed"`
	}
	// This answer has no "data" around it.
	return err == nil && a.status == http.StatusOK && json.Unmarshal(a.whole, &status) == nil && status.Sealed
}

// denied finds out whether the token or a policy is the matter: 403 is the answer to
// both.
func (s *Store) denied(ctx context.Context, verb, path string) error {
	if verb == list {
		path += "/" // as policies see it
	}
	a, err := s.send(ctx, put, "sys/capabilities-self", nil, map[string][]string{"paths": {path}})
	var has map[string]json.RawMessage
	if err == nil && a.status == http.StatusOK && json.Unmarshal(a.data, &has) == nil {
		var names []string
		if json.Unmarshal(has[path], &names) == nil {
			return lacking(verb, path, names)
		}
	}
	if err == nil && a.status == http.StatusForbidden {
		return fmt.Errorf("vault at %s: %w: it has expired, was revoked or belongs to another namespace (or it may not even ask for its own capabilities, which the policy \"default\" allows)", s.address, ErrToken)
	}
	return fmt.Errorf("%s is %w to this token: it needs %s there", path, ErrDenied, capability(verb, path))
}

func lacking(verb, path string, has []string) error {
	if slices.Contains(has, "deny") {
		return fmt.Errorf("%s is %w to this token: no policy names it, or one denies it; it needs %s there", path, ErrDenied, capability(verb, path))
	}
	return fmt.Errorf("%s is %w to this token: it has %s there and needs %s", path, ErrDenied, strings.Join(has, ", "), capability(verb, path))
}

// capability names what a policy must grant for a request.
func capability(verb, path string) string {
	switch verb {
	case get:
		return `"read"`
	case list:
		return `"list"`
	case remove:
		return `"delete"`
	}
	if strings.Contains(path, "/data/"+folder+"/") {
		return `"create" and "update"`
	}
	return `"update"`
}
