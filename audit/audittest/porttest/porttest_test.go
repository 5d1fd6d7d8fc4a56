package porttest_test

import (
	"errors"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"

	"rekey/audit/audittest/porttest"
)

// TestKeep: nobody else is given a port that is kept, and who asks there is refused.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	if _, err := s.Client().Get(s.URL); err != nil { //nolint:noctx // this one is there
		t.Fatal(err)
	}
	s.Close()
	porttest.Keep(t, s.URL)
	for _, addr := range []string{s.Listener.Addr().String(), porttest.Closed(t)} {
		if l, err := net.Listen("tcp", addr); err == nil {
			t.Errorf("another listens at %s, which is kept", addr)
			_ = l.Close()
		}
		if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("asking at %s: %v", addr, err)
		}
	}
}
