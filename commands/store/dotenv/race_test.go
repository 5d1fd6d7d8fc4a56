package dotenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// TestWritersNeedNoLock holds the proof in the package documentation to the test:
// four writers of one file, none of which takes the lock, lose nothing.
func TestWritersNeedNoLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	if err := errors.Join(os.Chmod(dir, 0o700), os.WriteFile(file, []byte("A=0\nB=0\nC=0\nD=0\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, name := range []string{"A", "B", "C", "D"} {
		wg.Go(func() {
			s, ref := New(), store.Ref{Location: file, Variable: name}
			for n := 1; n <= 60; n++ {
				want := secret.NewValue(fmt.Sprint(n))
				// However rarely one of four unlocked writers gets through.
				for deadline := time.Now().Add(60 * time.Second); ; {
					done, err := unlocked(t.Context(), s, ref, want, fmt.Sprintf("r%d", i), int64(n))
					if err != nil && !errors.Is(err, store.ErrConflict) {
						t.Errorf("writer %s: %v", name, err)
						return
					}
					if done {
						break
					}
					if time.Now().After(deadline) {
						t.Errorf("writer %s did not get through within 60 s", name)
						return
					}
				}
				if st, err := s.Read(t.Context(), ref); err == nil && !st.Current.Equal(want) {
					t.Errorf("writer %s lost its write number %d", name, n)
					return
				} else if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Errorf("writer %s: %v", name, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestAStaleLookIsAConflict: another writer came and went between our look and our
// copy.
func TestAStaleLookIsAConflict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	if err := errors.Join(os.Chmod(dir, 0o700), os.WriteFile(file, []byte("A=0\nB=0\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, ref := New(), store.Ref{Location: file, Variable: "A"}
	p, err := openPlace(file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	now, err := s.look(p, ref)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := unlocked(t.Context(), s, store.Ref{Location: file, Variable: "B"}, secret.NewValue("1"), "r2", 1); !done || err != nil {
		t.Fatal(done, err)
	}
	c := store.Change{Run: "r1", FenceNumber: 1, Fence: func(context.Context) error { return nil }}
	if _, err := s.replace(t.Context(), p, ref, c, now, []byte("A=1\nB=0\n")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want %v", err, store.ErrConflict)
	}
	if text, _ := os.ReadFile(file); string(text) != "A=0\nB=1\n" {
		t.Error("the other's write was lost")
	}
}

// TestOneNameIsOneWriter: a copy of the same run and number in the way is never
// taken over, because somebody may be writing it right now.
func TestOneNameIsOneWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, mine := filepath.Join(dir, ".env"), filepath.Join(dir, copyName(".env", "r1", 7))
	if err := errors.Join(os.Chmod(dir, 0o700), os.WriteFile(file, []byte("A=0\n"), 0o600), os.WriteFile(mine, []byte("A="), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, ref, want := New(), store.Ref{Location: file, Variable: "A"}, secret.NewValue("1")
	if done, err := unlocked(t.Context(), s, ref, want, "r1", 7); done || !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, %v, want %v", done, err, store.ErrConflict)
	}
	if done, err := unlocked(t.Context(), s, ref, want, "r1", 7); !done || err != nil {
		t.Errorf("the second attempt: %v, %v", done, err)
	}
}

// unlocked is Write without its lock.
func unlocked(ctx context.Context, s *Store, ref store.Ref, want secret.Value, run string, fence int64) (bool, error) {
	p, err := openPlace(ref.Location)
	if err != nil {
		return false, err
	}
	defer p.Close()
	now, err := s.look(p, ref)
	if err != nil {
		return false, err
	}
	c := store.Change{From: now.state.Revision, Want: store.State{Current: want}, Run: run, FenceNumber: fence, Fence: func(context.Context) error { return nil }}
	next, err := s.draft(now, ref, c)
	if err != nil {
		return false, err
	}
	return s.replace(ctx, p, ref, c, now, next)
}
