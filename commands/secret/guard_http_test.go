package secret

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// sent is what a server received.
type sent struct {
	method, uri, body string
	header            http.Header
	length            int64
}

// receive sends a request through a guarded client to a real server.
func receive(t *testing.T, g *Guard, change func(r *http.Request), method, target string, body io.Reader) sent {
	t.Helper()
	var got sent
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = sent{r.Method, r.RequestURI, string(b), r.Header, r.ContentLength}
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	resp, err := (&http.Client{Transport: g.Transport(nil)}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return got
}

func TestTransportScrubsEveryPart(t *testing.T) {
	t.Parallel()
	for kind, v := range awkward {
		g := guardOf(t, v)
		js, err := json.Marshal(map[string]string{"text": "it is " + v})
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"token": {"xoxb-1"}, "blocks": {string(js)}, "text": {v}, v: {"1"}}.Encode()
		got := receive(t, g, func(r *http.Request) {
			r.Header.Set("X-Note", base64.StdEncoding.EncodeToString([]byte(v)))
			r.Header.Set("Authorization", "Bearer "+base64.StdEncoding.EncodeToString([]byte(v)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		}, "POST", "/a/"+url.PathEscape(v)+"/b?q="+url.QueryEscape(v)+"&ok=1", strings.NewReader(form))
		if got.length != int64(len(got.body)) {
			t.Errorf("%s: Content-Length %d of a body of %d", kind, got.length, len(got.body))
		}
		fields, err := url.ParseQuery(got.body)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if fields.Get("token") != "xoxb-1" || !strings.Contains(fields.Get("text"), redacted) {
			t.Errorf("%s: the form's fields are %v", kind, len(fields))
		}
		if !strings.Contains(got.header.Get("Authorization"), base64.StdEncoding.EncodeToString([]byte(v))) {
			t.Errorf("%s: Authorization was changed", kind)
		}
		got.header.Del("Authorization")
		path, err := url.QueryUnescape(got.uri)
		if err != nil {
			t.Fatal(err)
		}
		all, err := json.Marshal([]any{got.uri, path, got.body, fields, got.header})
		if err != nil {
			t.Fatal(err)
		}
		if g.Holds(all) || !strings.HasSuffix(got.uri, "&ok=1") {
			t.Errorf("%s: the value left", kind)
		}
	}
}

func TestTransportScrubsJSONOfAnySize(t *testing.T) {
	t.Parallel()
	v := awkward["url"]
	g := guardOf(t, v)
	for _, padding := range []int{0, 100, 3 << 20} {
		body, err := json.Marshal(map[string]string{"pad": strings.Repeat("x", padding), "text": v})
		if err != nil {
			t.Fatal(err)
		}
		// A reader of unknown length would otherwise go out in chunks.
		got := receive(t, g, nil, "POST", "/", io.MultiReader(bytes.NewReader(body)))
		var back map[string]string
		if err := json.Unmarshal([]byte(got.body), &back); err != nil || back["text"] != redacted || len(back["pad"]) != padding {
			t.Errorf("%d: %v, %d", padding, err, len(got.body))
		}
		if got.length != int64(len(got.body)) {
			t.Errorf("Content-Length %d of a body of %d", got.length, len(got.body))
		}
	}
}

func TestTransportLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	g := guardOf(t, awkward["hex"])
	form := "b=%7e+1&a=&&c&d=%zz"
	got := receive(t, g, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}, "POST", "/p%2Fq?x=%7e&y", strings.NewReader(form))
	if got.body != form || got.uri != "/p%2Fq?x=%7e&y" {
		t.Errorf("got %q and %q", got.body, got.uri)
	}
	got = receive(t, g, nil, "GET", "/", nil)
	if got.length != 0 || got.body != "" {
		t.Errorf("a GET got a body: %+v", got)
	}
}

func TestTransportUnpacksGzip(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t, v)
	pack := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, s)
		_ = w.Close()
		return b.String()
	}
	gzipped := func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
	got := receive(t, g, gzipped, "POST", "/", strings.NewReader(pack("a "+v)))
	r, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != "a "+redacted {
		t.Errorf("got %d bytes, %v", len(plain), err)
	}
	if clean := pack("nothing"); receive(t, g, gzipped, "POST", "/", strings.NewReader(clean)).body != clean {
		t.Error("a clean body was packed anew")
	}
}

// roundTrip is a transport of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closeable struct {
	io.Reader
	closed bool
}

func (c *closeable) Close() error { c.closed = true; return nil }

func TestTransportRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	g := guardOf(t)
	never := g.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("the request left")
		return nil, io.EOF
	}))
	for name, test := range map[string]struct {
		encoding string
		body     io.Reader
	}{
		"brotli":       {"br", strings.NewReader("x")},
		"broken gzip":  {"gzip", strings.NewReader("x")},
		"broken body":  {"", io.MultiReader(strings.NewReader("x"), errReader{})},
		"endless body": {"", endless{}},
	} {
		body := &closeable{Reader: test.body}
		r := httptest.NewRequest("POST", "http://x/", nil)
		r.Body = body
		r.Header.Set("Content-Encoding", test.encoding)
		if resp, err := never.RoundTrip(r); err == nil {
			t.Errorf("%s: sent", name)
			_ = resp.Body.Close()
		}
		if !body.closed {
			t.Errorf("%s: the body stays open", name)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestTransportChangesNoRequestOfItsCaller(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t, v)
	body := &closeable{Reader: strings.NewReader(v)}
	r := httptest.NewRequest("POST", "http://x/"+v, nil)
	r.Body, r.ContentLength = body, int64(len(v))
	r.Header.Set("X-Note", v)
	_, err := g.Transport(roundTrip(func(out *http.Request) (*http.Response, error) {
		again, err := out.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(again)
		if err != nil || string(b) != redacted || out.ContentLength != int64(len(redacted)) {
			t.Errorf("GetBody gives %d bytes of %d, %v", len(b), out.ContentLength, err)
		}
		return nil, io.EOF
	})).RoundTrip(r) //nolint:bodyclose // there is no response
	if err == nil || !body.closed || r.Header.Get("X-Note") != v || r.URL.Path != "/"+v {
		t.Errorf("error %v, closed %v", err, body.closed)
	}
}
