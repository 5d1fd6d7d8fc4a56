package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

const (
	// alphabet needs no escaping in a URL, an env file, a shell or SQL.
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	// passwordLength gives 285 bits.
	passwordLength = 48
	// iterations and saltLength are PostgreSQL's own (scram-common.h).
	iterations = 4096
	saltLength = 16
)

// newPassword draws each character with the same probability: bytes past the last
// whole multiple of the alphabet are thrown away.
func newPassword(random io.Reader) (string, error) {
	const limit = 256 - 256%len(alphabet)
	out := make([]byte, 0, passwordLength)
	draw := make([]byte, passwordLength)
	for len(out) < passwordLength {
		if _, err := io.ReadFull(random, draw); err != nil {
			return "", fmt.Errorf("reading random bytes: %w", err)
		}
		for _, b := range draw {
			if int(b) < limit && len(out) < passwordLength {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out), nil
}

// verifier answers what PostgreSQL keeps of a password, so that the password itself
// is never part of a statement that a server may log: RFC 5803 in PostgreSQL's form,
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. password must be ASCII,
// for which SASLprep changes nothing.
func verifier(password string, random io.Reader) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	return verifierWith(password, salt, iterations)
}

func verifierWith(password string, salt []byte, rounds int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("deriving a key: %w", err)
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}
