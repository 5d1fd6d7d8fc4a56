package verify_test

import (
	std "cmp"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

// signedBy is the header a service gets for each pair of a value and a body.
func signedBy(t *testing.T, scheme secret.Scheme, pairs [][2]string) []string {
	t.Helper()
	var got []string
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("X-Rekey-Proof")) })
	for _, pair := range pairs {
		r := secret.SignedRequest{Method: http.MethodPost, Body: pair[1], Header: "X-Rekey-Proof", Scheme: scheme}
		if try := verify.NewSignedRequest(r, url, nil).Try(t.Context(), secret.NewValue(pair[0])); try.Answer != verify.Accepted {
			t.Fatalf("the request did not get through: %s", try.Why)
		}
	}
	return got
}

var djangoPairs = [][2]string{
	{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", `{"slugs":["test"]}`},
	{"made-up-é$(x)#", "rekey ✓"},
	{"k", ""},
}

// Made by Django 3.2.25: Signer(key=value, salt="rekey.proof").signature(body).
var djangoVectors = []string{
	"QW5eIClLdLyWkBdootjrUfHf9P2wBK1GGFBqhGNTVHM",
	"a_a996_5hIsHPDvCvTxtXLzR0DJSGMJsF-l_TrGBuX8",
	"2pXdJtTXESBR-4MVlodyHkz1g7jF6wj_IOJsQl4ptf0",
}

func TestDjangoSchemeIsDjangosSigner(t *testing.T) {
	t.Parallel()
	got := signedBy(t, secret.DjangoSigning, djangoPairs)
	if diff := cmp.Diff(djangoVectors, got); diff != "" {
		t.Errorf("not what Django 3.2 answered (-want +got):\n%s", diff)
	}

	// The distribution's own Python has the distribution's Django, whatever stands first
	// in PATH.
	python := std.Or(os.Getenv("REKEY_PYTHON"), "/usr/bin/python3")
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	const ask = `
import json, sys
from django.conf import settings
settings.configure()
from django.core.signing import Signer
pairs = json.load(sys.stdin)
json.dump([Signer(key=value, salt="rekey.proof").signature(body) for value, body in pairs], sys.stdout)
`
	pairs := append([][2]string{{strings.Repeat("long", 40), strings.Repeat("body\n", 999)}}, djangoPairs...)
	given, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", "-c", ask)
	cmd.Stdin = strings.NewReader(string(given))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Django could not be asked (%v); on Debian: apt-get install python3-django", err)
	}
	var want []string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, signedBy(t, secret.DjangoSigning, pairs)); diff != "" {
		t.Errorf("not what this machine's Django answers (-want +got):\n%s", diff)
	}
}

func TestSchemeThatIsNotNamedIsTheGuides(t *testing.T) {
	t.Parallel()
	named, unnamed := signedBy(t, secret.HMACHex, djangoPairs), signedBy(t, "", djangoPairs)
	if diff := cmp.Diff(named, unnamed); diff != "" || named[2] != hexMAC("k", "") {
		t.Errorf("no scheme is not the guide's (-want +got):\n%s", diff)
	}
}

func TestUnknownSchemeAsksNothing(t *testing.T) {
	t.Parallel()
	asked := false
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	r := webhook
	r.Scheme = "rot13"
	if got := verify.NewSignedRequest(r, url, nil).Try(t.Context(), newV); got.Answer != verify.Unknown || got.Why == "" || asked {
		t.Errorf("got %+v, asked: %v", got, asked)
	}
}
