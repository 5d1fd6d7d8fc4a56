package logs

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	t.Parallel()
	local := append([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::ffff:172.16.0.0/108")}, behind...)
	for _, tt := range []struct {
		name, peer, forwarded string
		proxies               []netip.Prefix
		want                  string // "" for an address that nobody knows
	}{
		{"no proxies: nobody is believed", "10.0.0.1", "198.51.100.9", nil, "10.0.0.1"},
		{"a stranger says he is a proxy", "203.0.113.66", "192.0.2.5", behind, "203.0.113.66"},
		{"one proxy", "10.0.0.1", "198.51.100.9", behind, "198.51.100.9"},
		{"a forged left part", "10.0.0.1", "192.0.2.5, 198.51.100.9", behind, "198.51.100.9"},
		{"a forged proxy in the left part", "10.0.0.1", "192.0.2.5, 10.0.0.2, 198.51.100.9", behind, "198.51.100.9"},
		{"two proxies", "10.0.0.1", "192.0.2.5, 198.51.100.9, 10.0.0.2", behind, "198.51.100.9"},
		{"spaces and ports", "10.0.0.1", " 198.51.100.9:4711 ,\t[::1]:80 ", behind, "198.51.100.9"},
		{"IPv6", "::1", "2001:db8::7", behind, "2001:db8::7"},
		{"IPv6 in brackets with a zone", "10.0.0.1", "[fe80::7%eth0]", behind, "fe80::7"},
		{"IPv4 in IPv6 clothes", "10.0.0.1", "::ffff:198.51.100.9", behind, "198.51.100.9"},
		{"a proxy of a mapped network", "172.17.0.2", "198.51.100.9", local, "198.51.100.9"},
		{"all are ours: the first of them", "10.0.0.1", "10.0.0.3, 10.0.0.2", behind, "10.0.0.3"},
		{"the header is empty", "10.0.0.1", "", behind, "10.0.0.1"},
		{"there is no header", "10.0.0.1", "-", behind, "10.0.0.1"},
		{"the proxy was told no address", "10.0.0.1", "192.0.2.5, unknown", behind, ""},
		{"a comma at the end", "10.0.0.1", "192.0.2.5,", behind, ""},
		{"nonsense further left is not looked at", "10.0.0.1", "<script>, 198.51.100.9", behind, "198.51.100.9"},
		{"a socket file, this machine is trusted", "", "198.51.100.9", local, "198.51.100.9"},
		{"a socket file, this machine is not trusted", "", "198.51.100.9", behind[:1], ""},
	} {
		var peer netip.Addr
		if tt.peer != "" {
			peer = netip.MustParseAddr(tt.peer)
		}
		got := client(peer, []byte(tt.forwarded), tt.proxies)
		if got.IsValid() != (tt.want != "") || got.IsValid() && got.String() != tt.want {
			t.Errorf("%s: %s, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzForwarded: whatever a visitor sends, what a trusted proxy appended to it decides.
func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.5, ")
	f.Add("10.0.0.1,,\x00\",")
	f.Add("[::1]:80, unknown")
	want := netip.MustParseAddr("198.51.100.9")
	f.Fuzz(func(t *testing.T, sent string) {
		if got := client(netip.MustParseAddr("10.0.0.1"), []byte(sent+", 198.51.100.9"), behind); got != want {
			t.Errorf("%q makes the address %s", sent, got)
		}
		if got := client(netip.MustParseAddr("10.0.0.1"), []byte(sent+", 198.51.100.9, 10.9.9.9"), behind); got != want {
			t.Errorf("%q makes the address behind two proxies %s", sent, got)
		}
		if got := client(want, []byte(sent), behind); got != want {
			t.Errorf("%q makes the stranger %s", sent, got)
		}
		// The same in an access log, whose writer escapes quotes.
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(sent)
		line := `10.0.0.1 - - [22/Nov/2026:19:35:18 +0000] "GET / HTTP/1.1" 401 2 "-" "` + quoted + `" "` + quoted + `, 198.51.100.9"`
		if r, ok := newDialect(Access, ask(""), written).parse([]byte(line)); !ok || r.Addr != want {
			t.Errorf("%q makes the address in an access log %s", sent, r.Addr)
		}
	})
}
