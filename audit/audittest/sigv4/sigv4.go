// Package sigv4 checks for the stand-ins of AWS services that a request is signed as AWS
// wants it (Signature Version 4). It exists so that all of them refuse the same requests.
//
// Rules: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html.
package sigv4

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// authorization is the header of AWS's Signature Version 4.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Za-z0-9]{16,128})/(\d{8})/([a-z0-9-]+)/([a-z]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

// skew is how far apart the clocks may be.
const skew = 5 * time.Minute

// Refusal is why a request is refused: AWS's code, and words.
type Refusal struct{ Code, Says string }

func (r *Refusal) Error() string { return r.Code + ": " + r.Says }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Says: fmt.Sprintf(format, args...)}
}

// Check checks that a call of the AWS JSON protocol carries a signature of the right scope
// over the headers that matter; nil means that it does. The signature itself is not
// computed: there are no keys here.
func Check(r *http.Request, region, service string) *Refusal {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return refuse("MissingAuthenticationTokenException", "Authorization is not Signature Version 4")
	}
	date, scope, name, headers := m[2], m[3], m[4], strings.Split(m[5], ";")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), date) || time.Since(at).Abs() > skew {
		return refuse("InvalidSignatureException", "X-Amz-Date is missing, off, or not of the credential's day")
	}
	if scope != region || name != service {
		return refuse("InvalidSignatureException", "credential should be scoped to %s/%s", region, service)
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-target", "content-type"} {
		if !slices.Contains(headers, must) {
			return refuse("InvalidSignatureException", "%s must be signed", must)
		}
	}
	if !slices.IsSorted(headers) {
		return refuse("InvalidSignatureException", "SignedHeaders must be sorted")
	}
	return nil
}
