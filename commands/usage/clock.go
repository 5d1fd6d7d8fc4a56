package usage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"time"
)

// stampReach is how far into a line a time is looked for: past a level, a name and an
// opening brace, but not in what a visitor wrote.
const stampReach = 160

// Times as programs write them. Package audit/logs reads the logs it knows; a log of
// uses may be any the application keeps.
var (
	// 2026-11-22 19:35:18,123 · 2026-11-22T19:35:18.123Z · 2026-11-22 19:35:18.123 UTC
	isoStamp = regexp.MustCompile(`\b(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?`)
	// 22/Nov/2026:19:35:18 +0000 · 22/Nov/2026 19:35:18
	commonStamp = regexp.MustCompile(`\b(\d\d/[A-Z][a-z]{2}/\d{4})[: ](\d\d:\d\d:\d\d)(?: ([+-]\d{4})\b)?`)
	// Nov 22 19:35:18
	syslogStamp = regexp.MustCompile(`^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)\b`)
)

// clock reads the times in one file.
//
// Many programs write the time of their own zone and not which one that is. A file's
// last line was written no later than the file was, so the difference between the two
// is the zone; where something without a time was written after that line, times come
// out later than they were, which never hides a use.
type clock struct {
	written time.Time     // when the file was last written
	shift   time.Duration // what times without a zone lack
}

// stamp finds the time of a line.
func (c clock) stamp(line []byte) (time.Time, bool) {
	at, zoned, ok := c.parse(line)
	if ok && !zoned {
		at = at.Add(c.shift)
	}
	return at, ok
}

// parse finds the time that stands first in a line. zoned reports that it says its zone;
// else it is taken for UTC.
func (c clock) parse(line []byte) (at time.Time, zoned, ok bool) {
	head := line[:min(len(line), stampReach)]
	if m := syslogStamp.FindSubmatch(head); m != nil {
		return c.syslog(string(m[1]))
	}
	iso, common := isoStamp.FindSubmatchIndex(head), commonStamp.FindSubmatchIndex(head)
	group := func(m []int, n int) string {
		if m[2*n] < 0 {
			return ""
		}
		return string(head[m[2*n]:m[2*n+1]])
	}
	switch {
	case len(iso) > 0 && (len(common) == 0 || iso[0] < common[0]):
		text := group(iso, 1) + " " + group(iso, 2)
		if fraction := group(iso, 3); fraction != "" {
			text += "." + fraction
		}
		return inZone("2006-01-02 15:04:05", text, group(iso, 4))
	case len(common) > 0:
		return inZone("02/Jan/2006 15:04:05", group(common, 1)+" "+group(common, 2), group(common, 3))
	}
	return time.Time{}, false, false
}

// inZone reads text, which is in the zone named or in an unknown one ("").
func inZone(layout, text, zone string) (at time.Time, zoned, ok bool) {
	switch {
	case zone == "" || zone == "UTC" || zone == "GMT" || zone == "Z":
	case len(zone) == len("+01:00"):
		layout, text = layout+" -07:00", text+" "+zone
	default:
		layout, text = layout+" -0700", text+" "+zone
	}
	at, err := time.Parse(layout, text)
	return at.UTC(), zone != "", err == nil
}

// syslog reads a time without a year: that of the file, or the one before at the turn of
// the year.
func (c clock) syslog(text string) (at time.Time, zoned, ok bool) {
	at, err := time.Parse("2006 Jan _2 15:04:05", c.written.UTC().Format("2006 ")+text)
	if err != nil {
		return time.Time{}, false, false
	}
	if at.After(c.written.Add(24 * time.Hour)) {
		at = at.AddDate(-1, 0, 0)
	}
	return at, false, true
}

// clockOf learns a file's zone from its last lines.
func clockOf(f io.ReaderAt, size int64, written time.Time) (clock, error) {
	const reach = 1 << 20 // past any traceback
	for back := int64(4 << 10); ; back *= 4 {
		begin := max(0, size-back)
		buf := make([]byte, size-begin)
		n, err := f.ReadAt(buf, begin)
		if err != nil && !errors.Is(err, io.EOF) {
			return clock{}, err
		}
		if c, ok := learn(buf[:n], written); ok || begin == 0 || back >= reach {
			return c, nil
		}
	}
}

// learn looks for the last line of text with a time.
func learn(text []byte, written time.Time) (clock, bool) {
	c := clock{written: written}
	found := false
	for line := range bytes.Lines(text) {
		if at, zoned, ok := c.parse(line); ok {
			found, c.shift = true, 0
			if !zoned {
				c.shift = written.Sub(at)
			}
		}
	}
	return c, found
}

// clockOfAll is clockOf for what can only be read from its beginning.
func clockOfAll(ctx context.Context, r io.Reader, written time.Time) (clock, error) {
	c := clock{written: written}
	lines := bufio.NewReaderSize(r, maxLine)
	begins := true // of a line, and not in the middle of one that is too long
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return c, ctx.Err()
		}
		line, err := lines.ReadSlice('\n')
		if at, zoned, ok := c.parse(line); ok && begins {
			c.shift = 0
			if !zoned {
				c.shift = written.Sub(at)
			}
		}
		begins = err == nil
		switch {
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return c, errPacked
		}
	}
}
