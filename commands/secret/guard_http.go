package secret

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// longestBody bounds what one request may carry, in bytes, unpacked: what cannot
// be read whole cannot be guarded, and is refused.
const longestBody = 64 << 20

// Transport answers a RoundTripper that scrubs requests before next sends them:
// the path and query, every header but Authorization (a vendor's token is no value
// of the catalogue), and the body, whose Content-Length stays right. Form bodies
// are scrubbed field by field as well, and gzip is unpacked. A body that cannot be
// read, is larger than 64 MiB or packed in a way it does not know is an error:
// nothing leaves unguarded. Responses are not touched.
//
// next nil means http.DefaultTransport.
func (g *Guard) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{guard: g, next: next}
}

type transport struct {
	guard *Guard
	next  http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := t.body(r)
	if err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	t.url(out.URL)
	t.header(out.Header)
	t.header(out.Trailer)
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(out)
	}
	out.ContentLength = int64(len(body))
	out.TransferEncoding = nil
	if out.Header.Get("Content-Length") != "" {
		out.Header.Del("Content-Length")
	}
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody()
	return t.next.RoundTrip(out)
}

// url scrubs the decoded parts too: a value there may be escaped in ways of its own.
func (t *transport) url(u *url.URL) {
	if clean := t.guard.ScrubString(u.Path); clean != u.Path {
		u.Path, u.RawPath = clean, ""
	}
	if clean := t.guard.ScrubString(u.RawPath); clean != u.RawPath {
		u.RawPath = ""
	}
	u.RawQuery = t.form(u.RawQuery)
}

func (t *transport) header(h http.Header) {
	for name, values := range h {
		if name == "Authorization" {
			continue
		}
		for i, v := range values {
			values[i] = t.guard.ScrubString(v)
		}
	}
}

// body reads and closes r's body and answers it scrubbed.
func (t *transport) body(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	switch packed := strings.ToLower(r.Header.Get("Content-Encoding")); packed {
	case "", "identity":
		b, err := readAll(r.Body)
		if err != nil {
			return nil, err
		}
		return t.content(r.Header, b), nil
	case "gzip":
		return t.gzipped(r)
	default:
		return nil, fmt.Errorf("guarding a request to %s: content encoding %q is not understood", r.URL.Host, packed)
	}
}

// gzipped answers the body as it came where it holds nothing known.
func (t *transport) gzipped(r *http.Request) ([]byte, error) {
	original, err := readAll(r.Body)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(original))
	if err != nil {
		return nil, fmt.Errorf("unpacking a request to guard it: %w", err)
	}
	plain, err := readAll(z)
	if err != nil {
		return nil, err
	}
	clean := t.content(r.Header, plain)
	if bytes.Equal(clean, plain) {
		return original, nil
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(clean); err != nil {
		return nil, fmt.Errorf("packing a guarded request: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing a guarded request: %w", err)
	}
	return out.Bytes(), nil
}

func (t *transport) content(h http.Header, b []byte) []byte {
	if kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		return []byte(t.form(string(b)))
	}
	clean, _ := t.guard.Scrub(b)
	return clean
}

// form scrubs name=value pairs. Pairs without a known value stay byte for byte.
func (t *transport) form(s string) string {
	pairs := strings.Split(s, "&")
	for i, p := range pairs {
		name, value, has := strings.Cut(p, "=")
		pairs[i] = t.field(name)
		if has {
			pairs[i] += "=" + t.field(value)
		}
	}
	return t.guard.ScrubString(strings.Join(pairs, "&"))
}

// field scrubs what a field says; what it looks like is scrubbed with the rest.
func (t *transport) field(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s // no encoding
	}
	if clean := t.guard.ScrubString(plain); clean != plain {
		return url.QueryEscape(clean)
	}
	return s
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, longestBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading a request to guard it: %w", err)
	}
	if len(b) > longestBody {
		return nil, fmt.Errorf("guarding a request: it is larger than %d MiB", longestBody>>20)
	}
	return b, nil
}
