package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
)

type speaker struct{ text string }

func (s speaker) String() string { return s.text }

type resolver struct{ text string }

func (r resolver) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", r.text), slog.Any("error", errors.New(r.text)))
}

func TestHandlerScrubsEveryKind(t *testing.T) {
	t.Parallel()
	for kind, v := range awkward {
		g := guardOf(t, v)
		for _, format := range []string{"text", "json"} {
			var b bytes.Buffer
			var next slog.Handler = slog.NewTextHandler(&b, nil)
			if format == "json" {
				next = slog.NewJSONHandler(&b, nil)
			}
			log := slog.New(g.Handler(next)).With("with", v, slog.Group("group", "in", v)).WithGroup("g").With("late", v)
			log.Info("message "+v, //nolint:sloglint // a value in the message is what is tested
				"string", v, v, "as a key", "error", fmt.Errorf("wrapped: %w", errors.New(v)), "bytes", []byte(v), "slice", []string{v},
				"map", map[string]any{"k": v}, "struct", struct{ A string }{v}, "pointer", &struct{ A string }{v}, "speaker", speaker{v},
				"resolver", resolver{v}, "nil", nil, slog.Group("nested", slog.Group("twice", "k", v)), "raw", json.RawMessage(`{"a":1}`),
			)
			if g.Holds(b.Bytes()) || strings.Contains(b.String(), v) {
				t.Errorf("%s value in %s: %s", kind, format, g.ScrubString(b.String()))
			}
			if n := strings.Count(b.String(), redacted); n < 14 {
				t.Errorf("%s value in %s: %d places are redacted", kind, format, n)
			}
		}
	}
}

func TestHandlerScrubsWhatIsLearntLater(t *testing.T) {
	t.Parallel()
	v := awkward["hex"]
	g := guardOf(t)
	var b bytes.Buffer
	log := slog.New(g.Handler(slog.NewTextHandler(&b, nil))).With("early", v)
	log.Info("before")
	b.Reset()
	g.Add(Fingerprints(testKey(t), "S", "e", RoleLive, NewValue(v)))
	log.Info("after")
	if strings.Contains(b.String(), v) {
		t.Error("a value given to With before it was known came through")
	}
}

// TestHandlerIsAHandler runs the standard library's own checks of a handler.
func TestHandlerIsAHandler(t *testing.T) {
	t.Parallel()
	g := guardOf(t, awkward["hex"])
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return g.Handler(slog.NewJSONHandler(&b, nil))
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}
