package inspect

import (
	"rekey/audit"
	"rekey/audit/logs"
)

// eventKinds are the kinds of events, in the order of kindOf.
var eventKinds = [...]audit.Kind{audit.InvalidSignature, audit.Denied, audit.Used}

// kindOf is the index of an event's kind in eventKinds.
func kindOf(kind audit.Kind) int {
	switch kind {
	case audit.InvalidSignature:
		return 0
	case audit.Denied:
		return 1
	default:
		return 2
	}
}

// byKind has a count for each of eventKinds.
type byKind [len(eventKinds)]int

func (b byKind) counts() map[audit.Kind]int {
	m := map[audit.Kind]int{}
	for i, kind := range eventKinds {
		m[kind] = b[i]
	}
	return m
}

// recent keeps the newest events.
type recent struct {
	events []logs.Event // the next to go is events[at]
	at     int
}

func (r *recent) add(e *logs.Event) {
	if len(r.events) < keep {
		r.events = append(r.events, e.Clone())
		return
	}
	slot := &r.events[r.at]
	places := slot.Places[:0]
	*slot = *e
	slot.Places = places
	slot.Places = append(slot.Places, e.Places...)
	r.at = (r.at + 1) % keep
}

// list answers them in the order they came.
func (r *recent) list() []logs.Event {
	return append(append([]logs.Event(nil), r.events[r.at:]...), r.events[:r.at]...)
}
