package inspect

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// MaxLines is how many lines of each kind are handed on at most, the oldest first: a flood
// of refusals must neither fill the memory nor push out the lines that show a use.
const MaxLines = 200_000

// Line is one line of a log behind a report's totals, as it was found. It may hold
// anything a visitor or a careless service wrote, a secret value included: whoever keeps
// it masks it first.
type Line struct {
	Source string // as the report names it: "access.log"
	Place  string // within it: "access.log.1:812"
	Kind   audit.Kind
	At     time.Time
	Addr   netip.Addr
	Ours   bool
	Text   string // without its end, no more than 64 KiB
	// Lost reports that the line was counted but could not be read again.
	Lost bool
	// Cut reports that this is no line: more of its kind were counted than are handed on.
	Cut bool
}

// lines remembers where the counted events stand. A nil one remembers nothing.
type lines struct {
	hand func(Line)
	at   []ref
	of   map[audit.Kind]int
}

// ref is the place of a line and what it was judged to be.
type ref struct {
	logs.Place
	kind audit.Kind
	at   time.Time
	addr netip.Addr
	ours bool
}

func (l *lines) add(e *logs.Event, ours bool) {
	if l == nil {
		return
	}
	if l.of == nil {
		l.of = map[audit.Kind]int{}
	}
	for _, p := range e.Places {
		if l.of[e.Kind]++; l.of[e.Kind] > MaxLines {
			return
		}
		l.at = append(l.at, ref{Place: p, kind: e.Kind, at: e.At, addr: e.Addr, ours: ours})
	}
}

// tell hands the lines on while the files are still open.
func (l *lines) tell(files []*source) {
	if l == nil {
		return
	}
	slices.SortStableFunc(l.at, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Offset, b.Offset))
	})
	places := make([]logs.Place, 0, len(l.at))
	for _, r := range l.at {
		places = append(places, r.Place)
	}
	where := namesOf(files, places)
	for _, r := range l.at {
		text, ok := text(files, r.Place)
		l.hand(Line{
			Source: files[r.Source].name, Place: where[r.Place], Kind: r.kind, At: r.at, Addr: r.addr, Ours: r.ours, Text: text, Lost: !ok,
		})
	}
	for _, kind := range []audit.Kind{audit.Used, audit.InvalidSignature, audit.Denied} {
		if l.of[kind] > MaxLines {
			l.hand(Line{Kind: kind, Cut: true})
		}
	}
}
