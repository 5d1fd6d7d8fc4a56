package smtp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/commands/issue/smtp"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// raw is a connection on which the protocol is spoken by hand.
type raw struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dialRaw connects, with TLS first where caFile is not "", and hears the greeting.
func dialRaw(t *testing.T, addr, caFile string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &raw{t: t, conn: conn}
	if caFile != "" {
		c.encrypt(caFile)
	} else {
		c.r = bufio.NewReader(conn)
	}
	if got := c.hears(); !strings.HasPrefix(got, "220 ") {
		t.Fatalf("greeted with %q", got)
	}
	return c
}

func (c *raw) encrypt(caFile string) {
	c.t.Helper()
	text, err := os.ReadFile(caFile)
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	c.conn = tls.Client(c.conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	c.r = bufio.NewReader(c.conn)
}

func (c *raw) hears() string {
	c.t.Helper()
	text, err := c.answer()
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return text
}

// answer reads all lines of one answer.
func (c *raw) answer() (string, error) {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return all.String(), err
		}
	}
}

func (c *raw) try(line string) (string, error) {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return "", err
	}
	return c.answer()
}

// says sends a line and holds the answer to how it begins.
func (c *raw) says(line, want string) string {
	c.t.Helper()
	got, err := c.try(line)
	if err != nil || !strings.HasPrefix(got, want) {
		c.t.Fatalf("got %q (%v), want %s", got, err, want)
	}
	return got
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func (c *raw) login(v secret.Value, want string) {
	c.t.Helper()
	c.says("AUTH PLAIN "+b64("\x00"+user+"\x00"+v.Reveal()), want)
}

// The practice server speaks the protocol, not only to the client it was made for.
func TestThePracticeServerByHand(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{MaxMessageBytes: 5000})
	c := dialRaw(t, p.Addr(), "")
	offer := c.says("EHLO by-hand.example", "250")
	if !strings.Contains(offer, "STARTTLS\r\n") || strings.Contains(offer, "AUTH") || !strings.Contains(offer, "SIZE 5000\r\n") {
		t.Errorf("offered without TLS: %q", offer)
	}
	c.says("AUTH PLAIN "+b64("\x00a\x00b"), "523")
	c.says("STARTTLS", "220")
	c.encrypt(p.CAFile())
	if offer := c.says("EHLO by-hand.example", "250"); strings.Contains(offer, "STARTTLS") || !strings.Contains(offer, "AUTH PLAIN LOGIN\r\n") {
		t.Errorf("offered with TLS: %q", offer)
	}
	c.says("MAIL FROM:<noreply@leather.example>", "530")
	c.login(secret.NewValue("wrong"), "535 5.7.8")
	c.says("AUTH LOGIN", "334 "+b64("Username:"))
	c.says(b64(user), "334 "+b64("Password:"))
	c.says("*", "501")
	c.says("AUTH LOGIN "+b64(user), "334 "+b64("Password:"))
	c.says(b64("wrong"), "535")
	c.says("AUTH XOAUTH2 x", "454") // not base64
	c.says("AUTH XOAUTH2", "504")
	c.says("AUTH LOGIN", "334")
	c.says(b64(user), "334")
	c.says(b64(p.old.Reveal()), "235")
	c.login(p.old, "503")
	c.says("MAIL FROM:<noreply@leather.example>", "250")
	c.says("RCPT TO:<admin@leather.example>", "250")
	c.says("DATA", "354")
	c.says("Subject: by hand\r\n\r\n..dot\r\n.", "250")
	c.says("QUIT", "221")
	got := p.Messages()
	if len(got) != 1 || got[0].Header("subject") != "by hand" || got[0].Body() != ".dot\r\n" || got[0].User != user {
		t.Errorf("taken: %+v", got)
	}
	if n := p.Sessions(user); n > 1 {
		t.Errorf("%d sessions are open", n)
	}
}

// liar is a server with a good certificate that says to each line what it is told to.
// It begins with TLS.
func liar(t *testing.T, answers map[string]string) secret.SMTPIssuer {
	t.Helper()
	good := httptest.NewUnstartedServer(nil) // it has a certificate for 127.0.0.1
	good.StartTLS()
	cfg := good.TLS.Clone()
	cfg.NextProtos = nil
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Certificate().Raw})
	good.Close()
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		lines := bufio.NewScanner(conn)
		for verb := ""; ; {
			said := answers[verb]
			if said == "" {
				said = answers["*"]
			}
			if _, err := io.WriteString(conn, said); err != nil || !lines.Scan() {
				return
			}
			verb, _, _ = strings.Cut(lines.Text(), " ")
			if b, err := base64.StdEncoding.DecodeString(verb); err == nil && len(b) > 6 && verb != "STARTTLS" {
				verb = "secret"
			}
		}
	}()
	return secret.SMTPIssuer{Addr: l.Addr().String(), Implicit: true, Username: "longer-than-six", CAFile: caFile}
}

// A server may be broken or hostile. What it says of a password is believed only in
// the form the protocol has, and repeated in none.
func TestServersThatLie(t *testing.T) {
	t.Parallel()
	const password = "s3cret-canary-9f27"
	echo := b64("\x00longer-than-six\x00" + password)
	for _, c := range []struct {
		name    string
		answers map[string]string
		want    verify.Try
	}{
		{"repeats what it was sent", map[string]string{"EHLO": "250-hi\r\n250 AUTH PLAIN\r\n", "AUTH": "454 no: AUTH PLAIN " + echo + " " + password + "\r\n"}, verify.Try{Why: "it cannot check passwords now (454)"}},
		{"offers what it was sent", map[string]string{"EHLO": "250-hi\r\n250 AUTH XOAUTH2 " + password + "-more-than-twenty\r\n"}, verify.Try{Why: "it offers no login with PLAIN or LOGIN, only with XOAUTH2"}},
		{"offers nothing", map[string]string{"EHLO": "250 hi\r\n"}, verify.Try{Why: "it offers no login"}},
		{"refuses under another code", map[string]string{"EHLO": "250-hi\r\n250 AUTH PLAIN\r\n", "AUTH": "554 5.7.8 bad credentials\r\n"}, verify.Try{Answer: verify.Refused, Why: "it refused the login (554)"}},
		{"accepts before it saw the password", map[string]string{"EHLO": "250-hi\r\n250 AUTH LOGIN\r\n", "AUTH": "235 welcome\r\n"}, verify.Try{Why: "it let the login in before it saw the password"}},
		{"asks for ever", map[string]string{"EHLO": "250-hi\r\n250 AUTH LOGIN\r\n", "AUTH": "334 VXNlcm5hbWU6\r\n", "secret": "334 UGFzc3dvcmQ6\r\n", "*": "501 as you like\r\n"}, verify.Try{Why: "it asked for more than a user name and a password"}},
		{"is a web server", map[string]string{"": "HTTP/1.1 400 Bad Request\r\n\r\n"}, verify.Try{Why: "what answers there is not a mail server"}},
		{"never ends its line", map[string]string{"": strings.Repeat("220 and so on ", 1<<17)}, verify.Try{Why: "it said more than a mail server has to say"}},
		{"knows no EHLO", map[string]string{"EHLO": "502 what\r\n", "HELO": "502 what\r\n"}, verify.Try{Why: "it answered the greeting with 502"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := c.answers[""]; !ok {
				c.answers[""] = "220 hi\r\n"
			}
			if c.answers["*"] == "" {
				c.answers["*"] = "221 bye\r\n"
			}
			cfg := liar(t, c.answers)
			got := smtp.Login(t.Context(), cfg, secret.NewValue(password))
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if strings.Contains(fmt.Sprint(got), password) || strings.Contains(fmt.Sprint(got), echo) {
				t.Error("the password was told")
			}
		})
	}
}

// decoded reads the text of a mail.
func decoded(t *testing.T, m *mail.Message) string {
	t.Helper()
	if got := m.Header.Get("Content-Transfer-Encoding"); got != "quoted-printable" {
		t.Fatalf("the text is encoded as %q", got)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
