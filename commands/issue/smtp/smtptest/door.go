package smtptest

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// handshakeWithin bounds a TLS handshake.
const handshakeWithin = 30 * time.Second

// door is a listener that can be rude: it turns callers away with a code, or lets them
// wait, before the server behind it hears of them.
type door struct {
	net.Listener
	server   *Server
	implicit *tls.Config // nil where the server itself starts TLS
	ready    chan net.Conn
	closed   chan struct{}
	once     sync.Once
	callers  sync.WaitGroup
}

func newDoor(s *Server, l net.Listener, implicit *tls.Config) *door {
	d := &door{Listener: l, server: s, implicit: implicit, ready: make(chan net.Conn), closed: make(chan struct{})}
	d.callers.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.callers.Go(func() { d.admit(c) })
		}
	})
	return d
}

// Accept answers the next caller who may come in.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close closes the door and sends those away who wait behind it.
func (d *door) Close() error {
	err := error(nil)
	d.once.Do(func() {
		close(d.closed)
		err = d.Listener.Close()
	})
	d.callers.Wait()
	return err
}

func (d *door) admit(c net.Conn) {
	faults := d.server.fault()
	if d.implicit != nil {
		secured := tls.Server(c, d.implicit)
		_ = c.SetDeadline(time.Now().Add(handshakeWithin))
		stop := make(chan struct{})
		go func() {
			select {
			case <-d.closed:
				_ = c.Close()
			case <-stop:
			}
		}()
		err := secured.Handshake()
		close(stop)
		if err != nil {
			_ = c.Close() // the client has learnt of it
			return
		}
		_ = c.SetDeadline(time.Time{})
		c = secured
	}
	if faults.Greeting != 0 {
		_, _ = fmt.Fprintf(c, "%d Too busy, try again later\r\n", faults.Greeting)
		_ = c.Close()
		return
	}
	if faults.BannerDelay > 0 {
		select {
		case <-time.After(faults.BannerDelay):
		case <-d.closed:
		}
	}
	select {
	case d.ready <- c:
	case <-d.closed:
		_ = c.Close()
	}
}
