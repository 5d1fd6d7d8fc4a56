package logs

import (
	"net/netip"
	"slices"
	"time"

	"rekey/audit"
)

const (
	// tolerance is how far apart two recorders may date one request: stamps are cut
	// to seconds, and a server writes when the answer is out.
	tolerance = 2 * time.Second
	// linger is how much later than that a record may still arrive, as neighbouring
	// lines of a log can be out of order.
	linger = 3 * time.Second
	// maxTries bounds the search for a partner among records that differ in method
	// or status; a flood must not make it quadratic.
	maxTries = 64
	// maxOpen bounds memory in a flood. Above some 6,000 refused requests a second,
	// the oldest are finished early and may then be counted once per log.
	maxOpen = 1 << 15
	// maxSpare bounds how many finished events are kept to be used again.
	maxSpare = 1 << 10
)

// Place is where a record was read.
type Place struct {
	Source int    // index of the source
	Offset int64  // Record.Offset
	Name   string // Record.Name
	Line   string // Record.Line
}

func placeOf(source int, r *Record) Place {
	return Place{Source: source, Offset: r.Offset, Name: r.Name, Line: r.Line}
}

// Event is one request as all logs together tell it.
type Event struct {
	Record
	Places []Place
}

// Clone is a copy of e that shares nothing with it.
func (e *Event) Clone() Event {
	c := *e
	c.Places = slices.Clone(e.Places)
	return c
}

// Merger joins what several recorders wrote about one request, so that a denial in
// four logs counts once. The rule:
//
//   - Records by one recorder of one source are never joined: two lines are two
//     requests.
//   - Records by different recorders are joined, each at most once, oldest first,
//     when both were accepted or both refused, their times differ by at most 2 s, and
//     path, address, method and status are equal wherever both know them.
//   - A recorder that does not know the address (django.request), or knows only the
//     proxy in front of it (127.0.0.1, ::1, or one of Query.Proxies), fits any address.
//   - A signature failure without a path fits by its address; without either it
//     fits a refusal on a guarded endpoint.
//
// What is joined is one event: a signature failure if any record says so, with the
// earliest time, the most telling address, and all places. Joining too much would
// hide requests and joining too little would double them; as events are matched one
// to one, the number of events is never below the number of lines of any one
// recorder.
//
// A Merger is fed in time order and is not safe for concurrent use. Its memory is
// that of the events of about five seconds.
type Merger struct {
	emit   func(*Event)
	queues map[key]*queue
	open   opened
	spare  []*group // finished, to be used again
	stale  int      // events finished since the queues were last swept
	now    time.Time
	// As accepted requests are never joined with refused ones, each have their tellers.
	accepted, refused tellers
}

// tellers are those who tell of one kind of event. As the records of one are never joined,
// events need no keys before another comes.
type tellers struct {
	first   recorder // the only one so far, unless several
	several bool
}

// recorder is one hand that writes: two in one file are told apart.
type recorder struct {
	source int
	name   Recorder
}

type group struct {
	Event
	recs   []recorder
	closed bool
	queued bool
	// Where the two lists begin, as most events are told by one recorder or two.
	places  [2]Place
	written [2]recorder
}

// newGroup begins an event.
func (m *Merger) newGroup(rec recorder, source int, r *Record) *group {
	var g *group
	if n := len(m.spare); n > 0 {
		g, m.spare = m.spare[n-1], m.spare[:n-1]
		g.closed = false
	} else {
		g = &group{}
	}
	g.Record = *r
	g.places[0], g.written[0] = placeOf(source, r), rec
	g.Places, g.recs = g.places[:1], g.written[:1]
	return g
}

// NewMerger answers a merger that hands finished events to emit, in about the order
// they happened. An event is emit's until it returns; what it keeps, it clones.
func NewMerger(emit func(*Event)) *Merger {
	return &Merger{emit: emit, queues: map[key]*queue{}}
}

// Add takes the next record of a source.
func (m *Merger) Add(source int, r Record) {
	rec := recorder{source: source, name: r.Recorder}
	if r.At.After(m.now) {
		m.now = r.At
		m.expire()
	}
	several := m.meet(rec, r.Kind)
	if several {
		if g := m.partner(rec, &r); g != nil {
			known := g.keys()
			g.join(rec, source, &r)
			m.offer(g, known)
			return
		}
	}
	g := m.newGroup(rec, source, &r)
	m.open.add(g)
	if len(m.open.list()) > maxOpen {
		m.finish(1)
	}
	if several {
		m.offer(g, nil)
	}
}

// meet reports whether another than rec has told of such events.
func (m *Merger) meet(rec recorder, kind audit.Kind) bool {
	w := &m.refused
	if kind == audit.Used {
		w = &m.accepted
	}
	switch {
	case w.several, rec == w.first:
		return w.several
	case w.first == recorder{}:
		w.first = rec
		return false
	}
	w.several = true
	for _, g := range m.open.list() {
		if (g.Kind == audit.Used) == (kind == audit.Used) {
			m.offer(g, nil)
		}
	}
	return true
}

// Close finishes all open events.
func (m *Merger) Close() {
	m.finish(len(m.open.list()))
	m.open, m.queues = opened{}, map[key]*queue{}
}

// expire finishes the events that no record can join any more.
func (m *Merger) expire() {
	n, open := 0, m.open.list()
	for n < len(open) && m.now.Sub(open[n].At) > tolerance+linger {
		n++
	}
	m.finish(n)
}

// finish closes the oldest n events.
func (m *Merger) finish(n int) {
	for _, g := range m.open.list()[:n] {
		g.closed = true
		m.emit(&g.Event)
		if !g.queued && len(m.spare) < maxSpare {
			m.spare = append(m.spare, g)
		}
	}
	m.open.drop(n)
	if m.stale += n; m.stale > sweepAfter {
		m.sweep()
	}
}

// fits reports whether r can be about the same request as g.
func (g *group) fits(r *Record) bool {
	// Fractions are cut: most recorders write none, and 18.9 s beside 21 s must not
	// be nearer than 18 s beside 21 s.
	if g.At.Truncate(time.Second).Sub(r.At.Truncate(time.Second)).Abs() > tolerance {
		return false
	}
	if a, b := g.vague(), r.vague(); a.IsValid() && b.IsValid() && a != b {
		return false
	}
	if g.Method != "" && r.Method != "" && g.Method != r.Method {
		return false
	}
	return g.Status == 0 || r.Status == 0 || g.Status == r.Status
}

// join adds what r knows and g does not.
func (g *group) join(rec recorder, source int, r *Record) {
	g.recs = append(g.recs, rec)
	g.Places = append(g.Places, placeOf(source, r))
	if r.Kind == audit.InvalidSignature {
		g.Kind = audit.InvalidSignature
	}
	if r.At.Before(g.At) {
		g.At = r.At
	}
	if r.vague().IsValid() && !g.vague().IsValid() || !g.Addr.IsValid() {
		g.Addr, g.Proxied = r.Addr, r.Proxied
	}
	if g.Path == "" {
		g.Path = r.Path
	}
	if g.Guarded < 0 {
		g.Guarded = r.Guarded
	}
	if g.Method == "" {
		g.Method = r.Method
	}
	if g.Status == 0 {
		g.Status = r.Status
	}
	if g.Agent == "" {
		g.Agent = r.Agent
	}
}

func (g *group) by(rec recorder) bool { return slices.Contains(g.recs, rec) }

// vague is the address as far as it identifies a client: the loopback addresses a
// proxy on the same machine connects from identify none, nor do those of proxies.
func (r *Record) vague() netip.Addr {
	if r.Proxied || Relay(r.Addr) {
		return netip.Addr{}
	}
	return r.Addr
}

// Relay reports whether addr is one that a proxy on the same machine usually
// connects from, so that the real client's address may be in another log. Other
// loopback addresses are taken at their word.
func Relay(addr netip.Addr) bool {
	return addr == relay4 || addr == netip.IPv6Loopback()
}

var relay4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
