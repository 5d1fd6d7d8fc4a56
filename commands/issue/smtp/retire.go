package smtp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/commands/issue"
)

// again is after how long a server that could not be asked is asked again.
const again = 30 * time.Second

// Retire waits until a person has deleted the old password. That the server refuses it
// counts only while it takes the new one: a server that refuses both says nothing about
// either.
func (i *Issuer) Retire(ctx context.Context, o issue.Order) (string, error) {
	cfg, err := settings(o)
	if err != nil {
		return "", err
	}
	err = login(ctx, cfg, o.Old)
	if gone := stopped(ctx, err); gone != nil {
		return "", gone
	}
	switch {
	case err == nil:
		return "", &issue.Wait{Sentence: fmt.Sprintf("The old password of %s still works: delete it in the provider's dashboard.", cfg.Username), Again: recheck}
	case !errors.Is(err, errRefused):
		return "", &issue.Wait{Sentence: fmt.Sprintf("%s could not be asked whether the old password still works: %v.", upper(server(cfg)), err), Again: again}
	}
	err = login(ctx, cfg, o.New)
	if gone := stopped(ctx, err); gone != nil {
		return "", gone
	}
	switch {
	case errors.Is(err, errRefused):
		return "", &issue.Fault{Err: err, Sentence: fmt.Sprintf("%s refuses the old password and the new one: no mail can be sent. Was the wrong one deleted?", upper(server(cfg)))}
	case err != nil:
		return "", &issue.Wait{Sentence: fmt.Sprintf("%s refuses the old password, but could not be asked about the new one: %v.", upper(server(cfg)), err), Again: again}
	}
	note := "The provider refuses the old password and takes the new one."
	if o.Compromised {
		note += " What somebody opened with the old one before may last until the provider ends it: end its sessions in the dashboard where that is offered."
	}
	return note, nil
}

// Revive looks whether the old password still works. A deleted one cannot be brought
// back.
func (i *Issuer) Revive(ctx context.Context, o issue.Order) (string, error) {
	cfg, err := settings(o)
	if err != nil {
		return "", err
	}
	err = login(ctx, cfg, o.Old)
	if gone := stopped(ctx, err); gone != nil {
		return "", gone
	}
	switch {
	case err == nil:
		return "The old password works.", nil
	case errors.Is(err, errRefused):
		return "", &issue.Fault{Err: err, Sentence: "It is too late: the old password is deleted at the provider and cannot be brought back."}
	}
	return "", &issue.Wait{Sentence: fmt.Sprintf("%s could not be asked whether the old password still works: %v.", upper(server(cfg)), err), Again: again}
}

// Rollback says what is left to a person: only the provider can delete the new
// password. It is a Fault where the services were put back on a password that is dead.
func (i *Issuer) Rollback(ctx context.Context, o issue.Order) (string, error) {
	cfg, err := settings(o)
	if err != nil {
		return "", err
	}
	if o.New.IsZero() {
		return "No new password was brought. Where one was made in the provider's dashboard, delete it there.", nil
	}
	fresh := login(ctx, cfg, o.New)
	if gone := stopped(ctx, fresh); gone != nil {
		return "", gone
	}
	if errors.Is(fresh, errRefused) {
		return "The provider refuses the new password: nothing is left of it.", nil
	}
	old := login(ctx, cfg, o.Old)
	if gone := stopped(ctx, old); gone != nil {
		return "", gone
	}
	if fresh == nil && errors.Is(old, errRefused) {
		return "", &issue.Fault{Err: old, Sentence: fmt.Sprintf("%s refuses the old password and takes the new one: keep the new one, no mail can be sent with the old.", upper(server(cfg)))}
	}
	return "Delete the new password in the provider's dashboard: only the provider can make it invalid.", nil
}
