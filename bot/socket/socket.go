// Package socket keeps a Slack Socket Mode connection alive and hands every
// envelope to one handler, acknowledging it only after the handler has returned.
//
// It exists because the receive loop is where commands get lost: a client that
// acknowledges into a queue in memory forgets them in a crash, one that closes
// before it reconnects misses what is typed in between, and one that starts a
// goroutine per envelope has no limit and nothing to wait for at shutdown. Here
//
//   - the handler commits, then the acknowledgement is written, on the connection
//     the envelope came from or, when that has died, on another open one;
//   - a connection Slack asks us to leave is read until Slack closes it, and its
//     successor has said hello before anything else happens;
//   - handlers, and the envelopes waiting for one, are bounded: past that the
//     connection is simply not read, which Slack sees as back-pressure;
//   - shutdown finishes what was received, acknowledgements included, and closes.
//
// Payloads are never logged: people paste secrets into commands.
//
// The protocol is Slack's: https://docs.slack.dev/apis/events-api/using-socket-mode
package socket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// Config is what a Keeper needs. API, Handle and Log are required; a zero duration
// or number means the default named beside it.
type Config struct {
	// API opens connections (apps.connections.open); it holds the app-level token.
	API *slack.Client
	// Handle is called once for every envelope, on one of Handlers goroutines. ack
	// is sent to Slack as the envelope's response payload (nil for none). An error
	// leaves the envelope unacknowledged, so that Slack tells the person or delivers
	// it again. Handle must make whatever it promises durable before it returns.
	Handle func(ctx context.Context, e Envelope) (ack any, err error)
	Log    *slog.Logger
	// Scrub is the outbound guard: every acknowledgement passes it before it is
	// written. It must leave JSON valid. Nil means that nothing is scrubbed.
	Scrub func([]byte) []byte

	// HTTPClient dials the WebSocket; nil means one of our own. The time limit is
	// OpenTimeout.
	HTTPClient *http.Client
	// Handlers bounds the handlers running at once; 64.
	Handlers int
	// Queue bounds the envelopes received and waiting for a handler; 256.
	Queue int

	OpenTimeout  time.Duration // each of: asking for a URL, dialling, waiting for hello; 10 s
	WriteTimeout time.Duration // one acknowledgement; 2 s
	PingTimeout  time.Duration // silence after which a connection is given up; 30 s
	Linger       time.Duration // how long a replaced connection is still read; 15 s
	AckWait      time.Duration // how long an acknowledgement waits for a connection when all are down; 3 s
	Grace        time.Duration // shutdown: how long handlers in flight may take; 10 s
	MinBackoff   time.Duration // first pause between attempts; 250 ms
	MaxBackoff   time.Duration // longest pause between attempts; 30 s
	DisabledWait time.Duration // pause while Socket Mode is turned off; 60 s
	// Now stamps Envelope.Arrived; nil means time.Now.
	Now func() time.Time
}

// Keeper owns the connections. Make one with New and call Run once.
type Keeper struct {
	cfg   Config
	queue chan received

	mu     sync.Mutex
	open   []*conn       // newest last; those an acknowledgement may be written on
	opened chan struct{} // closed and replaced whenever open grows

	stopping chan struct{} // closed at shutdown: envelopes are no longer taken
	readers  sync.WaitGroup
	handlers sync.WaitGroup
	inFlight sync.WaitGroup // envelopes taken and not yet dealt with
}

// received is an envelope and the connection it came from.
type received struct {
	Envelope
	from *conn
}

// New checks cfg and fills in its defaults.
func New(cfg Config) (*Keeper, error) {
	switch {
	case cfg.API == nil:
		return nil, errors.New("socket: Config.API is missing")
	case cfg.Handle == nil:
		return nil, errors.New("socket: Config.Handle is missing")
	case cfg.Log == nil:
		return nil, errors.New("socket: Config.Log is missing")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	orElse(&cfg.Handlers, 64)
	orElse(&cfg.Queue, 256)
	orElse(&cfg.OpenTimeout, 10*time.Second)
	orElse(&cfg.WriteTimeout, 2*time.Second)
	orElse(&cfg.PingTimeout, 30*time.Second)
	orElse(&cfg.Linger, 15*time.Second)
	orElse(&cfg.AckWait, 3*time.Second)
	orElse(&cfg.Grace, 10*time.Second)
	orElse(&cfg.MinBackoff, 250*time.Millisecond)
	orElse(&cfg.MaxBackoff, 30*time.Second)
	orElse(&cfg.DisabledWait, time.Minute)
	return &Keeper{
		cfg:      cfg,
		queue:    make(chan received, cfg.Queue),
		opened:   make(chan struct{}),
		stopping: make(chan struct{}),
	}, nil
}

func orElse[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Connected reports whether at least one connection is open and past its hello.
func (k *Keeper) Connected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.open) > 0
}

// Run keeps a connection open until ctx ends, then shuts down in order and
// returns nil. It returns early only with a *FatalError: Slack refuses our token,
// which no amount of retrying mends; what was received is still finished.
func (k *Keeper) Run(ctx context.Context) error {
	handlerCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for range k.cfg.Handlers {
		k.handlers.Go(func() { k.handleAll(handlerCtx) })
	}
	err := k.keep(ctx)
	k.shutdown(cancel)
	return err
}

// keep holds one current connection at a time, opening its successor before the
// old one is left, and returns nil when ctx ends.
func (k *Keeper) keep(ctx context.Context) error {
	pause := backoff{min: k.cfg.MinBackoff, max: k.cfg.MaxBackoff}
	for ctx.Err() == nil {
		c, err := k.establish(ctx)
		if err != nil {
			if fatal := fatalFrom(err); fatal != nil {
				return fatal
			}
			k.rest(ctx, err, &pause)
			continue
		}
		pause.floor = 0
		k.serve(c)
		select {
		case <-ctx.Done():
		case <-c.leave:
			k.settle(ctx, c, &pause)
		}
	}
	return nil
}

// settle decides how long to wait before replacing c, which asked to be left. A
// connection that had lived for a while is replaced at once; one that had not
// makes the next attempt wait, so that nothing can become a tight loop.
func (k *Keeper) settle(ctx context.Context, c *conn, pause *backoff) {
	if time.Since(c.since) > k.cfg.MaxBackoff {
		pause.reset()
	}
	if c.why.err != nil || c.why.word == linkDisabled || c.why.word == tooMany || pause.used() {
		k.rest(ctx, c.why, pause)
		return
	}
	k.cfg.Log.Info("Slack asked for a new connection", "reason", word(c.why.word))
	pause.next() // the next one waits, should its predecessor be short-lived
}

// rest waits as long as err calls for, or until ctx ends.
func (k *Keeper) rest(ctx context.Context, err error, pause *backoff) {
	var limited *slack.RateLimitedError
	var r departure
	disabled := errors.As(err, &r) && r.word == linkDisabled
	if disabled {
		pause.floor = k.cfg.DisabledWait
	}
	wait := pause.next()
	switch {
	case ctx.Err() != nil:
		return
	case errors.As(err, &limited):
		wait = max(wait, limited.RetryAfter)
		k.cfg.Log.Warn("Slack limits how often we may connect", "again_in", wait)
	case disabled:
		k.cfg.Log.Error("Socket Mode is turned off for this Slack app: no command reaches rekey. "+
			"Turn it on again under Settings > Socket Mode of the app", "again_in", wait)
	default:
		k.cfg.Log.Warn("no connection to Slack", "why", class(err), "again_in", wait)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// shutdown stops taking envelopes, lets those taken be handled and acknowledged,
// and closes every connection. After Grace the handlers' context is cancelled.
func (k *Keeper) shutdown(cancel context.CancelFunc) {
	k.mu.Lock()
	close(k.stopping)
	k.mu.Unlock()

	done := make(chan struct{})
	go func() {
		k.inFlight.Wait()
		close(done)
	}()
	t := time.NewTimer(k.cfg.Grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		k.cfg.Log.Warn("handlers did not finish in time and are being cancelled", "grace", k.cfg.Grace)
		cancel()
		<-done
	}

	k.mu.Lock()
	open := append([]*conn(nil), k.open...)
	k.mu.Unlock()
	var closing sync.WaitGroup
	for _, c := range open {
		closing.Go(c.close)
	}
	closing.Wait()
	k.readers.Wait()
	close(k.queue)
	k.handlers.Wait()
}
