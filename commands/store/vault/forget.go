package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Forget destroys the old versions of the secret that hold old, under whatever key:
// after a rotation of a leaked value it is still readable in them, and one command
// brings it back. It cannot be undone, and it takes the other keys of those versions
// along; the current version and versions without the value stay.
//
// ErrConflict when the current version holds old. A version that somebody deleted
// without destroying cannot be looked into: Forget leaves it, does the rest, and answers
// an error that names it.
func (s *Store) Forget(ctx context.Context, ref store.Ref, old secret.Value) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	if old.IsZero() {
		return errors.New("there is no old value to forget")
	}
	known, err := s.versions(ctx, ref.Location)
	if err != nil {
		return err
	}
	if known.current == 0 {
		return missing(entry{place: s.place(ref.Location)})
	}
	var guilty, hidden []int
	for _, v := range known.kept {
		if v.destroyed {
			continue
		}
		e, err := s.getVersion(ctx, ref.Location, v.number)
		switch {
		case err != nil:
			return err
		case e.version == 0: // pruned meanwhile
		case !e.live() && !e.destroyed:
			hidden = append(hidden, v.number)
		case e.live() && e.mentions(old):
			guilty = append(guilty, v.number)
		}
	}
	if slices.Contains(guilty, known.current) {
		return fmt.Errorf("%s: the old value is still in its current version %d: %w", s.place(ref.Location), known.current, store.ErrConflict)
	}
	if err := s.destroy(ctx, ref.Location, guilty); err != nil {
		return err
	}
	if len(hidden) > 0 {
		return fmt.Errorf("%s: deleted versions cannot be looked into and may hold the old value: \"vault kv destroy -mount=%s -versions=%s %s\" removes them for good",
			s.place(ref.Location), s.mount, numbers(hidden), ref.Location)
	}
	return nil
}

// mentions reports that one of the texts in e, at any depth, is v.
func (e entry) mentions(v secret.Value) bool {
	for _, raw := range e.data {
		var thing any
		if json.Unmarshal(raw, &thing) == nil && holds(thing, v) {
			return true
		}
	}
	return false
}

func holds(thing any, v secret.Value) bool {
	switch thing := thing.(type) {
	case string:
		return v.Equal(secret.NewValue(thing))
	case []any:
		return slices.ContainsFunc(thing, func(t any) bool { return holds(t, v) })
	case map[string]any:
		for _, t := range thing {
			if holds(t, v) {
				return true
			}
		}
	}
	return false
}

// history is what the engine still knows of a secret's versions, oldest first.
type history struct {
	current int
	kept    []version
}

type version struct {
	number    int
	destroyed bool
}

// versions reads the history; that of a secret which was never written is empty.
func (s *Store) versions(ctx context.Context, location string) (history, error) {
	a, err := s.act(ctx, get, "metadata/"+location, nil)
	if err != nil || len(a.data) == 0 {
		return history{}, err
	}
	var meta struct {
		Current  int `json:"current_version"`
		Versions map[int]struct {
			Created   time.Time `json:"created_time"`
			Destroyed bool      `json:"destroyed"`
		} `json:"versions"`
	}
	if json.Unmarshal(a.data, &meta) != nil {
		return history{}, fmt.Errorf("%s: vault answered something else than a history", s.place(location))
	}
	h := history{current: meta.Current}
	for number, v := range meta.Versions {
		h.kept = append(h.kept, version{number: number, destroyed: v.Destroyed})
	}
	slices.SortFunc(h.kept, func(a, b version) int { return a.number - b.number })
	return h, nil
}

// destroy removes versions for good. Doing it again does nothing.
func (s *Store) destroy(ctx context.Context, location string, which []int) error {
	if len(which) == 0 {
		return nil
	}
	_, err := s.act(ctx, put, "destroy/"+location, map[string][]int{"versions": which})
	return err
}

func numbers(ns []int) string {
	texts := make([]string, len(ns))
	for i, n := range ns {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}
