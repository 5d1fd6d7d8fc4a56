// Package porttest keeps TCP ports closed. A test that asks a server which is gone must not
// meet the next test's server, which was given the port that became free.
package porttest

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// Closed answers an address that refuses connections for as long as the test runs.
func Closed(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	Keep(tb, addr)
	return addr
}

// Keep does the same with the address that a server has just left; a URL will do.
func Keep(tb testing.TB, addr string) {
	tb.Helper()
	if u, err := url.Parse(addr); err == nil && u.Host != "" {
		addr = u.Host
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().Is4() {
		tb.Fatalf("%s is no IPv4 address and port", addr)
	}
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(s) })
	// Connections of the server that was there may linger, which hinders nobody who shares
	// the address. Afterwards it is not shared any more: Linux would give it to others, as
	// nobody listens there.
	if err := syscall.SetsockoptInt(s, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		tb.Fatal(err)
	}
	// A listener is gone once the accepting goroutine has noticed.
	name := &syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	for range 10_000 {
		if err = syscall.Bind(s, name); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		tb.Fatalf("keeping %s closed: %v", addr, err)
	}
	if err := syscall.SetsockoptInt(s, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0); err != nil {
		tb.Fatal(err)
	}
}
