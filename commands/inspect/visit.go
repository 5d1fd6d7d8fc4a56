package inspect

import (
	"cmp"
	"slices"

	"rekey/audit"
	"rekey/audit/logs"
)

const (
	maxVisitors = 4096
	topVisitors = 20
	maxAgents   = 3
	maxPaths    = 5
)

// visitor is an audit.Visitor that grows.
type visitor struct {
	audit.Visitor
	agents []string // of accepted requests, at most maxAgents
	hours  [24]bool // of accepted requests, UTC
	minute minute
	gone   bool // forgotten
}

// visitors are the addresses at the guarded endpoints, in bounded memory: in a flood
// those that were only refused, and least often, are forgotten.
type visitors struct {
	byName map[string]*visitor
}

// known answers the visitor of c, nil if there is none.
func (vs *visitors) known(c *client) *visitor {
	if c.visitor == nil || c.visitor.gone {
		c.visitor = vs.byName[c.name]
	}
	return c.visitor
}

func (vs *visitors) add(e *logs.Event, c *client, ours bool) {
	v := vs.known(c)
	if v == nil {
		if vs.byName == nil {
			vs.byName = map[string]*visitor{}
		}
		if len(vs.byName) >= maxVisitors {
			vs.forget()
		}
		v = &visitor{Visitor: audit.Visitor{Addr: c.name, Ours: ours, First: e.At, Last: e.At}}
		vs.byName[c.name], c.visitor = v, v
	}
	v.Ours = v.Ours && ours
	if e.At.Before(v.First) {
		v.First = e.At
	}
	if e.At.After(v.Last) {
		v.Last = e.At
	}
	v.Peak = max(v.Peak, v.minute.add(e.At))
	v.Agents = newestOf(v.Agents, e.Agent, maxAgents)
	v.Paths = newestOf(v.Paths, e.Path, maxPaths)
	if e.Kind != audit.Used {
		v.Refused++
		if v.Entered.IsZero() {
			v.RefusedFirst++
		}
		return
	}
	v.Accepted++
	v.hours[e.At.UTC().Hour()] = true
	v.agents = newestOf(v.agents, e.Agent, maxAgents)
	if v.Entered.IsZero() {
		v.Entered = e.At
	}
	v.LastIn = e.At
}

// newestOf puts word first in list, once, and keeps n.
func newestOf(list []string, word string, n int) []string {
	if word == "" || len(list) > 0 && list[0] == word {
		return list
	}
	i := slices.Index(list, word)
	if i < 0 {
		if len(list) < n {
			list = append(list, "")
		}
		i = len(list) - 1
	}
	copy(list[1:i+1], list[:i])
	list[0] = word
	return list
}

// forget drops the half that matters least.
func (vs *visitors) forget() {
	for _, v := range vs.sorted()[maxVisitors/2:] {
		v.gone = true
		delete(vs.byName, v.Addr)
	}
}

// sorted has those that matter most first: strangers that were refused and then got in,
// strangers that got in, strangers that were refused, ours.
func (vs *visitors) sorted() []*visitor {
	list := make([]*visitor, 0, len(vs.byName))
	for _, v := range vs.byName {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b *visitor) int {
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(b.Accepted, a.Accepted),
			cmp.Compare(b.Refused, a.Refused), b.Last.Compare(a.Last), cmp.Compare(a.Addr, b.Addr))
	})
	return list
}

func (v *visitor) weight() int {
	switch {
	case v.Ours:
		return 0
	case v.Accepted > 0 && v.RefusedFirst > 0:
		return 3
	case v.Accepted > 0:
		return 2
	}
	return 1
}

// list answers the visitors that matter most.
func (vs *visitors) list(usual *normal, elsewhere *tallies) []audit.Visitor {
	all := vs.sorted()
	out := make([]audit.Visitor, 0, min(topVisitors, len(all)))
	for _, v := range all[:min(topVisitors, len(all))] {
		v.Unusual = usual.unusual(v)
		if t := elsewhere.byName[v.Addr]; t != nil {
			v.Elsewhere = t.Count
		}
		out = append(out, v.Visitor)
	}
	return out
}
