package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"rekey/commands/secret"
)

// djangoSalt is what Django's Signer(salt="rekey.proof") puts before SECRET_KEY: the
// salt, and the word that Signer.signature adds to it.
const djangoSalt = "rekey.proof" + "signer"

// signed answers body's signature under v; not known for a scheme that rekey does not
// know.
func signed(scheme secret.Scheme, v secret.Value, body string) (signature string, known bool) {
	switch scheme {
	case secret.HMACHex, "":
		return hex.EncodeToString(mac([]byte(v.Reveal()), body)), true
	case secret.DjangoSigning:
		// django.utils.crypto.salted_hmac, with SHA-256: the key is a digest of salt and
		// SECRET_KEY. django.core.signing.b64_encode drops the padding. The same since
		// Django 3.1, where DEFAULT_HASHING_ALGORITHM is left alone.
		key := sha256.Sum256([]byte(djangoSalt + v.Reveal()))
		return base64.RawURLEncoding.EncodeToString(mac(key[:], body)), true
	}
	return "", false
}

// mac answers HMAC-SHA256(key, message).
func mac(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
