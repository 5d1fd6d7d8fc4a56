package checklist

import (
	"context"
	"slices"
	"strings"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

// streak is how many rounds in a row must agree. Which worker runs on what was settled
// before the checklist; this line is about the whole way through.
const streak = 3

// health asks until 200 or the time is up.
func (c *Checklist) health(ctx context.Context, k secret.Check) finding {
	res := verify.Health(ctx, "it", k.URL, c.deps.Transport, verify.Options{Within: k.Within, Pause: k.Every})
	return result(res)
}

// request makes a signed call with the live value, and one with a made-up value that
// must be refused: a service that takes anything proves nothing.
func (c *Checklist) request(ctx context.Context, in Input, k secret.Check) finding {
	switch {
	case k.Request == nil || len(k.Request.URLs) == 0:
		return settled("the catalogue names no request")
	case !fits(in.Secret, secret.HMACOverlap, secret.DjangoKey):
		return settled("%s signs no requests; make it a check of a secret that does", in.Secret.Name)
	case in.Live.IsZero():
		return unknown("there is no value to sign with")
	}
	var probers []verify.Prober
	for _, url := range k.Request.URLs {
		probers = append(probers, verify.NewSignedRequest(*k.Request, url, c.deps.Transport))
	}
	return result(verify.Agree(ctx, probers, []verify.Expectation{
		{Label: "live", Value: in.Live, Want: verify.Accepted},
		{Label: "wrong", Value: verify.Wrong(), Want: verify.Refused},
	}, verify.Options{Consumer: "it", Streak: streak, Within: k.Within, Pause: k.Every}))
}

// result is a finding of package verify, which tries again by itself.
func result(res verify.Result) finding {
	return finding{
		outcome: res.Outcome, settled: true,
		detail: strings.TrimSuffix(strings.TrimPrefix(res.Detail, "it: "), "."),
	}
}

// fits reports whether the secret's value is of a kind that a check may show to others.
// It keeps a catalogue with a check at the wrong secret from sending, say, SECRET_KEY to
// a mail server as a password. The owner's own commands may rotate anything.
func fits(s secret.Secret, procedures ...secret.Procedure) bool {
	return s.Procedure == secret.OwnCommands || slices.Contains(procedures, s.Procedure)
}
