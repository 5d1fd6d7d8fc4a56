package inspect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

// unrecorded is the name of an address that no log holds.
const unrecorded = "address not recorded"

// judge takes one event after the other, decides whose it is, and counts. It keeps
// the newest events of each kind and bounded tallies, whatever the number of events.
type judge struct {
	proxies   []netip.Prefix
	endpoints []secret.Endpoint

	totals    byKind
	strangers byKind
	newest    [len(eventKinds)]recent
	addresses tallies
	paths     tallies

	clients  clients
	window   audit.Window
	died     time.Time // of the old value; zero: it lives, or nobody said
	usual    *normal
	visitors visitors
	// elsewhere counts refusals on paths the secret does not guard, by address.
	elsewhere tallies
	timeline  *audit.Timeline

	accepted, refused group
	late              group // accepted, after the old value's death
	refusedOurs       int
	asBefore          group // accepted, on endpoints without known callers, from addresses of before
	unlisted          group // the same from new addresses
	unnamed           group // accepted, from a proxy's address or none
	finish            []audit.Finding
	lines             *lines // nil unless somebody wants them
}

// group is an audit.Activity that grows.
type group struct {
	audit.Activity
	addresses, paths tallies
}

func newJudge(env secret.Environment, place secret.Place, window audit.Window, died time.Time) *judge {
	return &judge{
		proxies: env.Proxies, endpoints: place.Endpoints, clients: clients{own: env.Own, endpoints: place.Endpoints},
		window: window, died: died, usual: newNormal(), timeline: newTimeline(window),
	}
}

// add judges one event. What happened before the window only tells what is normal.
func (j *judge) add(e *logs.Event) {
	c := j.clients.of(e.Addr)
	addr := c.name
	if e.At.Before(j.window.Since) {
		j.usual.add(e, addr)
		return
	}
	ours := c.ours(e.Guarded)
	// Refusals elsewhere say nothing about this secret, only about who asked.
	about := e.Guarded >= 0 || e.Kind == audit.InvalidSignature && e.Path == ""
	if about {
		j.visitors.add(e, c, ours)
		count(j.timeline, e, ours)
	} else {
		j.elsewhere.add(addr, e.At, ours)
	}
	if e.Kind == audit.Used && !j.use(e, c, ours) {
		return
	}
	kind := kindOf(e.Kind)
	j.totals[kind]++
	j.addresses.add(addr, e.At, ours)
	if e.Path != "" {
		j.paths.add(e.Path, e.At, ours)
	}
	j.lines.add(e, ours)
	j.newest[kind].add(e)
	switch {
	case ours && about:
		j.refusedOurs++
	case ours:
	case e.Kind == audit.Used:
		j.strangers[kind]++
		j.accepted.add(e, addr, ours)
		if !j.died.IsZero() && e.At.After(j.died.Add(skew)) {
			j.late.add(e, addr, ours)
		}
	default:
		j.strangers[kind]++
		if about {
			j.refused.add(e, addr, ours)
		}
	}
}

// skew is how far a server's clock may be apart from ours, and how long a request may
// take that was let in just before the old value's death.
const skew = 5 * time.Second

// use sorts an accepted request; it reports whether it is a stranger's.
func (j *judge) use(e *logs.Event, c *client, ours bool) bool {
	addr := c.name
	switch {
	case ours:
		return false // what the secret is for
	case !e.Addr.IsValid() || logs.Relay(e.Addr) || e.Proxied:
		j.unnamed.add(e, addr, ours)
		return false
	case len(j.endpoints[e.Guarded].Callers) > 0:
		return true
	}
	// Where the catalogue names no callers, those of before are as good as known, and
	// whoever was refused first is as good as a stranger.
	v := j.visitors.known(c)
	switch {
	case j.usual.known(addr):
		j.asBefore.add(e, addr, ours)
	case v != nil && v.RefusedFirst > 0:
		return true
	default:
		j.unlisted.add(e, addr, ours)
	}
	return false
}

func (g *group) add(e *logs.Event, addr string, ours bool) {
	if g.Count == 0 || e.At.Before(g.First) {
		g.First = e.At
	}
	if e.At.After(g.Last) {
		g.Last = e.At
	}
	g.Count++
	g.addresses.add(addr, e.At, ours)
	if e.Path != "" {
		g.paths.add(e.Path, e.At, ours)
	}
}

func (g *group) activity() audit.Activity {
	a := g.Activity
	a.Addresses, a.Paths = g.addresses.top(), g.paths.top()
	return a
}

func (j *judge) endpointPaths() []string {
	var paths []string
	for _, e := range j.endpoints {
		if !slices.Contains(paths, e.Path) {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// into fills in what was counted.
func (j *judge) into(e *audit.Evidence) {
	e.Accepted, e.Refused, e.Late = j.accepted.activity(), j.refused.activity(), j.late.activity()
	e.RefusedOurs = j.refusedOurs
	e.Unattributed = j.unlisted.Count + j.unnamed.Count
	e.AsBefore = j.asBefore.Count
	e.Normal = j.usual.count
	e.Visitors = j.visitors.list(j.usual, &j.elsewhere)
}

// gaps says why accepted requests could not be judged.
func (j *judge) gaps() []audit.Gap {
	var gaps []audit.Gap
	if n := j.unlisted.Count; n > 0 {
		gaps = append(gaps, audit.Gap{
			Source: "catalogue",
			Why: fmt.Sprintf("It names no callers for %s, so %s cannot be told from misuse (%s); list the addresses that may call it.",
				listed(j.unlisted.paths.top()), audit.Count(n, "accepted request"), listed(j.unlisted.addresses.top())),
		})
	}
	if n := j.unnamed.Count; n > 0 {
		gaps = append(gaps, audit.Gap{
			Source: "access logs",
			Why: fmt.Sprintf("%s to %s carry the address of a proxy or none (%s); add the proxy's own log, or list the address as a caller if only callers of yours connect from it.",
				audit.Count(n, "accepted request"), listed(j.unnamed.paths.top()), listed(j.unnamed.addresses.top())),
		})
	}
	return gaps
}

// listed names the first three of a list.
func listed(list []audit.Tally) string {
	var names []string
	for _, t := range list[:min(3, len(list))] {
		names = append(names, t.Name)
	}
	if more := len(list) - 3; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
