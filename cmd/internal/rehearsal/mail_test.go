package rehearsal_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"strings"
	"testing"

	"rekey/commands/estatetest"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
)

// mailPassword is given out by a real SMTP server, where a person makes it and deletes it.
func mailPassword(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	server, err := smtptest.Start(smtptest.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("ending the mail server: %v", err)
		}
	})
	user := strings.ToLower(name)
	g := &holding{
		live: secret.NewValue("first-" + random()), roles: [2]string{onlyUses, onlyUses},
		works: func(v secret.Value) bool { return mayLogIn(t, server, user, v) },
		valid: func() int { return len(server.Passwords(user)) },
		lines: []string{fmt.Sprintf("issuer: {server: %q, username: %s, from: noreply@leather.example, to: admin@leather.example, ca_file: %q}", server.Addr(), user, server.CAFile())},
	}
	server.Add(user, g.live)
	provided := map[string]secret.Value{}
	g.person = func(h *house, run, step string) {
		h.t.Helper()
		switch fresh, done := provided[run]; {
		case step == "create" && !done:
			provided[run] = secret.NewValue("fresh-" + random())
			h.learn(g, provided[run])
			server.Add(user, provided[run])
			h.provide(run, provided[run])
		// Before rekey asks for it: after that it would look once a minute.
		case step == "retire/drain", step == "retire/revoke":
			for _, v := range g.seen {
				if !v.Equal(fresh) {
					server.Revoke(user, v, true)
				}
			}
		case step == "rollback/withdraw":
			server.Revoke(user, fresh, true)
		}
	}
	return g
}

// provide brings a run its value, as a process of its own that reads standard input.
func (h *house) provide(run string, v secret.Value) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv(estatetest.ExecutableVariable), "provide", run)
	cmd.Env = append(h.Environ(), commandVariable+"=1")
	cmd.Stdin = strings.NewReader(v.Reveal() + "\n")
	out, err := cmd.CombinedOutput()
	_, _ = h.said.Write(out)
	if err != nil {
		h.t.Fatalf("rekey provide: %v: %s", err, out)
	}
}

// mayLogIn logs in as a mail client does.
func mayLogIn(t *testing.T, server *smtptest.Server, user string, v secret.Value) bool {
	t.Helper()
	ca, err := os.ReadFile(server.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	c, err := smtp.Dial(server.Addr())
	if err != nil {
		t.Fatalf("calling the mail server: %v", err)
	}
	defer func() { _ = c.Close() }() // nothing was sent
	if err := c.StartTLS(&tls.Config{RootCAs: trust, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatalf("calling the mail server: %v", err)
	}
	return c.Auth(smtp.PlainAuth("", user, v.Reveal(), "127.0.0.1")) == nil
}
