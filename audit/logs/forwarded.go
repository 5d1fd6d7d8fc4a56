package logs

import (
	"bytes"
	"net/netip"
	"slices"
)

// client is the address a request came from. peer is who connected, forwarded the
// X-Forwarded-For it sent. Every proxy appends the address it was connected from, so the
// list is walked from the right for as long as whoever appended is trusted; what stands
// further left, or was sent by somebody who is no proxy of ours, a visitor can write
// himself and is not looked at.
//
// A connection over a socket file has no address. Only this machine can make one, so it
// is trusted where 127.0.0.1 or ::1 is.
func client(peer netip.Addr, forwarded []byte, proxies []netip.Prefix) netip.Addr {
	if len(proxies) == 0 || !trusted(peer, proxies) {
		return peer
	}
	at := peer
	for rest := bytes.TrimSpace(forwarded); len(rest) > 0 && string(rest) != "-"; {
		i := bytes.LastIndexByte(rest, ',')
		hop := parseAddr(bytes.Trim(rest[i+1:], " \t\""))
		if !hop.IsValid() {
			return netip.Addr{} // the proxy was told no address: nobody knows the client's
		}
		if at = hop; !trusted(hop, proxies) || i < 0 {
			break
		}
		rest = bytes.TrimRight(rest[:i], " \t")
	}
	return at
}

func trusted(addr netip.Addr, proxies []netip.Prefix) bool {
	if !addr.IsValid() {
		return trusted(relay4, proxies) || trusted(netip.IPv6Loopback(), proxies)
	}
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}

// through corrects the address of an access log's record by what the proxies said. It
// stands in the third quoted field after the status, as in the format that nginx is
// shipped with; where that field holds no address it is something else.
func (d *dialect) through(r Record, line []byte) Record {
	if len(d.proxies) == 0 {
		return r
	}
	r.Addr = d.forwardedIn(line, r.Addr)
	r.Proxied = r.Addr.IsValid() && trusted(r.Addr, d.proxies)
	return r
}

func (d *dialect) forwardedIn(line []byte, peer netip.Addr) netip.Addr {
	from := 0
	var field []byte
	for range 4 { // the request, the referrer, the agent, and it
		open := quote(line, from)
		if open < 0 {
			return peer
		}
		end := quote(line, open+1)
		if end < 0 {
			return peer
		}
		field, from = line[open+1:end], end+1
	}
	if last := field[bytes.LastIndexByte(field, ',')+1:]; parseAddr(bytes.TrimSpace(last)).IsValid() {
		return client(peer, field, d.proxies)
	}
	return peer
}
