// Package bot is the door for Slack: it takes envelopes from the Socket Mode
// connection, reads the command in them, asks the desk, and answers within the
// three seconds Slack gives. It decides nothing and keeps nothing: policy, the
// transaction that makes a command durable, and recognising one delivered twice
// are the desk's.
package bot

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"rekey/bot/socket"
	"rekey/commands"
)

// Desk takes requests. Take returns once the request is durable or certain not to
// be; it honours ctx's deadline, and its errors wrap ledger.ErrNotStarted and
// ledger.ErrUnknownOutcome where those apply. A request whose ID was taken before
// gets the same answer again and starts nothing.
type Desk interface {
	Take(ctx context.Context, req commands.Request) (commands.Answer, error)
}

// Config is what a Bot needs.
type Config struct {
	// API holds the app-level token (scope connections:write).
	API  *slack.Client
	Desk Desk
	Log  *slog.Logger
	// Scrub is the outbound guard that answers pass, for they leave by a WebSocket and
	// not by an HTTP client; see socket.Config.
	Scrub func([]byte) []byte
	// Panicked is told of a panic in the desk (for the error tracker); may be nil.
	Panicked func(any)
	// Reply posts answers to clicks; it should pass the outbound guard. nil means a client
	// of our own.
	Reply *http.Client
	// HTTPClient dials the WebSocket; nil means one of our own.
	HTTPClient *http.Client
	// TakeWithin bounds Desk.Take, counted from the envelope's arrival; 0 means 2.2 s.
	TakeWithin time.Duration
	// AnswerWithin is when the person is answered whatever the desk does, counted
	// likewise; 0 means 2.7 s. Slack gives up after 3 s.
	AnswerWithin time.Duration
	Now          func() time.Time // nil means time.Now
	// Socket overrides the connection's timings; API, Handle, Log, Scrub, HTTPClient
	// and Now in it are ignored.
	Socket socket.Config
}

// Bot answers Slack. Make one with New and call Run once.
type Bot struct {
	cfg    Config
	keeper *socket.Keeper
}

// New checks cfg.
func New(cfg Config) (*Bot, error) {
	if cfg.Desk == nil {
		return nil, errors.New("bot: Config.Desk is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Reply == nil {
		cfg.Reply = &http.Client{Timeout: 3 * time.Second}
	}
	if cfg.TakeWithin <= 0 {
		cfg.TakeWithin = 2200 * time.Millisecond
	}
	if cfg.AnswerWithin <= 0 {
		cfg.AnswerWithin = 2700 * time.Millisecond
	}
	b := &Bot{cfg: cfg}
	sc := cfg.Socket
	sc.API, sc.Handle, sc.Log, sc.Scrub, sc.HTTPClient, sc.Now = cfg.API, b.handle, cfg.Log, cfg.Scrub, cfg.HTTPClient, cfg.Now
	keeper, err := socket.New(sc)
	if err != nil {
		return nil, err
	}
	b.keeper = keeper
	return b, nil
}

// Run serves until ctx ends, finishes what was received and returns nil. A
// *socket.FatalError means that Slack refuses the token.
func (b *Bot) Run(ctx context.Context) error { return b.keeper.Run(ctx) }

// Connected reports whether commands can reach us at the moment.
func (b *Bot) Connected() bool { return b.keeper.Connected() }
