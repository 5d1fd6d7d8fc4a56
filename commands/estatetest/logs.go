package estatetest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// logs are the files api writes. Each line is one write to a file opened for
// appending, so that lines never mix.
type logs struct {
	securityFile, djangoFile, accessFile, rekeyFile *os.File
}

func openLogs(dir string) (*logs, error) {
	l := &logs{}
	for name, f := range map[string]**os.File{"security": &l.securityFile, "django": &l.djangoFile, "access": &l.accessFile, "rekey": &l.rekeyFile} {
		var err error
		if *f, err = os.OpenFile(filepath.Join(dir, "logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, fmt.Errorf("opening a log: %w", err)
		}
	}
	return l, nil
}

// asctime is Python's logging time, in UTC.
func asctime() string {
	return strings.Replace(time.Now().UTC().Format("2006-01-02 15:04:05.000"), ".", ",", 1)
}

// security is the application's own line.
func (l *logs) security(r *http.Request) {
	fmt.Fprintf(l.securityFile, "WARNING %s views_seo Invalid signature from %s on %s %s\n", asctime(), client(r), r.Method, r.URL.Path)
}

// previous tells that a request was verified with the old value, as the copy-in helper
// for Django does.
func (l *logs) previous(r *http.Request, variable string) {
	fmt.Fprintf(l.rekeyFile, "INFO %s rekey verified_with=previous variable=%s client=%s\n", asctime(), variable, client(r))
}

// django is a line of django.request in the verbose format of Django's
// documentation. It carries no status number.
func (l *logs) django(r *http.Request, reason string) {
	fmt.Fprintf(l.djangoFile, "WARNING %s log %d %d %s: %s\n", asctime(), os.Getpid(), 140000000000000, reason, r.URL.Path)
}

// access is gunicorn's combined format, and django.request's line for what no view
// took.
func (l *logs) access(r *http.Request, status, size int) {
	switch status {
	case http.StatusNotFound:
		l.django(r, "Not Found")
	case http.StatusMethodNotAllowed:
		l.django(r, "Method Not Allowed")
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	field := func(s string) string {
		if s == "" {
			return "-"
		}
		return escape.Replace(s)
	}
	fmt.Fprintf(l.accessFile, "%s - - [%s] \"%s %s %s\" %d %d \"%s\" \"%s\"\n", client(r), time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"),
		r.Method, field(r.URL.RequestURI()), r.Proto, status, size, field(r.Referer()), field(r.UserAgent()))
}

// client is whom a request came from: the last entry of X-Forwarded-For when the
// peer is on this machine, as behind nginx, else the peer.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.IsLoopback() {
		return host
	}
	all := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
	if last, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
		return last.String()
	}
	return host
}
