package sentrykey

import (
	"errors"
	"net/url"

	sentrygo "github.com/getsentry/sentry-go"

	"rekey/commands/secret"
)

// errNoDSN says nothing of the value: the library's own text quotes it.
var errNoDSN = errors.New("not a Sentry DSN")

// parse reads a DSN as Sentry's own SDK does.
func parse(v secret.Value) (*sentrygo.Dsn, error) {
	dsn, err := sentrygo.NewDsn(v.Reveal())
	if err != nil {
		return nil, errNoDSN
	}
	return dsn, nil
}

// shape answers the DSN of a new key in the shape of the old one. Where old leads to
// another place than Sentry names for its key, the application reports through a Relay
// or a tunnel of its own, and goes on doing so. Where old is a legacy DSN with a
// secret, an SDK may insist on one.
func shape(old secret.Value, oldKey *key, made key) (v secret.Value, rerouted bool, err error) {
	text := made.DSN.Public
	was, oldErr := parse(old)
	if oldErr == nil && was.GetSecretKey() != "" && made.DSN.Secret != "" {
		text = made.DSN.Secret
	}
	is, err := url.Parse(text)
	if err != nil || is.Host == "" || is.User.Username() != made.Public {
		return secret.Value{}, false, errNoDSN
	}
	if oldErr == nil && oldKey != nil {
		named, err := parse(secret.NewValue(oldKey.DSN.Public))
		if err == nil && place(named) != place(was) {
			route, err := url.Parse(old.Reveal())
			if err != nil {
				return secret.Value{}, false, errNoDSN
			}
			route.User = is.User
			return secret.NewValue(route.String()), true, nil
		}
	}
	return secret.NewValue(text), false, nil
}

// place is where a DSN leads, without the key.
func place(d *sentrygo.Dsn) string { return d.GetAPIURL().String() }
