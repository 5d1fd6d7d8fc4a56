package estatetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// scheme is a way to sign a body.
type scheme func(value string, body []byte) string

// mac is the guide's: a hex HMAC-SHA256.
func mac(value string, body []byte) string {
	m := hmac.New(sha256.New, []byte(value))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// django is Signer(salt="rekey.proof").signature(body) of Django's, written anew here so
// that one checks the other.
func django(value string, body []byte) string {
	key := sha256.Sum256([]byte("rekey.proof" + "signer" + value))
	m := hmac.New(sha256.New, key[:])
	m.Write(body)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
