package logs

import (
	"net/netip"
	"slices"

	"rekey/audit"
)

// key is under which open events wait for a record of another recorder.
type key struct {
	accepted bool
	path     string // bare canonical path, "" where unknown, anyPath, guardedPath
	addr     netip.Addr
	anyAddr  bool
}

// queue holds the events of a key, oldest first. As each recorder takes the oldest
// that fits, what lies before its cursor is of no use to it.
type queue struct {
	groups  []*group
	base    int // how many were dropped before groups[0]
	cursors []cursor
}

type cursor struct {
	rec recorder
	at  int // counted from the first that ever was
}

const (
	anyPath     = "*"
	guardedPath = "*guarded"
)

// sweepAfter is how many events finish between two sweeps at least.
const sweepAfter = 4096

// sweep drops finished events from the queues; otherwise every path and address
// ever seen would stay.
func (m *Merger) sweep() {
	m.stale = 0
	for k, q := range m.queues {
		if q.trim(); len(q.groups) == 0 {
			delete(m.queues, k)
		}
	}
}

// trim drops finished events from the front.
func (q *queue) trim() {
	for len(q.groups) > 0 && q.groups[0].closed {
		q.groups = q.groups[1:]
		q.base++
	}
}

// cursor answers the cursor of rec.
func (q *queue) cursor(rec recorder) *cursor {
	for i := range q.cursors {
		if q.cursors[i].rec == rec {
			return &q.cursors[i]
		}
	}
	q.cursors = append(q.cursors, cursor{rec: rec})
	return &q.cursors[len(q.cursors)-1]
}

// offer makes g findable under its keys, except those it is known by already.
func (m *Merger) offer(g *group, known []key) {
	g.queued = true
	for _, k := range g.keys() {
		if slices.Contains(known, k) {
			continue
		}
		q := m.queues[k]
		if q == nil {
			q = &queue{}
			m.queues[k] = q
		}
		q.groups = append(q.groups, g)
	}
}

// keys are those under which a record may look for g.
func (g *group) keys() []key {
	k := key{accepted: g.Kind == audit.Used, path: bare(g.Path), addr: g.vague()}
	anyone := k
	anyone.addr, anyone.anyAddr = netip.Addr{}, true
	list := append(make([]key, 0, 4), k, anyone)
	if k.accepted {
		return list
	}
	if k.addr.IsValid() {
		byAddr := k
		byAddr.path = anyPath
		list = append(list, byAddr)
	}
	if g.Guarded >= 0 {
		anyone.path = guardedPath
		list = append(list, anyone)
	}
	return list
}

// partner finds the oldest open event that r, written by rec, can be about. The
// address decides first: an event with the same one beats an event without.
func (m *Merger) partner(rec recorder, r *Record) *group {
	k := key{accepted: r.Kind == audit.Used, path: bare(r.Path), addr: r.vague()}
	unknown, anyone := k, k
	unknown.addr = netip.Addr{}
	anyone.addr, anyone.anyAddr = netip.Addr{}, true
	looks := make([]key, 0, 4)
	switch {
	case k.path != "" && k.addr.IsValid():
		noPath := k
		noPath.path = ""
		looks = append(looks, k, unknown, noPath)
	case k.path != "":
		looks = append(looks, anyone)
	case k.addr.IsValid():
		byAddr := k
		byAddr.path = anyPath
		looks = append(looks, byAddr)
	default:
		anyone.path = guardedPath
		looks = append(looks, anyone)
	}
	if k.path != "" && r.Guarded >= 0 && !k.accepted {
		silent := unknown
		silent.path = ""
		looks = append(looks, silent)
	}
	for _, k := range looks {
		if g := m.take(k, rec, r); g != nil {
			return g
		}
	}
	return nil
}

// take finds the oldest event under k that fits r and that rec has not written about.
func (m *Merger) take(k key, rec recorder, r *Record) *group {
	q := m.queues[k]
	if q == nil {
		return nil
	}
	q.trim()
	c := q.cursor(rec)
	c.at = max(c.at, q.base)
	for c.at-q.base < len(q.groups) {
		g := q.groups[c.at-q.base]
		if !g.closed && !g.by(rec) && r.At.Sub(g.At) <= tolerance+linger {
			break
		}
		c.at++
	}
	waiting := q.groups[c.at-q.base:]
	for _, g := range waiting[:min(len(waiting), maxTries)] {
		if !g.closed && !g.by(rec) && g.fits(r) {
			return g
		}
	}
	return nil
}
