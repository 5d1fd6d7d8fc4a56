package smtp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Check logs in with the old password, and with a made-up one: where that works too,
// no login proves anything. In a compromised run the old password may be dead already
// (some providers know one per user, and a new one ends the old), and a server that
// cannot be asked now holds nobody up: the new password is proven before anything is
// written.
func (i *Issuer) Check(ctx context.Context, o issue.Order) (string, error) {
	cfg, err := settings(o)
	if err != nil {
		return "", err
	}
	err = i.settle(ctx, cfg, o.Old)
	if gone := stopped(ctx, err); gone != nil {
		return "", gone
	}
	who := server(cfg)
	switch {
	case err == nil:
	case errors.Is(err, errRefused) && (o.Compromised || !o.New.IsZero()):
		return fmt.Sprintf("The old password is dead already: %s refuses it. No mail is sent until the new one is in place.", who), nil
	case errors.Is(err, errRefused):
		return "", &issue.Fault{Err: err, Sentence: fmt.Sprintf("%s refuses the password in use (%v): put one that works in place, or rotate it as compromised.", upper(who), err)}
	case o.Compromised && !isLasting(err):
		return fmt.Sprintf("%s could not be asked about the old password: %v. The new one is proven before anything is written.", upper(who), err), nil
	default:
		return "", &issue.Fault{Err: err, Sentence: fmt.Sprintf("%s cannot be used: %v.", upper(who), err)}
	}
	if Login(ctx, cfg, secret.NewValue(rand.Text())).Answer == verify.Accepted {
		return "", issue.Faultf("%s accepts anything: it took a made-up password, so no login there proves anything.", upper(who))
	}
	return fmt.Sprintf("%s takes the password in use and refuses a made-up one.", upper(who)), nil
}

// settle proves v, again and again while that could still help.
func (i *Issuer) settle(ctx context.Context, cfg secret.SMTPIssuer, v secret.Value) error {
	for deadline := time.Now().Add(i.cfg.Within); ; {
		err := prove(ctx, cfg, v)
		if err == nil || errors.Is(err, errRefused) || isLasting(err) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(i.cfg.Pause):
		}
	}
}

// upper begins a sentence.
func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }
