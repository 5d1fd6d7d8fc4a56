// Package postgres rotates a PostgreSQL connection URL by giving each rotation a login
// role of its own. A role has one password, so changing that of the role in use cuts
// off every process that has not yet reloaded; a second role with the same rights
// leaves both usable until the last session of the old one is gone.
//
// What the old role may do is read from the catalogs and given to the new one in one
// transaction, which then compares the two and commits only when nothing is missing.
// Check rehearses that transaction and takes it back. The new password never reaches
// the server: it gets the SCRAM verifier computed here.
//
// The role in use must own nothing itself (a group role should), because what it owns
// would end with it. Dropping never uses DROP OWNED: each grant is revoked by name, so
// that an object the role came to own in the meantime stops the drop, not itself.
package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Config is what New needs; its zero value is right for production.
type Config struct {
	// Random is crypto/rand.Reader when nil.
	Random io.Reader
	// Dial connects to servers; nil for the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Issuer makes and removes login roles. It implements issue.Issuer, keeps no
// connection between two calls and is safe for concurrent use.
type Issuer struct {
	random io.Reader
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

var _ issue.Issuer = (*Issuer)(nil)

// New answers an Issuer. Which server it works on is each Order's: its
// Place.Issuer.Postgres.
func New(c Config) *Issuer {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return &Issuer{random: c.Random, dial: c.Dial}
}

// task is an Order read: whose rights go to whom.
type task struct {
	order    issue.Order
	url      address // the value in use
	old, new string  // role names
	mark     string  // the comment on the new role
	with     secret.PostgresIssuer
}

// read takes an Order apart. Its errors are Faults: no repetition mends them.
func read(o issue.Order) (task, error) {
	if o.Place.Issuer.Postgres == nil {
		return task{}, issue.Faultf("The catalogue does not say which PostgreSQL server %s belongs to.", o.Secret.Name)
	}
	url, err := parse(o.Old.Reveal())
	if err != nil {
		return task{}, issue.Faultf("The URL in use for %s %s.", o.Secret.Name, err)
	}
	return task{
		order: o, url: url, with: *o.Place.Issuer.Postgres,
		old: url.user, new: nameFor(url.user, o), mark: markFor(o),
	}, nil
}

// newPassword reads the password out of the order's new value and makes sure that
// it is one of this run's.
func (t task) newPassword() (string, error) {
	url, err := parse(t.order.New.Reveal())
	if err != nil {
		return "", issue.Faultf("The new URL for %s %s.", t.order.Secret.Name, err)
	}
	if url.user != t.new {
		return "", issue.Faultf("The new URL for %s is not for the role %s that this run makes.", t.order.Secret.Name, t.new)
	}
	return url.password, nil
}

// ask asks the fence right before an act that others see.
func ask(ctx context.Context, o issue.Order) error {
	if o.Still == nil {
		return nil
	}
	if err := o.Still(ctx); err != nil {
		return fmt.Errorf("the run is no longer ours: %w", err)
	}
	return nil
}
