package postgres_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
)

var errCut = errors.New("the process died")

// cutter is a process that dies at its nth message to a server, before the message
// leaves or right after, so that the answer is never read.
type cutter struct {
	mu    sync.Mutex
	left  int // the message to die at
	after bool
	sent  int
	dead  bool
	conns []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil, errCut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, conn)
	return &cutConn{conn, c}, nil
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	if c.c.dead {
		return 0, errCut
	}
	c.c.sent++
	if c.c.sent != c.c.left {
		return c.Conn.Write(b)
	}
	c.c.dead = true
	if c.c.after {
		_, _ = c.Conn.Write(b)
	}
	for _, conn := range c.c.conns {
		_ = conn.Close()
	}
	return 0, errCut
}

// act is a step by name.
func act(ctx context.Context, i *postgres.Issuer, step issue.Step, o issue.Order) (err error) {
	switch step {
	case issue.Set:
		_, err = i.Set(ctx, o)
	case issue.Retire:
		_, err = i.Retire(ctx, o)
	case issue.Revive:
		_, err = i.Revive(ctx, o)
	case issue.Finish:
		_, err = i.Finish(ctx, o)
	case issue.Rollback:
		_, err = i.Rollback(ctx, o)
	default:
		panic(step)
	}
	return err
}

// everyCut runs step with a process that dies at each message in turn. begin brings the
// world to where the step starts; end looks when another process has gone to its end.
// Dying after one message leaves the server where dying before the next would.
func everyCut(t *testing.T, step issue.Step, begin func() issue.Order, end func(o issue.Order)) {
	t.Helper()
	for n := 0; ; n++ {
		o := begin()
		c := &cutter{left: max(n, 1), after: n > 0}
		err := act(t.Context(), postgres.New(postgres.Config{Dial: c.dial}), step, o)
		var fault *issue.Fault
		if errors.As(err, &fault) {
			t.Errorf("%s that dies at message %d takes that for a failure of the server: %v", step, n, err)
		}
		if err != nil && !c.dead {
			t.Fatalf("%s: %v", step, err)
		}
		must(t, act(t.Context(), postgres.New(postgres.Config{}), step, o))
		end(o)
		if t.Failed() {
			t.Fatalf("%s died at message %d", step, n)
		}
		if !c.dead {
			if n < 6 {
				t.Errorf("it died only %d times: nothing is tested", n)
			}
			return
		}
	}
}

// Wherever a process dies, another one reaches the same end.
func TestDeathAnywhere(t *testing.T) {
	t.Parallel()
	t.Run("set", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.catalogs()
		_, o := w.begun()
		want := w.withoutSecrets()
		must(t, act(t.Context(), postgres.New(postgres.Config{}), issue.Rollback, o))
		everyCut(t, issue.Set, func() issue.Order { return o }, func(o issue.Order) {
			if diff := cmp.Diff(want, w.withoutSecrets()); diff != "" {
				t.Errorf("another end: %s", diff)
			}
			must(t, act(t.Context(), postgres.New(postgres.Config{}), issue.Rollback, o))
			if diff := cmp.Diff(before, w.catalogs()); diff != "" {
				t.Errorf("rolled back: %s", diff)
			}
		})
	})
	t.Run("rollback", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.catalogs()
		everyCut(t, issue.Rollback, func() issue.Order {
			_, o := w.begun()
			w.session(o.New) // one to be ended
			return o
		}, func(issue.Order) {
			if diff := cmp.Diff(before, w.catalogs()); diff != "" {
				t.Errorf("rolled back: %s", diff)
			}
		})
	})
	t.Run("retire", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.order.Compromised = true
		i, o := w.begun()
		everyCut(t, issue.Retire, func() issue.Order {
			_, err := i.Revive(t.Context(), o)
			must(t, err)
			w.session(o.Old)
			return o
		}, func(issue.Order) {
			if got := w.text(`SELECT rolcanlogin || ' ' || (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid) FROM pg_roles r WHERE rolname = $1::text`, w.app); got != "false 0" {
				t.Errorf("login and sessions: %s", got)
			}
		})
	})
	t.Run("finish", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		want := w.rights(w.app)
		// Each rotation starts where the one before ended.
		everyCut(t, issue.Finish, func() issue.Order {
			w.order.Run += "x"
			i, o := w.begun()
			_, err := i.Retire(t.Context(), o)
			must(t, err)
			return o
		}, func(o issue.Order) {
			if diff := cmp.Diff(want, w.rights(user(t, o.New))); diff != "" {
				t.Errorf("after a rotation: %s", diff)
			}
			w.order.Old = o.New
		})
	})
}
