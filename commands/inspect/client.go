package inspect

import (
	"net/netip"
	"slices"

	"rekey/commands/secret"
)

// client is what is known of an address, so that an event costs one look for it: in an
// hour of busy logs there are millions of lines by a few clients.
type client struct {
	name    string
	visitor *visitor // nil, or maybe forgotten
	// expected says for every endpoint, and behind the last for none, whether the address is
	// rekey's own or a known caller.
	expected []bool
}

// clients are the addresses of the newest events.
type clients struct {
	own       []netip.Prefix
	endpoints []secret.Endpoint
	known     map[netip.Addr]*client
}

// of answers the client of addr, which may be invalid.
func (cs *clients) of(addr netip.Addr) *client {
	if c, ok := cs.known[addr]; ok {
		return c
	}
	if cs.known == nil || len(cs.known) >= maxNames {
		cs.known = map[netip.Addr]*client{}
	}
	c := &client{name: unrecorded, expected: make([]bool, len(cs.endpoints)+1)}
	if addr.IsValid() {
		c.name = addr.String()
		own := within(addr, cs.own)
		some := own
		for i, e := range cs.endpoints {
			c.expected[i] = own || within(addr, e.Callers)
			some = some || c.expected[i]
		}
		c.expected[len(cs.endpoints)] = some
	}
	cs.known[addr] = c
	return c
}

// ours reports whether the address is rekey's own or a known caller of the endpoint;
// where no endpoint is concerned, of any endpoint of the secret.
func (c *client) ours(guarded int) bool {
	if guarded < 0 {
		guarded = len(c.expected) - 1
	}
	return c.expected[guarded]
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}
