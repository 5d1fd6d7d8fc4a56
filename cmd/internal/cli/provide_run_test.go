package cli_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/cmd/internal/cli"
	"rekey/cmd/internal/testtools/tied"
	"rekey/commands/estatetest"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
	"rekey/commands/store/vault/vaulttest"
)

// mailStage is a stage on which api sends mail, with a password of a provider's.
type mailStage struct {
	*stage
	mail *smtptest.Server
	old  secret.Value
}

const mailUser = "leather-api"

func newMailStage(t *testing.T) *mailStage {
	t.Helper()
	s := &mailStage{stage: newStage(t, ""), old: secret.NewValue("old-" + rand.Text())}
	var err error
	if s.mail, err = smtptest.Start(smtptest.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.mail.Close(); err != nil {
			t.Errorf("ending the mail server: %v", err)
		}
	})
	s.mail.Add(mailUser, s.old)
	s.write(s.Estate.EnvFile(estatetest.API), "EMAIL_HOST_PASSWORD="+s.old.Reveal()+"\n")
	if out, err := exec.Command(s.Estate.Reload(estatetest.API)[0], s.Estate.Reload(estatetest.API)[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("reloading api: %v: %s", err, out)
	}
	s.write(s.CataloguePath(), fmt.Sprintf(`  EMAIL_HOST_PASSWORD:
    purpose: SMTP authentication
    owner: DevOps
    procedure: smtp-password
    overlap: 24h
    in:
      production:
        consumers:
          api:
            variable: EMAIL_HOST_PASSWORD
            proof: {challenge: {urls: ["%s/rekey/proof?variable=EMAIL_HOST_PASSWORD"]}}
        issuer:
          server: %q
          username: %s
          from: noreply@leather.example
          to: admin@leather.example
          ca_file: %q
        checks:
          - {name: Email sending works, kind: smtp}
`, s.Estate.URL(estatetest.API), s.mail.Addr(), mailUser, s.mail.CAFile()))
	return s
}

// write appends to a file.
func (s *mailStage) write(path, text string) {
	s.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// made answers a password that the provider has just made.
func (s *mailStage) made() secret.Value {
	v := secret.NewValue("new-" + rand.Text())
	s.mail.Add(mailUser, v)
	return v
}

var runNumber = regexp.MustCompile(`r-\d{8}-\d{6}-\w+`)

// waiting starts a rotation and answers the number of its run, which waits for a value.
func (s *mailStage) waiting(mode string) string {
	s.t.Helper()
	p := s.rekey("rotate", "EMAIL_HOST_PASSWORD", mode)
	p.exits(cli.ExitOK)
	run := runNumber.FindString(p.said.String())
	s.must(s.piped("", "runs", run, "--json"), cli.ExitOK, "then run rekey provide "+run+" on rekey's host.")
	return run
}

// comesTo carries a run on until what is known of it holds a text.
func (s *mailStage) comesTo(run, text string) {
	s.t.Helper()
	var got ending
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); { // a run is looked at once a minute
		s.piped("", "resume", run)
		if got = s.piped("", "runs", run, "--json"); strings.Contains(got.text, text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("run %s does not come to %q in time: %s", run, text, got.text)
}

// live is what api has in its file.
func (s *mailStage) live() secret.Value {
	s.t.Helper()
	v, err := s.Estate.InFile(estatetest.API, "EMAIL_HOST_PASSWORD")
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// ending is what a rekey that has ended printed, and its exit code.
type ending struct {
	code int
	text string
}

// piped runs a rekey with a text on its standard input, to its end.
func (s *mailStage) piped(text string, args ...string) ending {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "rekey", args...) // TestMain put it on the path
	cmd.Env, cmd.Stdin = s.Environ(), strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("rekey %s: %v", strings.Join(args, " "), err)
	}
	if text = strings.TrimSpace(text); len(text) > 6 && strings.Contains(string(out), text) {
		s.t.Error("the output holds the value")
	}
	return ending{code: cmd.ProcessState.ExitCode(), text: strings.Join(strings.Fields(string(out)), " ")}
}

// must holds what was said to an exit code and to a part of it.
func (s *mailStage) must(got ending, code int, part string) {
	s.t.Helper()
	if got.code != code || !strings.Contains(got.text, part) {
		s.t.Errorf("exit code %d, said %q; want %d and %q", got.code, got.text, code, part)
	}
}

// Guide: procedures/email-host-password/new-password, procedures/email-host-password/impact
func TestAPersonBringsAMailPassword(t *testing.T) {
	t.Parallel()
	s := newMailStage(t)
	run := s.waiting("compromised")
	if !s.live().Equal(s.old) {
		t.Fatal("the password was changed before there was another one")
	}

	// What does not work changes nothing, and the run goes on waiting.
	for text, want := range map[string]string{
		"":                           "no value was given",
		"two\nlines\n":               "more than one line",
		s.old.Reveal() + "\n":        "That is the present value of EMAIL_HOST_PASSWORD",
		"the-provider-knows-no-such": "The value does not work (it refused the login (535))",
	} {
		s.must(s.piped(text, "provide", run), cli.ExitRefused, want)
	}
	s.mail.SetFaults(smtptest.Faults{Auth: 454})
	fresh := s.made()
	s.must(s.piped(fresh.Reveal(), "provide", run), cli.ExitRefused, "The value could not be tried (it cannot check passwords now (454))")
	s.mail.SetFaults(smtptest.Faults{})
	if !s.live().Equal(s.old) {
		t.Fatal("a refused password was put in place")
	}

	s.must(s.piped(fresh.Reveal()+"\n", "provide", run), cli.ExitOK, "The value works and is kept; run "+run+" goes on with it. rekey: no rekey is serving here, so the run stands still.")
	s.mail.Revoke(mailUser, s.old, false) // in a hurry, before the services run on the new one
	s.comesTo(run, `"state": "succeeded"`)
	if !s.live().Equal(fresh) {
		t.Error("the new password is not in place")
	}
	s.must(s.piped(fresh.Reveal(), "provide", run), cli.ExitRefused, "is not waiting for a value")
	if n := len(s.mail.Messages()); n == 0 {
		t.Error("no test mail was sent")
	}
}

// The value comes from a file, from an env file, from a store of the catalogue, or from a
// terminal that shows nothing.
func TestTheWaysAValueComes(t *testing.T) {
	t.Parallel()
	s := newMailStage(t)
	bank := vaulttest.New()
	t.Cleanup(bank.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hvs.reader-of-the-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	bank.Grant("hvs.reader-of-the-test", "", vaulttest.Policy{"secret/data/app/mail": {"read"}})
	s.write(s.CataloguePath(), fmt.Sprintf("stores:\n  bank: {kind: vault-kv, address: %q, token: {file: %q}}\n", bank.URL, token))
	run := s.waiting("routine")
	s.must(s.piped("", "provide", "r-20261123-001429-abc123"), cli.ExitRefused, "There is no run of that number")
	wrong := "wrong-" + rand.Text()
	for flag, text := range map[string]string{"--file": wrong + "\n", "--from-store": "A=1\nNEW=" + wrong + "\n"} {
		name := filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if flag == "--from-store" {
			name += "#NEW"
		}
		s.must(s.piped(wrong, "provide", run, flag, name), cli.ExitRefused, "The value does not work")
	}
	if status, _ := bank.Do(http.MethodPut, "secret/data/app/mail", map[string]any{"data": map[string]any{"PASSWORD": wrong}}); status != http.StatusOK {
		t.Fatalf("preparing Vault: %d", status)
	}
	s.must(s.piped(wrong, "provide", run, "--from-store", "bank:app/mail#PASSWORD"), cli.ExitRefused, "The value does not work")
	s.must(s.piped(wrong, "provide", run, "--from-store", "bank:app/mail#OTHER"), cli.ExitRefused, "OTHER")

	fresh := s.made()
	term := cli.NewTerminal(t)
	p := s.on(term, "provide", run)
	term.WaitsFor("New value of EMAIL_HOST_PASSWORD in production (it is not shown): ")
	term.Types(fresh.Reveal()[:5] + "\x03") // Ctrl-C
	p.exits(cli.ExitStopped)
	if !term.Echoes() {
		t.Error("after Ctrl-C the terminal shows nothing any more")
	}

	term = cli.NewTerminal(t)
	p = s.on(term, "provide", run)
	term.WaitsFor("(it is not shown): ")
	term.Types(fresh.Reveal() + "\r")
	p.exits(cli.ExitOK)
	term.WaitsFor("30 characters read.")
	if !term.Echoes() || strings.Contains(term.Shows(), fresh.Reveal()[:5]) {
		t.Error("the terminal shows the value, or nothing any more")
	}
}

// on runs a rekey on a terminal of its own.
func (s *mailStage) on(term *cli.Terminal, args ...string) *process {
	s.t.Helper()
	p := &process{Cmd: exec.Command("rekey", args...), t: s.t, gone: make(chan struct{})} // TestMain put it on the path
	p.Env, p.Stdin, p.Stdout, p.Stderr = s.Environ(), term.TTY, term.TTY, term.TTY
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	letGo, err := tied.Start(p.Cmd)
	if err != nil {
		s.t.Fatalf("starting rekey: %v", err)
	}
	go func() {
		defer close(p.gone)
		defer letGo()
		_ = p.Wait() // exits says how
	}()
	s.t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.gone
		if s.t.Failed() {
			s.t.Logf("the terminal shows:\n%s", term.Shows())
		}
	})
	return p
}
