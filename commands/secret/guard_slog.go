package secret

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// Handler answers a slog handler that scrubs messages and attributes, of whatever
// kind, before next sees them. Attributes of With are scrubbed when a record is
// written, not when they are given: a value may have become known in between.
func (g *Guard) Handler(next slog.Handler) slog.Handler {
	return &handler{guard: g, next: next}
}

type handler struct {
	guard *Guard
	next  slog.Handler
	with  []func(*Guard, slog.Handler) slog.Handler
	built atomic.Pointer[built]
}

// built is next with everything of With applied, as scrubbed under one index.
type built struct {
	index *index
	h     slog.Handler
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.guard.ScrubString(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.guard.attr(a))
		return true
	})
	return h.target().Handle(ctx, clean) //nolint:wrapcheck // a handler's error is its caller's
}

func (h *handler) target() slog.Handler {
	if len(h.with) == 0 {
		return h.next
	}
	x := h.guard.index.Load()
	if b := h.built.Load(); b != nil && b.index == x {
		return b.h
	}
	t := h.next
	for _, apply := range h.with {
		t = apply(h.guard, t)
	}
	h.built.Store(&built{index: x, h: t})
	return t
}

func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	return h.and(func(g *Guard, next slog.Handler) slog.Handler {
		clean := make([]slog.Attr, len(as))
		for i, a := range as {
			clean[i] = g.attr(a)
		}
		return next.WithAttrs(clean)
	})
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.and(func(_ *Guard, next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *handler) and(apply func(*Guard, slog.Handler) slog.Handler) slog.Handler {
	return &handler{guard: h.guard, next: h.next, with: append(h.with[:len(h.with):len(h.with)], apply)}
}

func (g *Guard) attr(a slog.Attr) slog.Attr {
	a.Key = g.ScrubString(a.Key)
	a.Value = g.value(a.Value.Resolve())
	return a
}

func (g *Guard) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(g.ScrubString(v.String()))
	case slog.KindGroup:
		as := v.Group()
		clean := make([]slog.Attr, len(as))
		for i, a := range as {
			clean[i] = g.attr(a)
		}
		return slog.GroupValue(clean...)
	case slog.KindAny:
		return g.any(v)
	default: // numbers, times and booleans hold no value
		return v
	}
}

// any keeps v as it is unless one of the ways a handler may print it shows a known
// value; then it becomes that text, scrubbed.
func (g *Guard) any(v slog.Value) slog.Value {
	a := v.Any()
	text := fmt.Sprintf("%+v", a)
	if b, ok := a.([]byte); ok {
		text = string(b)
	}
	if clean := g.ScrubString(text); clean != text {
		return slog.StringValue(clean)
	}
	if b, err := json.Marshal(a); err == nil {
		if clean, found := g.Scrub(b); found > 0 {
			return slog.StringValue(string(clean))
		}
	}
	return v
}
