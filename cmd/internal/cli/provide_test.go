package cli

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/store/dotenv"
	"rekey/commands/store/vault"
	"rekey/commands/store/vault/vaulttest"
)

func TestTidy(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"s3cret":          "s3cret",
		"s3cret\n":        "s3cret",
		"s3cret\r\n":      "s3cret",
		"two words\n":     "two words",
		"Schlüssel-鍵\n":   "Schlüssel-鍵",
		"":                "!no value was given",
		"\n":              "!no value was given",
		"s3cret\n\n":      "!more than one line",
		"s3cret\nother\n": "!more than one line",
		"s3cret\x1b[D":    "!control character",
		"s3\x00cret":      "!control character",
		"s3cr\u0085et":    "!control character",
		"s3cret\xff":      "!no text in UTF-8",
		" s3cret":         "!begins or ends with a space",
		"s3cret\u00a0\n":  "!begins or ends with a space",
	} {
		v, err := tidy(in)
		why, refused := strings.CutPrefix(want, "!")
		if !refused {
			if err != nil || !v.Equal(secret.NewValue(want)) {
				t.Errorf("%q: not taken as %q (%v)", in, want, err)
			}
			continue
		}
		var f *failure
		if !errors.As(err, &f) || f.code != ExitRefused || !strings.Contains(f.text, why) || strings.Contains(f.text, "s3c") {
			t.Errorf("%q: got %v, want a refusal with %q", in, err, why)
		}
	}
}

func TestAFileIsReadOnlyByItsOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		write("mine", "s3cret\n", 0o600):                               "",
		write("mine-alone", "s3cret\n", 0o400):                         "",
		write("groups", "s3cret\n", 0o640):                             "can be read by others",
		write("worlds", "s3cret\n", 0o604):                             "can be read by others",
		write("written", "s3cret\n", 0o602):                            "can be read by others",
		write("huge", strings.Repeat("s3cret", longestValue/4), 0o600): "more than 64 KiB",
		dir:                             "is no file",
		pipe:                            "is no file",
		filepath.Join(dir, "not-there"): "cannot be read",
	} {
		text, err := fromFile(path)
		var f *failure
		switch {
		case want == "" && (err != nil || text != "s3cret\n"):
			t.Errorf("%s: %v", filepath.Base(path), err)
		case want != "" && (!errors.As(err, &f) || f.code != ExitRefused || !strings.Contains(f.text, want) || strings.Contains(f.text, "s3c")):
			t.Errorf("%s: got %v, want a refusal with %q", filepath.Base(path), err, want)
		}
	}
}

func envFiles() map[string]store.Store { return map[string]store.Store{secret.Dotenv: dotenv.New()} }

func TestAStoreIsReadWhereItIsSafe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte("A=1\nEMAIL_HOST_PASSWORD=s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := fromStore(t.Context(), envFiles(), path+"#EMAIL_HOST_PASSWORD")
	if err != nil || !v.Equal(secret.NewValue("s3cret")) {
		t.Errorf("not read: %v", err)
	}
	for text, code := range map[string]int{
		path:                       ExitUsage,
		"#EMAIL_HOST_PASSWORD":     ExitUsage,
		path + "#":                 ExitUsage,
		path + "#NOT_THERE":        ExitRefused,
		path + ".not#A":            ExitRefused,
		filepath.Base(path) + "#A": ExitRefused,
	} {
		var f *failure
		if _, err := fromStore(t.Context(), envFiles(), text); !errors.As(err, &f) || f.code != code || strings.Contains(f.text, "s3c") {
			t.Errorf("%s: got %v, want exit code %d", text, err, code)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var f *failure
	if _, err := fromStore(t.Context(), envFiles(), path+"#A"); !errors.As(err, &f) || f.code != ExitRefused {
		t.Errorf("a file that everybody reads: %v", err)
	}
}

// A value that somebody has put into AWS or Vault is taken from there, and what goes
// wrong says nothing of it.
func TestAValueIsTakenFromAStoreOfTheCatalogue(t *testing.T) {
	t.Parallel()
	const value = "s3cret-of-the-provider"
	cloud := awstest.New(awstest.Config{})
	t.Cleanup(cloud.Close)
	arn := cloud.Create("production/mail", `{"PASSWORD": "`+value+`", "OTHER": "s3c-other"}`)
	cloud.Create("plain", value)
	keys := sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "AKIDEXAMPLE00000000", SecretAccessKey: "none", Source: "test"}, nil
	})
	amazon, err := aws.New(t.Context(), aws.Config{Name: "cloud", Region: cloud.Region(), Endpoint: cloud.URL, Credentials: keys, MaxBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	bank := vaulttest.New()
	t.Cleanup(bank.Close)
	const token = "hvs.reader-of-the-test"
	bank.Grant(token, "", vaulttest.Policy{"secret/data/app/mail": {"read"}})
	if status, _ := bank.Do(http.MethodPut, "secret/data/app/mail", map[string]any{"data": map[string]any{"PASSWORD": value}}); status != http.StatusOK {
		t.Fatalf("preparing Vault: %d", status)
	}
	hashi, err := vault.New(vault.Config{Address: bank.URL, Token: func() (secret.Value, error) { return secret.NewValue(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	stores := map[string]store.Store{secret.Dotenv: dotenv.New(), "cloud": amazon, "vault": hashi}
	odd := filepath.Join(t.TempDir(), "a:b.env")
	if err := os.WriteFile(odd, []byte("PASSWORD="+value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"cloud:production/mail#PASSWORD", "cloud:" + arn + "#PASSWORD", "cloud:plain", "vault:app/mail#PASSWORD", odd + "#PASSWORD", "dotenv:" + odd + "#PASSWORD",
	} {
		if v, err := fromStore(t.Context(), stores, text); err != nil || !v.Equal(secret.NewValue(value)) {
			t.Errorf("%s: not read: %v", text, err)
		}
	}
	for text, want := range map[string]struct {
		code int
		says string
	}{
		"cloud:production/mail#NOT_THERE": {ExitRefused, "NOT_THERE"},
		"cloud:production/none#PASSWORD":  {ExitRefused, "production/none"},
		"cloud:production/mail#":          {ExitUsage, "STORE:LOCATION#KEY"},
		"cloud:#PASSWORD":                 {ExitUsage, "STORE:LOCATION#KEY"},
		"vault:app/mail#NOT_THERE":        {ExitRefused, "NOT_THERE"},
		"vault:app/other#PASSWORD":        {ExitRefused, "not allowed"},
		"valut:app/mail#PASSWORD":         {ExitUsage, "there is no store of the name valut; the catalogue has cloud, dotenv, vault"},
		strings.Repeat("s3c", 30) + ":x":  {ExitUsage, "there is no store of that name"},
	} {
		var f *failure
		if _, err := fromStore(t.Context(), stores, text); !errors.As(err, &f) || f.code != want.code || !strings.Contains(f.text, want.says) || strings.Contains(f.text, "s3c") {
			t.Errorf("%s: got %+v, want exit code %d and %q", text, err, want.code, want.says)
		}
	}
	bank.Seal(true)
	var f *failure
	if _, err := fromStore(t.Context(), stores, "vault:app/mail#PASSWORD"); !errors.As(err, &f) || f.code != ExitRefused || !strings.Contains(f.text, "sealed") {
		t.Errorf("a sealed Vault: %v", err)
	}
}
