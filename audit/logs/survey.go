package logs

import "bytes"

// Shape is how much of a line was understood.
type Shape uint8

// The shapes.
const (
	Noise Shape = iota // nothing
	Dated              // it has a time, or a field that rekey knows
	Asked              // it tells of a request: who asked, for what, and the answer
)

// shape says how much of a line is understood, whether or not it is evidence.
func (d *dialect) shape(line []byte) Shape {
	switch d.format {
	case Access:
		if opensAccess(line) {
			return Asked
		}
	case Django, Security:
	default:
		body, at := d.body(line)
		switch d.looks(body) {
		case likeFields:
			f := &d.scratch
			switch {
			case f.line != nil && f.stream && d.inner != nil:
				return max(Dated, d.inner.shape(trimLine(bytes.TrimRight(f.line, "\r\n"), maxLine)))
			case f.isRequest(), f.byAccessLogger() && opensAnswer(f.message):
				return Asked
			case f.seen > 0:
				return Dated
			}
		case likeAccess:
			if opensAnswer(body) {
				return Asked
			}
		}
		if !at.IsZero() {
			return Dated
		}
	}
	if _, ok := d.stamp(line); ok {
		return Dated
	}
	return Noise
}

// opensAnswer reports whether a status follows the first quoted field.
func opensAnswer(line []byte) bool {
	open := quote(line, 0)
	if open < 0 {
		return false
	}
	end := quote(line, open+1)
	if end < 0 {
		return false
	}
	_, _, ok := statusAfter(line[end+1:])
	return ok
}

const (
	surveyPlaces = 32
	surveyHead   = 64 << 10
	surveyPiece  = 4 << 10
)

// survey looks at lines at the beginning and at evenly spaced places, to tell what a log
// holds whose format does not say so. It looks at the whole file, whatever the window: an
// access log without a request in the window is one all the same.
func (l *File) survey(d *dialect, s *Stats) error {
	buf := make([]byte, surveyHead)
	for place := range int64(surveyPlaces) {
		from, size := l.Size()/surveyPlaces*place, surveyPiece
		if place == 0 {
			size = surveyHead
		} else if from < surveyHead {
			continue
		}
		n, err := readAt(l.f, buf[:size], from)
		if err != nil {
			return err
		}
		data := buf[:n]
		if place > 0 {
			data = data[bytes.IndexByte(data, '\n')+1:]
		}
		for len(data) > 0 {
			line, rest, whole := bytes.Cut(data, newline)
			if whole || from+int64(n) >= l.Size() || place == 0 && len(rest) == 0 && len(line) == len(data) {
				s.count(d.shape(trimLine(line, l.sizes.line)), line)
			}
			data = rest
		}
	}
	return nil
}

// sampled is how many lines of a block of an archive are looked at.
const sampled = 16

// sample looks at the first lines of the block, where survey cannot go to and fro.
func (b *block) sample(s *Stats) {
	data := b.data[:b.end]
	for n := 0; n < sampled && len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, newline)
		if whole || n == 0 {
			s.count(b.dialect.shape(trimLine(line, b.file.sizes.line)), line)
		}
		data = rest
	}
}

// Holds says what kinds of evidence a log of that format was found to hold, if its format
// does not say so: requests with their answers, and messages. Now and then an access log
// holds a message of the server's own; that makes it no log of messages.
func (s Stats) Holds() (requests, messages bool) {
	return s.Requests > 0, s.Messages*10 > s.Requests
}

// count adds a line that was looked at. An empty one says nothing.
func (s *Stats) count(shape Shape, line []byte) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	s.Sampled++
	switch shape {
	case Dated:
		s.Messages++
	case Asked:
		s.Requests++
	}
}
