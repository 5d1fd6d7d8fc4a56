package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// attempts is how often a log is read that is truncated under the reading.
const attempts = 3

// errMoved: a log was truncated each time it was read.
var errMoved = errors.New("it was truncated while it was read, several times; ask again")

// errTimeless: a line that is a use does not say when.
var errTimeless = errors.New("the lines that show a use carry no time that rekey can read; give its formatter one")

// read counts the uses since from into what empty holds besides users. They are read from
// the files that evidence is read from: the log or the logs that path names, and what was
// rotated away of them.
func read(ctx context.Context, path string, from time.Time, empty tally) (tally, error) {
	for range attempts {
		t := empty
		t.users = map[string]*user{}
		moved, err := readOnce(ctx, path, from, &t)
		if err != nil || !moved {
			return t, err
		}
	}
	return tally{}, errMoved
}

// readOnce reports whether a log moved under the reading: then some uses may not have been
// counted, or counted twice.
func readOnce(ctx context.Context, path string, from time.Time, t *tally) (moved bool, err error) {
	// A program that was not told of the rotation goes on writing to a part: whatever was
	// written to since is read, and nothing else.
	q := logs.Query{Window: audit.Window{Since: from}}
	sets, gaps, err := logs.OpenAll(ctx, logs.SetConfig{Path: path, Format: logs.Auto, Query: q, TrustTimes: true})
	if err != nil {
		return false, err
	}
	defer func() {
		for _, s := range sets {
			_ = s.Close() // it was only read
		}
	}()
	for _, s := range sets {
		t.log = s.Name()
		stats, err := s.Lines(ctx, q, t.take)
		if err != nil {
			return false, err
		}
		gaps = append(gaps, stats.Gaps...)
		moved = moved || stats.Truncated
	}
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case moved: // the next reading tells what is missing
		return true, nil
	}
	return false, missing(path, gaps)
}

// missing makes an error of what could not be read; nil for nothing.
func missing(path string, gaps []logs.Gap) error {
	var errs []error
	for _, g := range gaps {
		if g.Left != audit.Whole {
			errs = append(errs, fmt.Errorf("%s: %s", cmp.Or(g.Name, filepath.Base(path)), strings.TrimSuffix(g.Why, ".")))
		}
	}
	return join(errs)
}

// why says in plain words why a log could not be read.
func why(path string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist; check its path in the catalogue (%w)", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("rekey may not read %s (%w)", path, fs.ErrPermission)
	case errors.Is(err, logs.ErrIrregular):
		return fmt.Errorf("%s could not be read: %w", path, logs.ErrIrregular)
	case errors.Is(err, logs.ErrNothing):
		return fmt.Errorf("%s could not be read: %w; check its path in the catalogue", path, logs.ErrNothing)
	}
	return fmt.Errorf("%s could not be read: %w", path, err)
}
