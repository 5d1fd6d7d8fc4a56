package socket

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// maxFrame bounds one message from Slack; its largest documented payloads
// (interactive views) are far below.
const maxFrame = 4 << 20

// conn is one open connection that has said hello.
type conn struct {
	ws    *websocket.Conn
	since time.Time
	// heard is when anything last arrived, in nanoseconds since since; full is set
	// while the queue keeps us from reading, when silence means nothing.
	heard atomic.Int64
	full  atomic.Bool

	leave     chan struct{} // closed when a successor is needed
	leaveOnce sync.Once
	why       departure // set before leave is closed
	dead      chan struct{}
}

func (c *conn) touch()                { c.heard.Store(int64(time.Since(c.since))) }
func (c *conn) silent() time.Duration { return time.Since(c.since) - time.Duration(c.heard.Load()) }

func (c *conn) ask(d departure) {
	c.leaveOnce.Do(func() {
		c.why = d
		close(c.leave)
	})
}

func (c *conn) write(ctx context.Context, b []byte) error {
	return c.ws.Write(ctx, websocket.MessageText, b)
}

// close says goodbye; it waits some seconds at most for Slack to say it too.
func (c *conn) close() { _ = c.ws.Close(websocket.StatusNormalClosure, "") }

// establish opens one connection and waits for its hello.
func (k *Keeper) establish(ctx context.Context) (*conn, error) {
	url, err := k.askURL(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{since: time.Now(), leave: make(chan struct{}), dead: make(chan struct{})}
	dialCtx, cancel := context.WithTimeout(ctx, k.cfg.OpenTimeout)
	defer cancel()
	ws, _, err := websocket.Dial(dialCtx, url, &websocket.DialOptions{
		HTTPClient: k.cfg.HTTPClient,
		HTTPHeader: http.Header{"Origin": {"https://api.slack.com"}},
		OnPingReceived: func(context.Context, []byte) bool {
			c.touch()
			return true
		},
	})
	if err != nil {
		return nil, fmt.Errorf("dialling Slack: %w", err)
	}
	ws.SetReadLimit(maxFrame)
	c.ws = ws
	if err := k.awaitHello(ctx, c); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	c.touch()
	return c, nil
}

func (k *Keeper) askURL(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.OpenTimeout)
	defer cancel()
	_, url, err := k.cfg.API.StartSocketModeContext(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("asking Slack for a connection: %w", err)
	case url == "": // {"ok":false} without an error passes slack-go as success
		return "", errNoURL
	}
	return url, nil
}

func (k *Keeper) awaitHello(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.OpenTimeout)
	defer cancel()
	for {
		_, b, err := c.ws.Read(ctx)
		if err != nil {
			return fmt.Errorf("waiting for hello: %w", err)
		}
		f, err := decode(b)
		switch {
		case err != nil:
			return err
		case f.Type == typeHello:
			return nil
		case f.Type == typeDisconnect:
			return departure{word: f.Reason}
		}
	}
}

// serve makes c the newest open connection and starts reading it.
func (k *Keeper) serve(c *conn) {
	k.mu.Lock()
	k.open = append(k.open, c)
	older := append([]*conn(nil), k.open[:len(k.open)-1]...)
	close(k.opened)
	k.opened = make(chan struct{})
	k.mu.Unlock()
	k.cfg.Log.Info("connected to Slack")

	k.readers.Go(func() { k.read(c) })
	k.readers.Go(func() { k.watch(c) })
	for _, old := range older {
		k.readers.Go(func() { k.retire(old) })
	}
}

// retire closes a replaced connection once Slack has had time to close it itself.
// Closing at once would throw away what Slack has sent on it and we have not read.
func (k *Keeper) retire(old *conn) {
	t := time.NewTimer(k.cfg.Linger)
	defer t.Stop()
	select {
	case <-old.dead:
	case <-k.stopping: // shutdown closes it
	case <-t.C:
		old.close()
	}
}

// read takes envelopes from c until it breaks or is closed. Reading does not stop
// at shutdown, for a read given up closes the connection and acknowledgements may
// still have to go out on it; what arrives then is left to be delivered elsewhere.
func (k *Keeper) read(c *conn) {
	defer k.drop(c)
	for {
		_, b, err := c.ws.Read(context.Background())
		if err != nil {
			c.ask(departure{err: err})
			return
		}
		c.touch()
		f, err := decode(b)
		switch {
		case err != nil:
			k.cfg.Log.Warn("ignoring a message from Slack", "why", class(err))
		case f.Type == typeDisconnect:
			c.ask(departure{word: f.Reason})
		case f.ID != "":
			k.take(c, f)
		}
	}
}

// drop forgets c: nothing can be written on it any more.
func (k *Keeper) drop(c *conn) {
	k.mu.Lock()
	for i, o := range k.open {
		if o == c {
			k.open = append(k.open[:i:i], k.open[i+1:]...)
			break
		}
	}
	k.mu.Unlock()
	close(c.dead)
	_ = c.ws.CloseNow()
}

// watch gives c up when it has been silent for too long.
func (k *Keeper) watch(c *conn) {
	t := time.NewTicker(max(k.cfg.PingTimeout/4, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-t.C:
			if !c.full.Load() && c.silent() > k.cfg.PingTimeout {
				c.ask(departure{err: errSilent})
				_ = c.ws.CloseNow()
				return
			}
		}
	}
}
