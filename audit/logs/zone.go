package logs

import (
	"bytes"
	"context"
	"time"
)

// Where the last line of a file was written no later than the file was, the difference
// between the two is the zone of its clock, to the quarter of an hour that zones are apart.
// Lines without a time may have been written after it; then the times in the file come out
// later than they were. Earlier come out only those before a clock was put forward, by that hour.
const (
	quarter  = 15 * time.Minute
	eastmost = 14 * time.Hour
	westmost = -12 * time.Hour
)

// zoneBy is the zone of a clock that showed what at says in UTC when the file was last
// written to.
func zoneBy(at, written time.Time) *time.Location {
	switch east := min(max(at.Sub(written).Round(quarter), westmost), eastmost); east {
	case 0:
		return time.UTC
	default:
		return time.FixedZone("", int(east.Seconds()))
	}
}

// zoneless reads the times that name no zone, as if they were in UTC, and no others: those
// that a clock elsewhere would have meant otherwise.
type zoneless struct{ here, elsewhere *dialect }

func newZoneless(format Format, q Query, written time.Time) *zoneless {
	q.Zone = time.UTC
	z := &zoneless{here: newDialect(format, q, written)}
	q.Zone = time.FixedZone("", int(time.Hour.Seconds()))
	z.elsewhere = newDialect(format, q, written)
	return z
}

func (z *zoneless) stamp(line []byte) (time.Time, bool) {
	at, ok := z.here.stamp(line)
	if !ok {
		return time.Time{}, false
	}
	other, ok := z.elsewhere.stamp(line)
	return at, ok && !other.Equal(at)
}

// inZone is q in the zone that the file tells, where q names none.
func (l *File) inZone(q Query) (Query, error) {
	if q.Zone != nil {
		return q, nil
	}
	z := newZoneless(l.format, q, l.written)
	for reach := int64(4 << 10); ; reach *= 4 {
		begin := max(0, l.Size()-reach)
		buf := make([]byte, l.Size()-begin)
		n, err := readAt(l.f, buf, begin)
		if err != nil {
			return q, err
		}
		if at, ok := z.last(buf[:n], begin > 0, l.sizes.line); ok {
			q.Zone = zoneBy(at, l.written)
			return q, nil
		}
		if begin == 0 || reach >= probeLimit {
			return q, nil
		}
	}
}

// last is the last time in text that names no zone. cut says that its first line is not
// whole.
func (z *zoneless) last(text []byte, cut bool, limit int) (time.Time, bool) {
	for end := len(text); end > 0; {
		start := bytes.LastIndexByte(text[:end-1], '\n') + 1
		if start == 0 && cut {
			break
		}
		if at, ok := z.stamp(lineAt(text[:end], start, limit)); ok {
			return at, true
		}
		end = start
	}
	return time.Time{}, false
}

// inZone is as that of a file, for which an archive has to be unpacked once. One that
// breaks off tells by its last line that can be read.
func (a *archive) inZone(ctx context.Context, q Query) (Query, error) {
	if q.Zone != nil {
		return q, nil
	}
	z := newZoneless(a.format, q, a.written)
	var last time.Time
	err := a.unpacked(func(r *lineReader) error {
		return r.each(ctx, func(line []byte) error {
			if at, ok := z.stamp(line); ok {
				last = at
			}
			return nil
		})
	})
	if err != nil && ctx.Err() != nil {
		return q, err
	}
	if !last.IsZero() {
		q.Zone = zoneBy(last, a.written)
	}
	return q, nil
}
