package dotenv_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

var (
	oldValue = secret.NewValue("old-value-0123456789")
	newValue = secret.NewValue("new-value-0123456789")
)

func open(context.Context) error { return nil }

// envFile makes a private folder with one env file in it.
func envFile(t *testing.T) store.Ref {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ref := store.Ref{Location: filepath.Join(dir, ".env"), Variable: "X", Previous: "X_OLD"}
	put(t, ref.Location, "# settings\nA=1\nX=old-value-0123456789\n")
	return ref
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, ref store.Ref) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(ref.Location))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func publish(from string) store.Change {
	return store.Change{From: from, Want: store.State{Current: newValue, Previous: oldValue}, Run: "r1", FenceNumber: 1, Fence: open}
}

// Guide: practices/environment-variables
func TestUnsafePlacesAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, ref *store.Ref)
		says  string
	}{
		"group readable":   {func(t *testing.T, r *store.Ref) { chmod(t, r.Location, 0o640) }, "chmod 600 "},
		"world readable":   {func(t *testing.T, r *store.Ref) { chmod(t, r.Location, 0o604) }, "chmod 600 "},
		"world writable":   {func(t *testing.T, r *store.Ref) { chmod(t, r.Location, 0o602) }, "chmod 600 "},
		"open folder":      {func(t *testing.T, r *store.Ref) { chmod(t, filepath.Dir(r.Location), 0o777) }, "chmod go-w "},
		"folder, by group": {func(t *testing.T, r *store.Ref) { chmod(t, filepath.Dir(r.Location), 0o770) }, "chmod go-w "},
		"a folder": {func(t *testing.T, r *store.Ref) {
			r.Location = filepath.Join(filepath.Dir(r.Location), "sub")
			if err := os.Mkdir(r.Location, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"symlink leading out": {func(t *testing.T, r *store.Ref) {
			elsewhere := envFile(t)
			if err := errors.Join(os.Remove(r.Location), os.Symlink(elsewhere.Location, r.Location)); err != nil {
				t.Fatal(err)
			}
		}, "symlink that leaves its folder"},
		"relative path": {func(_ *testing.T, r *store.Ref) { r.Location = ".env" }, "absolute path"},
		"huge":          {func(t *testing.T, r *store.Ref) { put(t, r.Location, strings.Repeat("#", 2<<20)) }, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, s := envFile(t), dotenv.New()
			c.spoil(t, &ref)
			_, readErr := s.Read(t.Context(), ref)
			_, writeErr := s.Write(t.Context(), ref, publish(""))
			for _, err := range []error{readErr, writeErr} {
				if !errors.Is(err, store.ErrUnsafe) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Dir(ref.Location)) {
					t.Errorf("got %v, want %v that names the file and says %q", err, store.ErrUnsafe, c.says)
				}
			}
		})
	}
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func TestWritesThroughASymlinkWithinTheFolder(t *testing.T) {
	t.Parallel()
	ref, s := envFile(t), dotenv.New()
	link := ref
	link.Location += ".link"
	if err := os.Symlink(".env", link.Location); err != nil {
		t.Fatal(err)
	}
	chmod(t, ref.Location, 0o400)
	st, err := s.Read(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), link, publish(st.Revision)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link.Location)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Fatalf("the symlink is gone: %v, %v", info, err)
	}
	if info, err = os.Lstat(ref.Location); err != nil || info.Mode() != 0o400 {
		t.Errorf("mode of the target is %v (%v), want 0400 as before", info.Mode(), err)
	}
	if st, err = s.Read(t.Context(), ref); err != nil || !st.Current.Equal(newValue) || !st.Previous.Equal(oldValue) {
		t.Errorf("the target was not rewritten: %v", err)
	}
}

func TestASymlinkedFolderIsTheFolder(t *testing.T) {
	t.Parallel()
	ref, s := envFile(t), dotenv.New()
	current := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(filepath.Dir(ref.Location), current); err != nil {
		t.Fatal(err)
	}
	ref.Location = filepath.Join(current, ".env")
	if _, err := s.Read(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

// TestOwnerIsKept needs root to give a file away; anybody else checks the refusal.
func TestOwnerIsKept(t *testing.T) {
	t.Parallel()
	ref, s := envFile(t), dotenv.New()
	if os.Geteuid() != 0 {
		ref.Location = "/etc/shadow"
		if _, err := s.Read(t.Context(), ref); err == nil {
			t.Error("a file of root was read")
		}
		return
	}
	if err := os.Chown(ref.Location, 4711, 4712); err != nil {
		t.Fatal(err)
	}
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), ref, publish(st.Revision)); err != nil {
		t.Fatal(err)
	}
	if uid, gid := ownerOf(t, ref.Location); uid != 4711 || gid != 4712 {
		t.Errorf("the file belongs to %d:%d now", uid, gid)
	}
	if err := os.Chown(filepath.Dir(ref.Location), 4713, 4713); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), ref); !errors.Is(err, store.ErrUnsafe) {
		t.Errorf("a stranger's folder was accepted: %v", err)
	}
}

func TestMissingFileAndVariable(t *testing.T) {
	t.Parallel()
	ref, s := envFile(t), dotenv.New()
	for _, r := range []store.Ref{
		{Location: ref.Location + ".missing", Variable: "X"},
		{Location: filepath.Join(ref.Location+".d", ".env"), Variable: "X"},
		{Location: ref.Location, Variable: "Y"},
	} {
		if _, err := s.Read(t.Context(), r); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v: got %v, want %v", r, err, store.ErrNotFound)
		}
		if _, err := s.Write(t.Context(), r, store.Change{Want: store.State{Current: newValue}, Run: "r", Fence: open}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v: got %v, want %v", r, err, store.ErrNotFound)
		}
	}
}

// TestAnEditDuringTheFenceIsAConflict saves the file while the write waits for its
// fence, once in place and once by renaming.
func TestAnEditDuringTheFenceIsAConflict(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(t *testing.T, file string){
		"in place": func(t *testing.T, file string) { put(t, file, "X=somebody-else-saved-this\n") },
		"by rename": func(t *testing.T, file string) {
			put(t, file+".swp", "X=somebody-else-saved-this\n")
			if err := os.Rename(file+".swp", file); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, s := envFile(t), dotenv.New()
			st, err := s.Read(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			c := publish(st.Revision)
			c.Fence = func(context.Context) error { edit(t, ref.Location); return nil }
			changed, err := s.Write(t.Context(), ref, c)
			if changed || !errors.Is(err, store.ErrConflict) {
				t.Fatalf("got %v, %v, want %v", changed, err, store.ErrConflict)
			}
			if text, _ := os.ReadFile(ref.Location); string(text) != "X=somebody-else-saved-this\n" {
				t.Error("the other's edit was lost")
			}
			if got := names(t, ref); len(got) != 1 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}
