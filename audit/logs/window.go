package logs

import (
	"bytes"
	"time"
)

// span is the part of a file a window lies in.
type span struct {
	from, to     int64
	begins, ends time.Time
	ordered      bool
}

// samples is how many places are compared to judge whether a file is in time order.
const samples = 32

// locate finds the part of the file in which records of the window can lie: by
// bisection where lines are in time order, else the whole file. It allows for
// neighbours that are out of order by up to slack.
func (l *File) locate(q Query) (span, error) {
	p := &prober{file: l, dialect: l.dialect(q)}
	s := span{to: l.Size()}
	first, err := p.timedFrom(0)
	if err != nil {
		return span{}, err
	}
	last, err := p.lastTimed()
	if err != nil {
		return span{}, err
	}
	s.begins, s.ends = first.at, last.at
	if !first.ok || !last.ok {
		return s, nil
	}
	if s.ordered, err = p.ordered(first.at); err != nil || !s.ordered || l.Size() < l.sizes.whole {
		return s, err
	}
	if s.from, err = p.lower(q.Window.Since.Add(-p.margin())); err != nil {
		return span{}, err
	}
	if !q.Window.Until.IsZero() {
		if s.to, err = p.upper(q.Window.Until.Add(p.margin())); err != nil {
			return span{}, err
		}
	}
	s.to = max(s.from, s.to)
	return s, nil
}

// prober asks for the time at places of a file.
type prober struct {
	file    *File
	dialect *dialect
	buf     []byte
}

// margin is how far a window is widened before it is looked for.
func (p *prober) margin() time.Duration { return margin(p.dialect.clock.zone) }

func margin(zone *time.Location) time.Duration {
	if zone != time.UTC {
		return slack + 2*time.Hour // clocks that are put back write an hour twice, and it may be read as either
	}
	return slack
}

// probeLimit is how far a line with a time is looked for: past any traceback.
const probeLimit = 1 << 20

// timedFrom finds the first line with a time that begins at or after offset. Not ok
// means that there is none within probeLimit.
func (p *prober) timedFrom(offset int64) (timed, error) {
	if p.buf == nil {
		p.buf = make([]byte, p.file.sizes.line)
	}
	skip := offset > 0
	from := max(0, offset-1)
	for read := 0; read < probeLimit; {
		size := len(p.buf)
		if read == 0 {
			size = min(size, 4<<10) // almost always enough
		}
		n, err := readAt(p.file.f, p.buf[:size], from)
		if err != nil || n == 0 {
			return timed{}, err
		}
		data, origin := p.buf[:n], from
		if skip {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				from, read = from+int64(n), read+n
				continue
			}
			data, origin, skip = data[i+1:], origin+int64(i)+1, false
		}
		at := 0
		for at < len(data) {
			i := bytes.IndexByte(data[at:], '\n')
			if i < 0 {
				break
			}
			if t, ok := p.dialect.stamp(trimLine(data[at:at+i], p.file.sizes.line)); ok {
				return p.inside(timed{offset: origin + int64(at), at: t, ok: true}), nil
			}
			at += i + 1
		}
		// The rest is a line that goes on behind what was read. It is tried as it
		// is, as a stamp stands near its beginning, then read again whole.
		if rest := data[at:]; origin+int64(len(data)) >= p.file.Size() || at == 0 && n == len(p.buf) {
			if t, ok := p.dialect.stamp(trimLine(rest, p.file.sizes.line)); ok && len(rest) > 0 {
				return p.inside(timed{offset: origin + int64(at), at: t, ok: true}), nil
			}
			if origin+int64(len(data)) >= p.file.Size() {
				return timed{}, nil
			}
			at, skip = len(data), true
		}
		from = origin + int64(at)
		if skip {
			from-- // so that a line beginning right there is seen
		}
		read += n
	}
	return timed{}, nil
}

// inside drops a line that was appended after the file was opened.
func (p *prober) inside(t timed) timed {
	if t.offset >= p.file.Size() {
		return timed{}
	}
	return t
}

// lastTimed finds a line with a time near the end of the file, the last one unless
// more than probeLimit follows it.
func (p *prober) lastTimed() (timed, error) {
	size := p.file.Size()
	for reach := int64(4 << 10); ; reach *= 4 {
		from := max(0, size-reach)
		t, err := p.timedFrom(from)
		if err != nil {
			return timed{}, err
		}
		for t.ok {
			next, err := p.timedFrom(t.offset + 1)
			if err != nil {
				return timed{}, err
			}
			if !next.ok {
				return t, nil
			}
			t = next
		}
		if from == 0 || reach > probeLimit {
			return timed{}, nil
		}
	}
}

// ordered compares the times at evenly spaced places.
func (p *prober) ordered(last time.Time) (bool, error) {
	for i := int64(1); i <= samples; i++ {
		t, err := p.timedFrom(p.file.Size() / (samples + 1) * i)
		if err != nil {
			return false, err
		}
		if !t.ok {
			continue // a long traceback, or the end
		}
		if t.at.Before(last.Add(-slack)) {
			return false, nil
		}
		last = t.at
	}
	return true, nil
}

// lower finds a line such that every line above it with a time is before when.
func (p *prober) lower(when time.Time) (int64, error) {
	lo, hi := int64(0), p.file.Size()
	for hi-lo > int64(p.file.sizes.line) {
		mid := lo + (hi-lo)/2
		t, err := p.timedFrom(mid)
		if err != nil {
			return 0, err
		}
		if t.ok && t.offset < hi && t.at.Before(when) {
			lo = t.offset
		} else {
			hi = mid // not knowing errs towards reading more
		}
	}
	return lo, nil
}

// upper finds a line with a time, or the file's end, such that no line with a time
// from there on is before when. Lines without times above it are left inside.
func (p *prober) upper(when time.Time) (int64, error) {
	lo, hi, edge := int64(0), p.file.Size(), p.file.Size()
	for hi-lo > int64(p.file.sizes.line) {
		mid := lo + (hi-lo)/2
		t, err := p.timedFrom(mid)
		if err != nil {
			return 0, err
		}
		switch {
		case t.ok && t.offset >= hi:
			hi = mid
		case t.ok && !t.at.Before(when):
			hi, edge = mid, t.offset
		case !t.ok && mid+probeLimit >= p.file.Size():
			hi = mid
		case t.ok:
			lo = t.offset
		default:
			lo = mid // not knowing errs towards reading more
		}
	}
	return edge, nil
}
