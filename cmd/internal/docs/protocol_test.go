package docs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	vectorValue = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	vectorBody  = `{"slugs":["test"]}`
	vectorNonce = "rekey-nonce-0001"
)

func TestVectorsAreRight(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/protocol.md")
	if !strings.Contains(text, "`"+vectorValue+"`") {
		t.Errorf("docs/protocol.md has no vector for the value of this test")
	}
	for name, message := range map[string]string{
		"`" + vectorBody + "`":        vectorBody,
		"nonce `" + vectorNonce + "`": "rekey-proof-v1\n" + vectorNonce,
	} {
		row := regexp.MustCompile(regexp.QuoteMeta(name) + ` \| ` + "`([0-9a-f]{64})`").FindStringSubmatch(text)
		if row == nil {
			t.Errorf("docs/protocol.md has no vector for %s", name)
			continue
		}
		if want := hexHMAC(vectorValue, message); row[1] != want {
			t.Errorf("the vector for %s is %s, want %s", name, row[1], want)
		}
	}
}

// The first Python block needs no framework, so it is run as it stands.
//
// Guide: dual-secret/verify-both, dual-secret/no-empty-value
func TestPythonDoesAsSpecified(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing; on Debian: apt-get install python3")
	}
	block := regexp.MustCompile("(?s)```python\n(# rekey_proof\\.py.*?)```").FindStringSubmatch(read(t, "docs/protocol.md"))
	if block == nil {
		t.Fatal("docs/protocol.md has no block that begins with # rekey_proof.py")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rekey_proof.py"), []byte(block[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	const previous = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
	signatures := map[string]string{
		"current":       hexHMAC(vectorValue, vectorBody),
		"previous":      hexHMAC(previous, vectorBody),
		"empty key":     hexHMAC("", vectorBody),
		"another body":  hexHMAC(vectorValue, vectorBody+" "),
		"upper case":    strings.ToUpper(hexHMAC(vectorValue, vectorBody)),
		"cut short":     hexHMAC(vectorValue, vectorBody)[:63],
		"none":          "",
		"outside ASCII": strings.Repeat("é", 64),
		"a proof":       hexHMAC(vectorValue, "rekey-proof-v1\n"+vectorNonce),
	}
	given, err := json.Marshal(map[string]any{
		"value": vectorValue, "secrets": []string{vectorValue, previous, ""},
		"body": vectorBody, "nonce": vectorNonce, "signatures": signatures,
		"nonces": []string{vectorNonce, "", "short", vectorNonce + "\n", strings.Repeat("n", 129), "rekey nonce 0001", vectorNonce + "é"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const ask = `
import json, sys
import rekey_proof as p
q = json.load(sys.stdin)
json.dump({
    "proof": p.proof(q["value"], q["nonce"]),
    "signed": {k: p.signed(q["body"].encode(), s, q["secrets"]) for k, s in q["signatures"].items()},
    "nonces": [bool(p.NONCE.fullmatch(n)) for n in q["nonces"]],
    "worker": p.worker() == p.worker() and len(p.worker()) > 2,
}, sys.stdout)
`
	cmd := exec.CommandContext(t.Context(), python, "-B", "-c", ask)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(string(given))
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the block: %v\n%s", err, errors.String())
	}
	type answers struct {
		Proof  string          `json:"proof"`
		Signed map[string]bool `json:"signed"`
		Nonces []bool          `json:"nonces"`
		Worker bool            `json:"worker"`
	}
	want := answers{
		Proof:  hexHMAC(vectorValue, "rekey-proof-v1\n"+vectorNonce),
		Signed: map[string]bool{},
		Nonces: []bool{true, false, false, false, false, false, false},
		Worker: true,
	}
	for name := range signatures {
		want.Signed[name] = name == "current" || name == "previous"
	}
	var got answers
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("reading the block's answers %q: %v", out, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the code in docs/protocol.md does not do as specified (-want +got):\n%s", diff)
	}
}

func hexHMAC(key, message string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}
