package inspect

import (
	"cmp"
	"slices"
	"time"

	"rekey/audit"
)

const (
	topNames = 20
	// maxNames bounds how many names are counted at once: whoever attacks can make
	// up a new path with every request.
	maxNames = 8192
)

// tallies counts by name in bounded memory. Beyond maxNames names the half seen
// least is forgotten, so that a count can be too low for names that are rare; names
// that are frequent stay exact.
type tallies struct {
	byName map[string]*audit.Tally
	newest *audit.Tally // as most paths are the one before
}

func (t *tallies) add(name string, at time.Time, ours bool) {
	entry := t.newest
	if entry == nil || entry.Name != name {
		entry = t.of(name, at, ours)
		t.newest = entry
	}
	entry.Count++
	entry.Ours = entry.Ours && ours
	if at.Before(entry.First) {
		entry.First = at
	}
	if at.After(entry.Last) {
		entry.Last = at
	}
}

// of answers the tally of a name, a new one if need be.
func (t *tallies) of(name string, at time.Time, ours bool) *audit.Tally {
	entry := t.byName[name]
	if entry == nil {
		if t.byName == nil {
			t.byName = map[string]*audit.Tally{}
		}
		if len(t.byName) >= maxNames {
			t.forget()
		}
		entry = &audit.Tally{Name: name, First: at, Last: at, Ours: ours}
		t.byName[name] = entry
	}
	return entry
}

// forget drops the half of the names with the lowest counts, among equals those
// not seen for longest.
func (t *tallies) forget() {
	for _, entry := range t.sorted()[maxNames/2:] {
		delete(t.byName, entry.Name)
	}
}

func (t *tallies) sorted() []*audit.Tally {
	list := make([]*audit.Tally, 0, len(t.byName))
	for _, entry := range t.byName {
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b *audit.Tally) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// top answers the largest tallies, at most 20.
func (t *tallies) top() []audit.Tally {
	list := t.sorted()
	top := make([]audit.Tally, 0, min(topNames, len(list)))
	for _, entry := range list[:min(topNames, len(list))] {
		top = append(top, *entry)
	}
	return top
}
