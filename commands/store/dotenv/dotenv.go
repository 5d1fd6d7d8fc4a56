// Package dotenv keeps secrets where most services read them: in a .env file beside
// the program. It exists because rewriting such a file by hand or with sed is how
// outages begin: a half-written file, lost comments, a copy that the whole machine
// can read, or two people saving over one another.
//
// A rewrite replaces the file in one rename, so that a reader sees the old file or
// the new one and never a part. Everything but the value keeps its bytes: comments,
// order, quoting style, "export", line endings, a missing last newline. A variable
// that is assigned more than once means its last assignment, as it does to every
// loader; a write changes all its assignments, so that no old value stays behind.
//
// The values it reads and writes are those which python-dotenv, django-environ and
// Next.js (@next/env) read alike; see Portable. Anything else is
// store.ErrAmbiguous, because two services would then sign with different values.
// One difference cannot be told from the file: django-environ takes an inline
// comment for part of the value unless it is given parse_comments=True. The value
// answered is the one without the comment; a check against the running service,
// which a rotation begins with, shows when that is wrong.
//
// # Fencing
//
// A process that was paused for a minute may wake up believing that it still owns a
// run. So a write prepares its copy under a name that carries the run and the fence
// number, asks its Fence, and renames. A successor sweeps such copies away first:
// the sleeper's rename then finds nothing to rename, and a sleeper that has not
// prepared yet is stopped by its Fence.
//
// The same trick keeps two rotations apart that share one file. Each writer
// prepares its copy, then removes the copies of all others, then makes sure that
// the file is still the one it read, then renames. If two writers got through from
// the same file, the later one must have looked before the earlier one's rename,
// hence removed others before that; so the earlier one prepared after that and went
// on to remove the later one's copy: a contradiction. One of them ends with
// store.ErrConflict and may begin again with Read. A lock (flock on the folder)
// makes this rare; it is waited for only briefly, because a paused process may hold
// it.
package dotenv

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Store reads and changes .env files. It is safe for concurrent use, also by
// several processes. The zero Store is not usable; call New.
type Store struct {
	// key makes revisions: a plain hash of a file of secrets would let whoever sees
	// it test guesses. A function, so that printing a Store does not print it.
	key func() []byte
}

var _ store.Store = (*Store)(nil)

// New answers a Store. Its revisions mean nothing to another Store.
func New() *Store {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	return &Store{key: func() []byte { return key }}
}

// Read answers what ref's variables hold. ErrNotFound when the file or the variable
// does not exist, ErrUnsafe when others could read or replace the file, ErrAmbiguous
// when loaders would disagree about a value.
func (s *Store) Read(ctx context.Context, ref store.Ref) (store.State, error) {
	if err := checkRef(ctx, ref); err != nil {
		return store.State{}, err
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return store.State{}, err
	}
	defer p.Close()
	now, err := s.look(p, ref)
	return now.state, err
}

// sight is a file as it was at one moment.
type sight struct {
	info  fs.FileInfo
	text  []byte
	doc   document
	state store.State
}

func (s *Store) look(p *place, ref store.Ref) (sight, error) {
	info, text, err := p.read(p.base)
	if err != nil {
		return sight{}, err
	}
	v := sight{info: info, text: text, doc: parse(text, ref.Variable, ref.Previous)}
	if err := v.doc.hidden(); err != nil {
		return sight{}, fmt.Errorf("%s: %w", p.path(), err)
	}
	current, found, err := v.doc.value(ref.Variable)
	if err != nil {
		return sight{}, fmt.Errorf("%s: %w", p.path(), err)
	}
	if !found {
		return sight{}, fmt.Errorf("%s: %s is %w in it", p.path(), ref.Variable, store.ErrNotFound)
	}
	previous := secret.Value{}
	if ref.Previous != "" {
		if previous, _, err = v.doc.value(ref.Previous); err != nil {
			return sight{}, fmt.Errorf("%s: %w", p.path(), err)
		}
	}
	v.state = store.State{Current: current, Previous: previous, Revision: s.revision(p, info, text)}
	return v, nil
}

// revision covers the bytes, the mode and the owner; not the times, so that touching
// a file or saving it unchanged is no conflict.
func (s *Store) revision(p *place, info fs.FileInfo, text []byte) string {
	h := hmac.New(sha256.New, s.key())
	uid, gid := owner(info)
	for _, n := range []uint64{uint64(info.Mode()), uint64(uid), uint64(gid), uint64(len(p.path()))} {
		h.Write(binary.BigEndian.AppendUint64(nil, n))
	}
	h.Write([]byte(p.path()))
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}

func checkRef(ctx context.Context, ref store.Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, name := range []string{ref.Variable, ref.Previous} {
		if name != "" && !isName(name) {
			return fmt.Errorf("%q cannot name a variable: use letters, digits and _", name)
		}
	}
	if ref.Variable == "" || ref.Variable == ref.Previous {
		return fmt.Errorf("%s: a variable for the current value, and another one for the previous, are required", ref.Location)
	}
	return nil
}
