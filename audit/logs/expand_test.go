package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rekey/audit"
)

// tree writes files, each with one refusal of its own.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "logs")
	for n, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, path, packed(t, name, refusals(n, 1)))
	}
	return dir
}

func TestOpenAll(t *testing.T) {
	t.Parallel()
	dir := tree(t, "access.log", "access.log.1", "access.log.2.gz", "admin.log", "worker-2026-11-21.log", "worker-2026-11-22.log",
		"notes.txt", ".hidden.log", "deep/er/app.log", "deep/app.log", "deep/app.log.1.gz")
	if err := os.Symlink(filepath.Join(dir, "admin.log"), filepath.Join(dir, "current.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "deep", "circle")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := tree(t, "linked.log")
	if err := os.Symlink(filepath.Join(outside, "linked.log"), filepath.Join(dir, "linked.log")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path, want string
		records    int
	}{
		{"", "logs/access.log logs/admin.log logs/linked.log logs/notes.txt logs/worker.log", 8},
		{"*.log", "logs/access.log logs/admin.log logs/linked.log logs/worker.log", 7},
		{"access*", "logs/access.log", 3},
		{"access.log.*", "logs/access.log", 3},
		{"{admin,worker}*.log", "logs/admin.log logs/worker.log", 3},
		{"*/*.log", "logs/deep/app.log", 2},
		{"**/*.log", "logs/access.log logs/admin.log logs/deep/app.log logs/deep/er/app.log logs/linked.log logs/worker.log", 10},
		{"access.log", "access.log", 3},
	} {
		sets, gaps, err := OpenAll(t.Context(), SetConfig{Path: filepath.Join(dir, test.path), Format: Access})
		if err != nil || len(gaps) > 0 {
			t.Errorf("%s: %v, gaps %+v", test.path, err, gaps)
		}
		var names []string
		records := 0
		for _, s := range sets {
			names = append(names, s.Name())
			got, stats := hear(t, s, Query{})
			if records += len(got); len(stats.Gaps) > 0 {
				t.Errorf("%s: gaps %+v", s.Name(), stats.Gaps)
			}
			_ = s.Close()
		}
		slices.Sort(names)
		if diff := gocmp.Diff(strings.Fields(test.want), names); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.path, diff)
		}
		if records != test.records {
			t.Errorf("%q: %d records, want %d", test.path, records, test.records)
		}
	}
}

func TestOpenAllSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := tree(t, "a.log")
	put(t, filepath.Join(dir, "b.log"), nil)
	if err := os.Mkdir(filepath.Join(dir, "none"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{"none": ErrNothing, "*.json": ErrNothing, "none/*/x.log": ErrNothing, "gone/*.log": fs.ErrNotExist} {
		if _, _, err := OpenAll(t.Context(), SetConfig{Path: filepath.Join(dir, path), Format: Access}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	sets, gaps, err := OpenAll(t.Context(), SetConfig{Path: filepath.Join(dir, "*.log"), Format: Access})
	if err != nil || len(sets) != 1 || len(gaps) != 1 || gaps[0].Name != "logs/b.log" || gaps[0].Left != audit.Unseen {
		t.Errorf("%d sets, gaps %+v, %v", len(sets), gaps, err)
	}
	for _, s := range sets {
		_ = s.Close()
	}
	if os.Getuid() == 0 {
		return // may read anything
	}
	if err := os.Chmod(filepath.Join(dir, "none"), 0); err != nil {
		t.Fatal(err)
	}
	if _, gaps, _ = OpenAll(t.Context(), SetConfig{Path: filepath.Join(dir, "**/*.log"), Format: Access}); len(gaps) != 2 || !strings.Contains(gaps[0].Why, "may not list") {
		t.Errorf("gaps %+v", gaps)
	}
}

// Of very many logs none is lost, and of too many files those written to last are read.
func TestVeryManyLogs(t *testing.T) {
	t.Parallel()
	var names []string
	for n := range 60 {
		names = append(names, fmt.Sprintf("site%c%c.log", 'a'+n/26, 'a'+n%26))
	}
	dir := tree(t, names...)
	sets, gaps, err := OpenAll(t.Context(), SetConfig{Path: dir, Format: Access})
	if err != nil || len(gaps) > 0 || len(sets) != maxSets {
		t.Fatalf("%d sets, gaps %+v, %v", len(sets), gaps, err)
	}
	places := map[string]bool{}
	for _, s := range sets {
		got, _ := hear(t, s, Query{})
		for _, h := range got {
			places[h.Place] = true
		}
		_ = s.Close()
	}
	for _, name := range names {
		if !places["logs/"+name+":1"] {
			t.Errorf("%s was not read", name)
		}
	}

	w := &walk{seen: map[[2]uint64]bool{}}
	for n := range 3*maxFiles + 1 {
		w.add(matched{path: fmt.Sprint(n), info: fake{at: midnight.Add(time.Duration(n))}})
	}
	w.cut()
	if len(w.files) != maxFiles || w.left != 2*maxFiles+1 || w.files[0].path != fmt.Sprint(3*maxFiles) {
		t.Errorf("%d files from %s on, %d left out", len(w.files), w.files[0].path, w.left)
	}
}
