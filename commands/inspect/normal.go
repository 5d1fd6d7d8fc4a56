package inspect

import (
	"fmt"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// Comparing with what was normal before.
const (
	// longestBefore is how far ahead of the window is looked to learn what is normal: a
	// week has every weekday and every nightly job.
	longestBefore = 7 * 24 * time.Hour
	// maxSeen bounds the addresses and agents that are remembered.
	maxSeen = 4096
	// fewBefore is how many accepted requests must have been seen to call anything
	// unusual.
	fewBefore = 10
	// tooMany is how many times the busiest minute before makes a rate unusual.
	tooMany = 5
)

// before is the stretch to learn from ahead of a window: as long as the window, at
// least a day, at most a week.
func before(w audit.Window) audit.Window {
	span := min(max(w.Until.Sub(w.Since), 24*time.Hour), longestBefore)
	return audit.Window{Since: w.Since.Add(-span), Until: w.Since}
}

// normal is what accepted uses of the guarded endpoints looked like before the window.
type normal struct {
	count     int
	addresses map[string]*minute // the newest in which each came
	agents    map[string]bool
	hours     [24]bool // UTC
	peak      int      // the most requests of one address in one minute
}

// minute counts the requests of one address in the minute it is in.
type minute struct {
	at    time.Time
	count int
}

// add counts e in its minute and answers how many that are.
func (m *minute) add(at time.Time) int {
	if at = at.Truncate(time.Minute); !at.Equal(m.at) {
		m.at, m.count = at, 0
	}
	m.count++
	return m.count
}

func newNormal() *normal {
	return &normal{addresses: map[string]*minute{}, agents: map[string]bool{}}
}

func (n *normal) add(e *logs.Event, addr string) {
	if e.Kind != audit.Used {
		return // refusals are nobody's normal use
	}
	n.count++
	n.hours[e.At.UTC().Hour()] = true
	m := n.addresses[addr]
	if m == nil && len(n.addresses) < maxSeen {
		m = &minute{}
		n.addresses[addr] = m
	}
	if m != nil {
		n.peak = max(n.peak, m.add(e.At))
	}
	if len(n.agents) < maxSeen {
		n.agents[e.Agent] = true
	}
}

// known reports whether addr made accepted requests before the window.
func (n *normal) known(addr string) bool { return n.addresses[addr] != nil }

// unusual says how the accepted requests of a visitor differ from before; nothing where
// too little was seen before to tell.
func (n *normal) unusual(v *visitor) []string {
	if n.count < fewBefore || v.Accepted == 0 {
		return nil
	}
	var out []string
	if !n.known(v.Addr) {
		out = append(out, "the address made no accepted request before")
	}
	var strange []string
	for _, agent := range v.agents {
		if agent != "" && !n.agents[agent] && len(n.agents) < maxSeen {
			strange = append(strange, agent)
		}
	}
	if len(strange) > 0 {
		out = append(out, "a user agent nobody showed before: "+strange[0])
	}
	var hours []int
	for h, in := range v.hours {
		if in && !n.hours[h] {
			hours = append(hours, h)
		}
	}
	// A few quiet hours in a short stretch before say nothing.
	if len(hours) > 0 && n.count >= 10*fewBefore {
		out = append(out, fmt.Sprintf("at an hour nobody called before: %02d:00 to %02d:59 UTC", hours[0], hours[0]))
	}
	if v.Peak > tooMany*max(n.peak, 1) {
		out = append(out, fmt.Sprintf("up to %d requests a minute, where the most before were %d", v.Peak, n.peak))
	}
	return out
}
