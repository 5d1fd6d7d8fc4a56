package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"rekey/commands/store"
)

const (
	patience = 30 * time.Second // for one request
	maxBody  = 32 << 20         // the server's own limit for a request
)

// newHTTPClient answers c's client, or one that trusts what c says and waits 30 s.
func newHTTPClient(c Config) (*http.Client, error) {
	if c.HTTPClient != nil {
		own := *c.HTTPClient
		return &own, nil
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CAFile != "" {
		roots, err := trusted(c.CAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	return &http.Client{Transport: transport, Timeout: patience}, nil
}

// newClient makes the vendor's client do what c says and nothing else: no token, no
// namespace and no retries that c does not name.
func newClient(c Config, hc *http.Client, namespace string) (*api.Client, error) {
	// The vendor's client follows one redirect itself, and never from https to http.
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client, err := api.NewClient(&api.Config{
		Address:    c.Address,
		HttpClient: hc,
		// Retries belong to whoever owns the run: a repeated write may be a second act. 412
		// alone says that nothing was done, for want of a state this client has already seen.
		MaxRetries:     4,
		MinRetryWait:   100 * time.Millisecond,
		MaxRetryWait:   time.Second,
		CheckRetry:     onlyStale,
		ReadYourWrites: true,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to talk to vault: %w", err)
	}
	client.ClearToken()
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if namespace != "" {
		client.SetNamespace(namespace)
	}
	return client, nil
}

func onlyStale(ctx context.Context, resp *http.Response, _ error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return resp != nil && resp.StatusCode == http.StatusPreconditionFailed, nil
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	// The parser's own words quote the address, which may hold a password.
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New(`the address of vault must be a URL such as "https://vault.example.com:8200"`)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the address of vault must hold no user, password or query")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%w address of vault: %s would show tokens and secrets to the network; use https", store.ErrUnsafe, address)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// answer is what came back for one request.
type answer struct {
	status int
	data   json.RawMessage // the answer's "data", of any status
	whole  []byte
	errors []string      // the server's words; shown to nobody, they may quote a request
	wait   time.Duration // Retry-After
}

// act sends one request. The answer has a status whenever the server gave one; the
// error is for people and says nothing of values. path is below the mount.
func (s *Store) act(ctx context.Context, verb, path string, body any) (answer, error) {
	a, err := s.send(ctx, verb, s.mount+"/"+path, nil, body)
	if err != nil {
		return a, err
	}
	return a, s.trouble(ctx, verb, s.mount+"/"+path, a)
}

// The verbs of send.
const (
	get    = http.MethodGet
	put    = http.MethodPut
	remove = http.MethodDelete
	list   = "LIST"
)

const sealStatus = "sys/seal-status"

// send answers an error only where the server gave no answer.
func (s *Store) send(ctx context.Context, verb, path string, query url.Values, body any) (answer, error) {
	token, err := s.token()
	if err != nil {
		return answer{}, &unsent{fmt.Errorf("reading the token for vault: %w", err)}
	}
	if token.IsZero() || strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return answer{}, &unsent{errors.New("the token for vault is empty or holds a character that no token has")}
	}
	client := s.client
	if path == sealStatus {
		client = s.above
	}
	logical := client.WithRequestCallbacks(func(r *api.Request) {
		r.ClientToken = token.Reveal()
		r.Obj = body // what it sends again when a standby redirects it
	}).Logical()
	var resp *api.Response
	switch verb {
	case get:
		resp, err = logical.ReadRawWithDataWithContext(ctx, path, query)
	case list:
		resp, err = logical.ReadRawWithDataWithContext(ctx, path, url.Values{"list": {"true"}})
	case remove:
		resp, err = logical.DeleteRawWithContext(ctx, path)
	default:
		text, encodeErr := json.Marshal(body)
		if encodeErr != nil {
			// The encoder's own words may quote what it read.
			return answer{}, &unsent{errors.New("a request to vault could not be encoded")}
		}
		resp, err = logical.WriteRawWithContext(ctx, path, text)
	}
	if resp == nil {
		return answer{}, s.lost(ctx, err)
	}
	return s.read(ctx, resp)
}

// read takes an answer apart. A status without a readable body is still an answer.
func (s *Store) read(ctx context.Context, resp *api.Response) (answer, error) {
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, wait: retryAfter(resp.Header)}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		if resp.StatusCode >= 300 {
			return a, nil
		}
		return a, s.lost(ctx, err)
	}
	var parts struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	if json.Unmarshal(text, &parts) == nil {
		a.data, a.errors, a.whole = parts.Data, parts.Errors, text
	} else if resp.StatusCode == http.StatusOK {
		return a, errors.New("vault answered something that is not JSON: is there a proxy in between?")
	}
	return a, nil
}

// unsent is an error of a request that certainly never left.
type unsent struct{ err error }

func (u *unsent) Error() string { return u.err.Error() }
func (u *unsent) Unwrap() error { return u.err }

// certain reports that a request which ended like this did nothing.
func certain(a answer, err error) bool {
	var never *unsent
	switch {
	case errors.As(err, &never):
		return true
	case a.status == 0:
		var op *net.OpError
		return errors.As(err, &op) && op.Op == "dial"
	}
	// A proxy answers 408 for a request it may have passed on.
	return a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout
}

// trusted answers the system's certificates and those in file.
func trusted(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return roots, nil
}
