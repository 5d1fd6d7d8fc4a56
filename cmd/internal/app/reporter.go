package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/getsentry/sentry-go"

	"rekey/commands/secret"
)

// reporter sends rekey's own errors to Sentry: every record the log takes at level
// Error, and every panic the job engine caught. What it sends holds the record's
// message and attributes, scrubbed, and nothing of the machine or the person.
type reporter struct {
	hub   *sentry.Hub
	guard *secret.Guard
}

func newReporter(cfg Config, guard *secret.Guard) (*reporter, error) {
	r := &reporter{guard: guard}
	if cfg.Settings.SentryDSN.IsZero() {
		return r, nil
	}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn:           cfg.Settings.SentryDSN.Reveal(),
		Release:       cfg.Version,
		HTTPTransport: guard.Transport(http.DefaultTransport),
		ServerName:    "rekey",
		BeforeSend:    r.scrub,
	})
	if err != nil {
		// The library's text may quote the DSN.
		return nil, fmt.Errorf("REKEY_SENTRY_DSN is not a DSN that Sentry's client understands; copy it again from the project's settings")
	}
	r.hub = sentry.NewHub(client, sentry.NewScope())
	return r, nil
}

// scrub passes every text of an event through the guard.
func (r *reporter) scrub(e *sentry.Event, _ *sentry.EventHint) *sentry.Event {
	e.Message = r.guard.ScrubString(e.Message)
	for i := range e.Exception {
		e.Exception[i].Value = r.guard.ScrubString(e.Exception[i].Value)
	}
	e.User, e.Request = sentry.User{}, nil
	return e
}

// panicked reports a panic that was caught; its value is not sent, it can be
// anything.
func (r *reporter) panicked(v any) {
	r.send("panic in a job", []slog.Attr{slog.String("type", fmt.Sprintf("%T", v))})
}

func (r *reporter) send(message string, attrs []slog.Attr) {
	if r.hub == nil {
		return
	}
	e := sentry.NewEvent()
	e.Level, e.Message = sentry.LevelError, message
	fields := sentry.Context{}
	for _, a := range attrs {
		fields[a.Key] = r.guard.ScrubString(a.Value.String())
	}
	e.Contexts = map[string]sentry.Context{"rekey": fields}
	r.hub.CaptureEvent(e)
}

func (r *reporter) flush() {
	if r.hub != nil {
		r.hub.Flush(2 * time.Second)
	}
}

// handler passes records on and reports those at level Error.
func (r *reporter) handler(next slog.Handler) slog.Handler {
	if r.hub == nil {
		return next
	}
	return &reporting{Handler: next, to: r}
}

type reporting struct {
	slog.Handler
	to    *reporter
	attrs []slog.Attr
}

func (h *reporting) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelError {
		attrs := slices.Clone(h.attrs)
		rec.Attrs(func(a slog.Attr) bool {
			attrs = append(attrs, a)
			return true
		})
		h.to.send(rec.Message, attrs)
	}
	return h.Handler.Handle(ctx, rec)
}

func (h *reporting) WithAttrs(as []slog.Attr) slog.Handler {
	return &reporting{Handler: h.Handler.WithAttrs(as), to: h.to, attrs: append(slices.Clone(h.attrs), as...)}
}

func (h *reporting) WithGroup(name string) slog.Handler {
	return &reporting{Handler: h.Handler.WithGroup(name), to: h.to, attrs: h.attrs}
}
