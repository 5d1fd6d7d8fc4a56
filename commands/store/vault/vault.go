// Package vault keeps secrets in a KV version 2 engine of HashiCorp Vault or OpenBao.
// It exists because such an engine is written by people, pipelines and other tools at
// the same time as by rekey, and a plain write replaces whatever another one just put
// there, all other keys of the secret included.
//
// store.Ref.Location is the path below the mount ("leather-api/production", without
// "data/"), Variable the key inside the secret, Previous the key of the previous
// value. A write changes these keys alone: every other key goes back as the very JSON
// the server answered, custom metadata is not touched, and options.cas names the version
// that was read, so that a change made meanwhile ends as store.ErrConflict. The
// same makes secrets work whose metadata says cas_required. (The engine itself hands
// numbers out as 64-bit floats, so one beyond 2^53 is already rounded for everybody who
// reads it; a write keeps what readers see.)
//
// # Fencing
//
// Check-and-set alone does not stop a process that was paused between its fence and its
// write: where nobody wrote meanwhile, the version is still the one it read. So a write
// first leaves a mark, a small entry named after the run and the fence number. A
// successor's Sweep lists the marks of earlier owners, and where there is one it writes
// the present data once more as a new version. The sleeper's write then names a version
// that is over. If its mark came after the listing, then so did its Fence, which
// refuses it. The bump changes no value; it only takes a version number.
//
// The same is true for a request that is still under way when its answer is given up
// (a proxy that times out, a connection that breaks): a write that does not know
// what became of it looks, and bumps the version before it says that nothing happened.
//
// # What rekey keeps beside
//
// Everything lies under ".rekey/" in the same mount, so that one rule of a policy covers
// it and no consumer's listing shows it:
//
//	.rekey/<location>/escrow/<key>       the values of a rotation under way
//	.rekey/<location>/prepared/<key>/…   marks; they hold no value
//
// The escrow is one slot per secret, written with check-and-set. Discard destroys every
// version of it, which removes the values for good, and keeps the empty entry: its
// version counts on, which is what stops a sleeper from leaving an escrow behind when its
// run is long over.
//
// The token needs:
//
//	path "secret/data/leather-api/*"     { capabilities = ["read", "update"] }
//	path "secret/data/.rekey/*"          { capabilities = ["create", "read", "update"] }
//	path "secret/metadata/.rekey/*"      { capabilities = ["read", "list", "delete"] }
//	path "secret/destroy/.rekey/*"       { capabilities = ["update"] }
//
// and for Forget also:
//
//	path "secret/metadata/leather-api/*" { capabilities = ["read"] }
//	path "secret/destroy/leather-api/*"  { capabilities = ["update"] }
//
// # Old versions
//
// The engine keeps old versions (10 unless configured), and a value that was rotated
// away stays readable in them. Forget destroys the versions that hold it.
//
// Address must lead to the active node. A performance standby answers reads from a
// copy that may lag, and a Sweep that does not see a mark cannot act on it.
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/api"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Config says where the engine is. Besides proxies nothing is taken from the
// environment: VAULT_ADDR
// and its kind are of the person who started rekey, not of the catalogue.
type Config struct {
	// Address is the server's, "https://vault.example.com:8200". http is taken for a
	// loopback address only.
	Address string
	// Namespace is sent as X-Vault-Namespace; "" for the root namespace.
	Namespace string
	// Mount is the path of the KV version 2 engine; "" means "secret".
	Mount string
	// Token answers the token for one request. It is asked each time, so that a renewed
	// token counts at once.
	Token func() (secret.Value, error)
	// CAFile holds PEM certificates to trust besides the system's; "" for none. It is not
	// read where HTTPClient is set.
	CAFile string
	// HTTPClient sends the requests; nil for one with 30 s per request.
	HTTPClient *http.Client
}

// Store reads and changes secrets of one KV version 2 engine. It is safe for
// concurrent use, also by several processes.
type Store struct {
	client *api.Client
	above  *api.Client // the same for the root namespace
	token  func() (secret.Value, error)

	address, namespace, mount string
}

var _ store.Store = (*Store)(nil)

// New answers a Store. It sends nothing.
func New(c Config) (*Store, error) {
	if err := checkAddress(c.Address); err != nil {
		return nil, err
	}
	if c.Token == nil {
		return nil, errors.New("vault needs a token")
	}
	mount := strings.Trim(c.Mount, "/")
	if mount == "" {
		mount = "secret"
	}
	if !isPath(mount) {
		return nil, fmt.Errorf("%q cannot be the path of a mount", c.Mount)
	}
	s := &Store{token: c.Token, address: c.Address, namespace: strings.Trim(c.Namespace, "/"), mount: mount}
	hc, err := newHTTPClient(c)
	if err != nil {
		return nil, err
	}
	if s.client, err = newClient(c, hc, s.namespace); err != nil {
		return nil, err
	}
	if s.above, err = newClient(c, hc, ""); err != nil {
		return nil, err
	}
	return s, nil
}

// Read answers what ref's keys hold. store.ErrNotFound when the secret or the key does
// not exist or its current version was deleted, store.ErrAmbiguous when a key holds
// something other than a text.
func (s *Store) Read(ctx context.Context, ref store.Ref) (store.State, error) {
	if err := checkRef(ctx, ref); err != nil {
		return store.State{}, err
	}
	e, err := s.get(ctx, ref.Location)
	if err != nil {
		return store.State{}, err
	}
	return s.state(e, ref)
}

// state answers what ref's keys hold in e.
func (s *Store) state(e entry, ref store.Ref) (store.State, error) {
	if !e.live() {
		return store.State{}, missing(e)
	}
	current, found, err := e.text(ref.Variable)
	if err != nil {
		return store.State{}, err
	}
	if !found {
		return store.State{}, fmt.Errorf("%s: the key %q is %w in it", s.place(ref.Location), ref.Variable, store.ErrNotFound)
	}
	st := store.State{Current: current, Revision: e.revision()}
	if ref.Previous != "" {
		if st.Previous, _, err = e.text(ref.Previous); err != nil {
			return store.State{}, err
		}
	}
	return st, nil
}

// place names a secret for people.
func (s *Store) place(location string) string { return s.mount + "/" + location }

func checkRef(ctx context.Context, ref store.Ref) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !isPath(ref.Location):
		return fmt.Errorf("%q cannot be the path of a secret: it begins and ends without a slash, below the mount", ref.Location)
	case ref.Location == folder || strings.HasPrefix(ref.Location, folder+"/"):
		return fmt.Errorf("%s is where rekey keeps what it works with, not a secret", ref.Location)
	case ref.Variable == "":
		return fmt.Errorf("%s holds several keys: say which one in the secret's variable", ref.Location)
	case ref.Variable == ref.Previous:
		return fmt.Errorf("%s: the key of the previous value must be another one than %q", ref.Location, ref.Variable)
	}
	return nil
}

// isPath reports that p is a path whose meaning no cleaning on the way can change.
func isPath(p string) bool {
	if p == "" || len(p) > 400 || strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.TrimSpace(part) != part {
			return false
		}
	}
	return true
}

// checkRun keeps a run's name a part of a mark's name.
func checkRun(run string, fence int64) error {
	if run == "" || len(run) > 100 || fence < 0 || strings.Trim(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("%q with fence %d cannot name a run: use letters, digits, _ and -", run, fence)
	}
	return nil
}
