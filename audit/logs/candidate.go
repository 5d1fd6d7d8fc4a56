package logs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// candidate is a file that belongs to a set by its name.
type candidate struct {
	member
	path, name string
	info       os.FileInfo
}

// list finds the files of the set, the newest first. The folder of a link's target is
// looked into as well: rotation puts the parts there.
func (o *opening) list() ([]candidate, error) {
	list, err := o.listBeside(o.Path)
	if err != nil {
		return nil, err
	}
	if target, err := filepath.EvalSymlinks(o.Path); err == nil && filepath.Dir(target) != filepath.Dir(filepath.Clean(o.Path)) {
		beside, err := o.listBeside(target)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, c := range beside {
			if !c.live() {
				list = append(list, c)
			}
		}
	}
	return newestFirst(unpackedOnly(list)), nil
}

func (o *opening) listBeside(path string) ([]candidate, error) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	names, err := namesIn(dir)
	if errors.Is(err, fs.ErrPermission) {
		// A folder may be closed to listing and its files open all the same.
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		o.blind = true
		names = []string{base}
	} else if err != nil {
		return nil, err
	}
	var list []candidate
	for _, name := range names {
		m, ok := belongs(name, base)
		if !ok {
			continue
		}
		c := candidate{member: m, path: filepath.Join(dir, name), name: name}
		c.info, err = os.Stat(c.path)
		switch {
		case err != nil && m.live() && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case err != nil:
			continue // renamed or removed since, or a link that leads nowhere
		case !c.info.Mode().IsRegular() && m.live():
			return nil, ErrIrregular
		case !c.info.Mode().IsRegular():
			continue
		}
		list = append(list, c)
	}
	return list, nil
}

// namesIn lists a folder.
func namesIn(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// unpackedOnly drops a packed part beside which the same part still lies unpacked: it is
// being packed, and not whole yet.
func unpackedOnly(list []candidate) []candidate {
	type key struct {
		date   string
		number int
	}
	plain := map[key]bool{}
	for _, c := range list {
		if !c.packed && !c.live() && c.info.Size() > 0 {
			plain[key{c.date, c.number}] = true
		}
	}
	return slices.DeleteFunc(list, func(c candidate) bool { return c.packed && plain[key{c.date, c.number}] })
}

// newestFirst sorts by what the names say. Where they do not agree on how to say it,
// the time of the last writing decides.
func newestFirst(list []candidate) []candidate {
	var dated, counted int
	for _, c := range list {
		switch {
		case c.date != "":
			dated++
		case c.number >= 0:
			counted++
		}
	}
	mixed := dated > 0 && counted > 0
	upwards := counted > 1 && dated == 0 && countsUp(list)
	slices.SortFunc(list, func(a, b candidate) int {
		if a.live() != b.live() {
			if a.live() {
				return -1
			}
			return 1
		}
		byTime := b.info.ModTime().Compare(a.info.ModTime())
		switch {
		case mixed:
			return cmp.Or(byTime, cmp.Compare(a.name, b.name))
		case dated > 0: // within a date, numbers count up
			return cmp.Or(cmp.Compare(b.date, a.date), cmp.Compare(b.number, a.number), byTime)
		case upwards:
			return cmp.Or(cmp.Compare(b.number, a.number), byTime)
		}
		return cmp.Or(cmp.Compare(a.number, b.number), byTime)
	})
	return list
}

// countsUp reports whether the highest number is the newest part, as log4j names them;
// with all others it is the oldest.
func countsUp(list []candidate) bool {
	var parts []candidate
	for _, c := range list {
		if c.number >= 0 {
			parts = append(parts, c)
		}
	}
	slices.SortFunc(parts, func(a, b candidate) int { return cmp.Compare(a.number, b.number) })
	last := time.Time{}
	for _, c := range parts {
		if !c.info.ModTime().After(last) {
			return false
		}
		last = c.info.ModTime()
	}
	return true
}
