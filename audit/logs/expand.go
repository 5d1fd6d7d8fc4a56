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

	"github.com/bmatcuk/doublestar/v4"

	"rekey/audit"
)

// maxFiles is how many files a folder or a pattern may name; of more, those written to
// last are read.
const maxFiles = 4096

// ErrNothing reports a folder without a file, or a pattern that fits none.
var ErrNothing = errors.New("no file is there")

// IsPattern reports whether path is a pattern of paths.
func IsPattern(path string) bool { return strings.ContainsAny(path, "*?[{") }

// matched is a file that a pattern names.
type matched struct {
	path string
	info fs.FileInfo // of what a link leads to
}

// expand finds the logs that a path of the catalogue names: the file itself; all files
// of a folder, but those below it and those whose names begin with a dot; or all that a
// pattern fits, in which ** stands for any number of folders. What was rotated away of a
// log is no log of its own. root is the folder that all of them lie in or below.
func expand(path string) (root string, logs []string, gaps []Gap, err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		path = filepath.Join(path, "*")
	case err == nil || !IsPattern(path):
		return "", []string{path}, nil, nil // its opening tells what is wrong with it
	}
	root, _ = doublestar.SplitPattern(filepath.ToSlash(path))
	w := &walk{pattern: filepath.Clean(path), deep: strings.Contains(path, "**"), seen: map[[2]uint64]bool{}}
	if _, err := os.Stat(root); err != nil {
		return root, nil, nil, err
	}
	w.folder(filepath.FromSlash(root))
	w.follow()
	if w.left > 0 {
		w.gaps = append(w.gaps, Gap{
			Left: audit.Partial,
			Why:  fmt.Sprintf("More than %d files fit; of these the %d written to longest ago were left out. Name fewer.", maxFiles, w.left),
		})
	}
	if len(w.files) == 0 && len(w.gaps) == 0 {
		return root, nil, nil, ErrNothing
	}
	return root, families(w.files), w.gaps, nil
}

// walk collects what fits a pattern.
type walk struct {
	pattern string
	deep    bool
	files   []matched
	links   []matched
	seen    map[[2]uint64]bool // by device and inode
	left    int
	gaps    []Gap
}

// folder looks through a folder and, where the pattern goes on, those below. Links to
// folders are not followed: they may lead in circles.
func (w *walk) folder(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.gaps = append(w.gaps, Gap{Name: dir, Left: audit.Partial, Why: cannotList(err)})
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(filepath.Base(w.pattern), ".") {
			continue
		}
		if e.IsDir() {
			if w.below(path) {
				w.folder(path)
			}
			continue
		}
		if fits, err := doublestar.PathMatch(w.pattern, path); err != nil || !fits {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // gone, a link that leads nowhere, a pipe
		}
		if m := (matched{path, info}); e.Type()&fs.ModeSymlink != 0 {
			w.links = append(w.links, m)
		} else {
			w.add(m)
		}
	}
}

// below reports whether anything in the folder at path may fit.
func (w *walk) below(path string) bool {
	if w.deep {
		return true
	}
	parts := strings.Split(w.pattern, string(filepath.Separator))
	depth := strings.Count(path, string(filepath.Separator)) + 1
	if depth >= len(parts) {
		return false
	}
	fits, err := doublestar.PathMatch(strings.Join(parts[:depth], string(filepath.Separator)), path)
	return err == nil && fits
}

// follow takes in the links to files, each once, after the files: what a link leads to
// may have been found by its own name.
func (w *walk) follow() {
	for _, m := range w.links {
		w.add(m)
	}
}

func (w *walk) add(m matched) {
	if stat, ok := m.info.Sys().(*syscall.Stat_t); ok {
		key := [2]uint64{uint64(stat.Dev), stat.Ino} //nolint:unconvert // Dev is narrower on other systems
		if w.seen[key] {
			return
		}
		w.seen[key] = true
	}
	if w.files = append(w.files, m); len(w.files) >= 2*maxFiles {
		w.cut()
	}
}

// cut keeps the files written to last.
func (w *walk) cut() {
	slices.SortFunc(w.files, func(a, b matched) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	if more := len(w.files) - maxFiles; more > 0 {
		w.left += more
		w.files = w.files[:maxFiles]
	}
}

// families are the logs that the files belong to, in the order of their paths.
func families(files []matched) []string {
	var logs []string
	known := map[string]bool{}
	for _, f := range files {
		dir, name := filepath.Split(f.path)
		m := family(name, func(other string) bool {
			_, err := os.Lstat(dir + other)
			return err == nil
		})
		if path := dir + m.base; !known[path] {
			known[path] = true
			logs = append(logs, path)
		}
	}
	slices.Sort(logs)
	return logs
}

func cannotList(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "rekey may not list this folder; let its user list it."
	case errors.Is(err, fs.ErrNotExist):
		return "The folder vanished while it was looked through; ask again."
	}
	return "The folder could not be listed; check the disk."
}
