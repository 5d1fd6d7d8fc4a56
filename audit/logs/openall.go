package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"rekey/audit"
)

// maxSets is how many logs of one entry are read side by side. Each costs memory for as
// long as the reading goes on; what is beyond is read as one, the small ones of them.
const maxSets = 24

// OpenAll opens every log that cfg.Path names: a log, all logs of a folder, or all that
// fit a pattern ("/srv/app/logs/*.log", with ** for any number of folders). Of several
// each is a Set of its own, as if the catalogue listed it. What of them cannot be opened
// is a gap; an error means that none can be, and is as that of OpenSet, or ErrNothing.
func OpenAll(ctx context.Context, cfg SetConfig) ([]*Set, []Gap, error) {
	cfg.Name = cmp.Or(cfg.Name, filepath.Base(cfg.Path))
	root, paths, gaps, err := expand(cfg.Path)
	if err != nil {
		return nil, nil, err
	}
	for i := range gaps {
		gaps[i].Name = cmp.Or(gaps[i].Name, cfg.Name)
	}
	if root == "" {
		set, err := OpenSet(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		return []*Set{set}, nil, nil
	}
	var sets []*Set
	for _, path := range paths {
		one := cfg
		one.Path, one.Name = path, filepath.Base(path)
		if below, err := filepath.Rel(root, path); err == nil {
			one.Name = filepath.Join(filepath.Base(root), below)
		}
		set, err := OpenSet(ctx, one)
		if err != nil {
			gaps = append(gaps, Gap{Name: one.Name, Why: Why(err), Left: audit.Unseen})
			continue
		}
		sets = append(sets, set)
	}
	return few(sets), gaps, nil
}

// few joins the smallest sets where there are many.
func few(sets []*Set) []*Set {
	if len(sets) <= maxSets {
		return sets
	}
	slices.SortStableFunc(sets, func(a, b *Set) int { return cmp.Compare(b.start().Size, a.start().Size) })
	rest := &Set{name: "others of " + filepath.Dir(sets[0].name), query: sets[0].query}
	for _, s := range sets[maxSets-1:] {
		rest.parts = append(rest.parts, s.parts...)
		rest.gaps = append(rest.gaps, s.gaps...)
	}
	slices.SortStableFunc(rest.parts, func(a, b *part) int { return a.time().Compare(b.time()) })
	return append(sets[:maxSets-1], rest)
}

// Why says in a sentence why a log could not be opened, and what to do.
func Why(err error) string {
	var fault *PatternError
	switch {
	case errors.As(err, &fault):
		return fmt.Sprintf("The catalogue's pattern %s; %s.", fault.Fault, fault.Remedy)
	case errors.Is(err, ErrEmpty):
		return "The file is empty, which a service that logs nothing and a wiped log have in common; check that it is still written to."
	case errors.Is(err, ErrNothing):
		return "No file is there; check the path in the catalogue."
	case errors.Is(err, fs.ErrNotExist):
		return "The file does not exist; check the path in the catalogue."
	case errors.Is(err, fs.ErrPermission):
		return "rekey may not read the file; let its user read it."
	case errors.Is(err, ErrIrregular):
		return "It is a pipe or a device; the catalogue must name a regular file, a folder, or a pattern of paths."
	}
	return "The file could not be opened; check the disk, and that rekey may read it."
}
