package vault

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rekey/commands/store"
)

// folder is where everything of rekey's lies, below the mount.
const folder = ".rekey"

// kind says what a mark announces.
type kind string

const (
	markWrite   kind = "write"
	markDeposit kind = "deposit"
)

// mark says that a write or a deposit of this run may be about to happen. Its name is
// made once and never used again, so that removing one cannot hit another.
func (s *Store) mark(ctx context.Context, ref store.Ref, k kind, run string, fence int64) (path string, err error) {
	path = marks(ref) + "/" + strings.Join([]string{string(k), run, strconv.FormatInt(fence, 10), rand.Text()}, ".")
	_, a, err := s.set(ctx, path, 0, map[string]string{"made_by": "rekey", "run": run})
	if err != nil {
		if !certain(a, err) {
			s.unmark(ctx, path)
		}
		return "", fmt.Errorf("announcing a change of %s: %w", s.place(ref.Location), err)
	}
	return path, nil
}

// unmark removes a mark whose change is over. One that stays costs a later Sweep a
// version number, so failing to is no failure of the change.
func (s *Store) unmark(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	_, _ = s.act(ctx, remove, "metadata/"+path, nil)
}

// Sweep takes the ground from under what earlier owners of the run announced: where
// one announced a write, the secret's data is written once more as a new version, and
// where one announced a deposit, the empty slot of the escrow gets a new version. A
// request of theirs names the version before. See store.Store.
func (s *Store) Sweep(ctx context.Context, ref store.Ref, run string, fenceNumber int64) error {
	if err := errors.Join(checkRef(ctx, ref), checkRun(run, fenceNumber)); err != nil {
		return err
	}
	names, err := s.names(ctx, marks(ref))
	if err != nil {
		return err
	}
	var stale []string
	announced := map[kind]bool{}
	for _, name := range names {
		if k, owner, number, ok := readMark(name); ok && owner == run && number < fenceNumber {
			stale = append(stale, name)
			announced[k] = true
		}
	}
	if announced[markWrite] {
		if err := s.bump(ctx, ref.Location); err != nil {
			return fmt.Errorf("sweeping after an earlier owner of the run: %w", err)
		}
	}
	if announced[markDeposit] {
		if err := s.bumpSlot(ctx, slot(ref)); err != nil {
			return fmt.Errorf("sweeping after an earlier owner of the run: %w", err)
		}
	}
	for _, name := range stale {
		if _, err := s.act(ctx, remove, "metadata/"+marks(ref)+"/"+name, nil); err != nil {
			return err
		}
	}
	return nil
}

// bump writes the present data as a new version. That somebody else made a new version
// meanwhile serves as well. What was never written has no version to be named.
func (s *Store) bump(ctx context.Context, location string) error {
	now, err := s.get(ctx, location)
	if err != nil || now.version == 0 {
		return err
	}
	if !now.live() {
		return missing(now)
	}
	_, _, err = s.set(ctx, location, now.version, now.data)
	return err
}

// names lists a folder; what does not exist is empty.
func (s *Store) names(ctx context.Context, path string) ([]string, error) {
	a, err := s.act(ctx, list, "metadata/"+path, nil)
	if err != nil || len(a.data) == 0 {
		return nil, err
	}
	var listed struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(a.data, &listed) != nil {
		return nil, fmt.Errorf("%s: vault answered something else than a list", s.place(path))
	}
	return listed.Keys, nil
}

func readMark(name string) (k kind, run string, fence int64, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 4 {
		return "", "", 0, false
	}
	fence, err := strconv.ParseInt(parts[2], 10, 64)
	return kind(parts[0]), parts[1], fence, err == nil
}

// marks is the folder of the announcements about one key of one secret.
func marks(ref store.Ref) string {
	return folder + "/" + ref.Location + "/prepared/" + segment(ref.Variable)
}

// slot is where the escrow of one key of one secret lies.
func slot(ref store.Ref) string {
	return folder + "/" + ref.Location + "/escrow/" + segment(ref.Variable)
}

// segment makes any key one segment of a path: what is not a letter, a digit, _ or -
// becomes = and two hex digits.
func segment(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}
