package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// opening opens a set while it may be rotated. It lists and opens until a look finds
// nothing that is not open: whatever was renamed in between is known by its inode, so
// that it is neither lost nor read twice.
type opening struct {
	SetConfig
	sizes sizes
	spare *decoders
	parts []*part
	found []candidate // of the last look, newest first
	gaps  map[string]Gap
	blind bool // the folder cannot be listed
}

const (
	// looks is how often a set that keeps changing is looked at.
	looks = 10
	// rest is how long is waited before the third look, doubling from there: a program
	// that rotates renames within a millisecond, but may be slow to begin the new file.
	rest = time.Millisecond
)

// run looks until the set stands still; false when it never did.
func (o *opening) run(ctx context.Context) (still bool, err error) {
	for look := range looks {
		if look > 1 {
			select {
			case <-time.After(rest << min(look-2, 4)):
			case <-ctx.Done():
				return false, nil // what is open is read as far as time allows
			}
		}
		moved, err := o.look()
		if err != nil {
			return false, err
		}
		if !moved && (look >= looks/2 || o.plausible()) {
			return true, nil
		}
	}
	return false, nil
}

// look lists the set and opens what of it the window needs and is not open; it reports
// whether anything had changed since the look before.
func (o *opening) look() (moved bool, err error) {
	list, err := o.list()
	if err != nil {
		return false, err
	}
	o.found, o.gaps = list, map[string]Gap{}
	for _, p := range o.parts {
		p.listed = false
	}
	early := o.Query.Window.Since.Add(-o.margin())
	before := false // the window begins after what follows has ended
	for _, c := range list {
		p := o.opened(c.info)
		if p != nil && p.changed() {
			o.drop(p)
			p, moved = nil, true
		}
		if p == nil && o.over(c, before) {
			continue
		}
		if p == nil {
			p, err = o.open(c)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				moved = true
				continue
			case errors.Is(err, fs.ErrPermission) && c.live() && len(list) == 1:
				return false, err
			case err != nil:
				o.gaps[c.name] = Gap{Name: o.label(c.name), Why: c.why(err), Left: partial}
				continue
			}
			moved = true
			if known := o.opened(p.info); known != nil {
				p.close() // it was renamed since it was listed
				p = known
			} else {
				o.parts = append(o.parts, p)
			}
		}
		p.member, p.name, p.path, p.label, p.listed = c.member, c.name, c.path, o.label(c.name), true
		if p.archive != nil {
			p.archive.name = p.label
		}
		if !p.begins.IsZero() && !p.begins.After(early) {
			before = true
		}
	}
	return moved, nil
}

// over reports whether a candidate ends before the window begins. before says that the part
// after it begins before the window does. A program that was not told of the rotation may
// write to it all the same: then it was written to since.
func (o *opening) over(c candidate, before bool) bool {
	since := o.Query.Window.Since
	if o.TrustTimes {
		return c.info.ModTime().Before(since)
	}
	return before && c.info.ModTime().Before(since.Add(-o.margin()))
}

// plausible reports whether a set looks as between two rotations: with a file to write
// to, and without a hole in its numbers.
func (o *opening) plausible() bool { return !o.headless() && o.hole() == nil }

// headless reports whether a set has parts and no file that is written to, where its
// names say that there is one.
func (o *opening) headless() bool {
	return len(o.found) > 0 && !slices.ContainsFunc(o.found, func(c candidate) bool { return c.live() || c.inside })
}

// hole finds two parts that the window needs and that do not follow each other.
func (o *opening) hole() []candidate {
	next := -1
	for i, c := range o.found {
		if c.date != "" || c.number < 0 {
			continue
		}
		if next >= 0 && c.number > next {
			newer := o.found[max(0, i-1)]
			if p := o.opened(newer.info); p != nil && p.begins.After(o.Query.Window.Since) {
				return []candidate{newer, c}
			}
		}
		next = c.number + 1
	}
	return nil
}

// opened is the part that info belongs to, if it is open.
func (o *opening) opened(info os.FileInfo) *part {
	for _, p := range o.parts {
		if os.SameFile(p.info, info) {
			return p
		}
	}
	return nil
}

func (o *opening) drop(p *part) {
	p.close()
	o.parts = slices.DeleteFunc(o.parts, func(other *part) bool { return other == p })
}

func (o *opening) margin() time.Duration { return margin(o.Query.zone()) }

// label is what people call a part: as the log, in whose place it stands.
func (o *opening) label(part string) string {
	if dir := filepath.Dir(o.Name); dir != "." {
		return filepath.Join(dir, part)
	}
	return part
}

func (o *opening) close() {
	for _, p := range o.parts {
		p.close()
	}
	o.spare.close()
}

// missing are the gaps that the names and sizes of the parts show.
func (o *opening) missing(still bool) []Gap {
	var gaps []Gap
	for _, c := range o.found {
		if g, ok := o.gaps[c.name]; ok {
			gaps = append(gaps, g)
		}
	}
	if o.blind {
		gaps = append(gaps, Gap{Why: "rekey may not list its folder, so what was rotated away was not looked for; let its user list it.", Left: partial})
	}
	switch two := o.hole(); {
	case !still:
		gaps = append(gaps, Gap{Why: "It kept being rotated while it was opened; ask again.", Left: partial})
	case o.headless():
		gaps = append(gaps, Gap{Why: "The file itself does not exist, only what was rotated away of it; check that the service still writes to it.", Left: partial})
	case two != nil:
		gaps = append(gaps, Gap{Why: fmt.Sprintf("Between %s and %s a part is missing; find out who removed it.", two[0].name, two[1].name), Left: partial})
	}
	return gaps
}
