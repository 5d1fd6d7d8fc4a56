package ledger

// Head is the stored record of the newest entry, see the encoding in chain.go.
type Head struct {
	Seq  int64
	Hash Hash
	MAC  Hash
}

// Holds reports whether the record was made with key.
func (h Head) Holds(key Key) bool { return HeadMAC(key, h.Seq, h.Hash).Equal(h.MAC) }

// lookahead is how many entries after (and places before) a bad one are looked at
// to tell an edit from a removal, an insertion and a change of order.
const lookahead = 1024

// Walk checks entries one at a time, in order of Seq, in constant memory. It is
// the part of Verify that needs no database.
type Walk struct {
	key        Key
	sum        *sum
	good       int64 // entries 1 … good hold
	prev       Hash
	ahead      []Entry // the first row that does not hold and those after it
	unreadable bool
}

// NewWalk starts before entry 1.
func NewWalk(key Key) *Walk { return &Walk{key: key, sum: newSum(key)} }

// Add takes the next row and reports whether the walk wants to see more.
func (w *Walk) Add(e Entry) bool {
	if len(w.ahead) > 0 || w.unreadable {
		w.ahead = append(w.ahead, e)
		return len(w.ahead) < lookahead
	}
	if e.Seq == w.good+1 && e.Prev.Equal(w.prev) && w.sum.entry(e).Equal(e.Hash) {
		w.good, w.prev = e.Seq, e.Hash
		return true
	}
	w.ahead = append(w.ahead, e)
	return true
}

// Unreadable says that the next row is there but holds something rekey never
// writes. The walk ends there.
func (w *Walk) Unreadable() { w.unreadable = true }

// End judges what was seen against the head record; nil when there is none.
func (w *Walk) End(head *Head) Verification {
	v := Verification{OK: true, Entries: w.good, Head: w.prev}
	next := w.good + 1
	switch {
	case len(w.ahead) > 0:
		return w.diagnose(v, head)
	case w.unreadable:
		return v.bad(next, "entry %d was edited: it holds something that rekey never writes", next)
	case head == nil:
		return v.bad(next, "the record of the newest entry was removed: entries after entry %d may be missing", w.good)
	case !head.Holds(w.key) && w.good == 0:
		return v.bad(next, "the record of the newest entry does not hold under this key: it was edited, or the log was written with another key")
	case !head.Holds(w.key):
		return v.bad(next, "the record of the newest entry was edited: entries after entry %d may be missing", w.good)
	case head.Seq > w.good+1:
		return v.bad(next, "entries %d to %d were removed from the end of the log", next, head.Seq)
	case head.Seq > w.good:
		return v.bad(next, "entry %d was removed from the end of the log", next)
	case head.Seq < w.good:
		return v.bad(head.Seq+1, "entry %d comes after the newest entry on record: the record was put back to an older one", head.Seq+1)
	case !head.Hash.Equal(w.prev):
		return v.bad(w.good, "entry %d is not the one on record as the newest: the log was rewritten", w.good)
	}
	return v
}

// diagnose names what happened at the first row that does not hold.
func (w *Walk) diagnose(v Verification, head *Head) Verification {
	n, first := w.good+1, w.ahead[0]
	at, moved := w.place(n)
	switch {
	case first.Seq < n:
		return v.bad(first.Seq, "entry %d is there twice: one of the two was inserted", first.Seq)
	case first.Seq > n && moved:
		return v.bad(n, "entry %d is out of order: it stands in the place of entry %d", n, at)
	case first.Seq > n+1:
		return v.bad(n, "entries %d to %d were removed", n, first.Seq-1)
	case first.Seq > n:
		return v.bad(n, "entry %d was removed", n)
	case w.authentic(first, n):
		return v.bad(n, "entry %d does not follow entry %d: it belongs to another history of this log", n, n-1)
	}
	really, genuine := w.identify(first)
	switch {
	case moved && genuine:
		return v.bad(n, "entry %d is out of order: entry %d stands in its place", n, really)
	case moved:
		return v.bad(n, "entry %d was inserted: the entry that belongs there stands in the place of entry %d", n, at)
	case head != nil && head.Holds(w.key) && n > head.Seq:
		return v.bad(n, "entry %d was inserted: the newest entry on record is entry %d", n, head.Seq)
	case genuine && really < n:
		return v.bad(n, "entry %d was inserted: it is a copy of entry %d", n, really)
	case genuine:
		return v.bad(n, "entry %d was removed: entry %d stands in its place", n, really)
	case w.foreign(head):
		return v.bad(n, "no entry holds under this key: the log was written with another key")
	}
	return v.bad(n, "entry %d was edited: its content does not match its hash", n)
}

// authentic reports whether e was written with the key as entry seq.
func (w *Walk) authentic(e Entry, seq int64) bool {
	e.Seq = seq
	return w.sum.entry(e).Equal(e.Hash)
}

// place finds the genuine entry n, standing somewhere else.
func (w *Walk) place(n int64) (at int64, ok bool) {
	for _, e := range w.ahead {
		if e.Seq != n && e.Prev.Equal(w.prev) && w.authentic(e, n) {
			return e.Seq, true
		}
	}
	return 0, false
}

// identify finds the number under which e was written.
func (w *Walk) identify(e Entry) (seq int64, ok bool) {
	for d := int64(1); d <= lookahead; d++ {
		for _, seq := range [...]int64{e.Seq + d, e.Seq - d} {
			if seq > 0 && w.authentic(e, seq) {
				return seq, true
			}
		}
	}
	return 0, false
}

// foreign reports whether nothing at all was made with this key, the head record
// included, although the entries are linked to each other.
func (w *Walk) foreign(head *Head) bool {
	if w.good > 0 || head == nil || head.Holds(w.key) {
		return false
	}
	var prev Hash
	for i, e := range w.ahead {
		if e.Seq != int64(i)+1 || !e.Prev.Equal(prev) || w.authentic(e, e.Seq) {
			return false
		}
		prev = e.Hash
	}
	return true
}
