package inspect

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

const (
	// topExposed is how many places a report names where the value stands.
	topExposed = 20
	// lead is how many bytes of a line are shown before the value.
	lead = 100
	// masked stands where a value was.
	masked = "[redacted]"
)

// exposed is what became of the search for the value itself in the logs.
type exposed struct {
	list  []audit.Exposure
	lines int
	gaps  []audit.Gap
}

// expose looks for the secret's values, those that are long gone too, in the files that
// are open: a log that holds one is a leak by itself, and often the leak that is looked
// for. It comes after the evidence, with the time that is left. Log servers are not
// asked: a value is not sent anywhere to learn whether it is there.
func (i *Inspector) expose(ctx context.Context, files []*source, q logs.Query, tracer *secret.Tracer) exposed {
	var out exposed
	q.Trace = func(text []byte) []logs.Hit {
		var hits []logs.Hit
		for _, t := range tracer.Find(text) {
			hits = append(hits, logs.Hit{From: t.From, To: t.To, Whole: t.Whole})
		}
		return hits
	}
	for _, f := range files {
		if _, file := f.Source.(*logs.Set); !file {
			continue
		}
		var places []logs.Place
		var records []logs.Record
		_, err := f.Scan(ctx, q, func(r logs.Record) error {
			if out.lines++; len(out.list)+len(records) < topExposed {
				places = append(places, logs.Place{Offset: r.Offset, Name: r.Name, Line: r.Line})
				records = append(records, r)
			}
			return nil
		})
		only := []*source{f}
		where := namesOf(only, places)
		for n, p := range places {
			line, _ := text(only, p) // one that vanished is missing its text
			out.list = append(out.list, audit.Exposure{
				Source: where[p], At: records[n].At, Whole: records[n].Whole, Text: hidden(line, tracer),
			})
		}
		if err != nil {
			out.gaps = append(out.gaps, audit.Gap{Source: f.name, Why: "Not all of it was searched for the value itself: time ran out, or it could not be read to its end. Ask again, for a shorter window or with more time."})
		}
	}
	return out
}

// hidden is the part of a line around the first value in it, with all values masked.
func hidden(line string, tracer *secret.Tracer) string {
	found := tracer.Find([]byte(line))
	var b strings.Builder
	at := 0
	if len(found) > 0 && found[0].From > lead {
		at = found[0].From - lead
		b.WriteString("…")
	}
	for _, t := range found {
		b.WriteString(line[at:t.From] + masked)
		at = t.To
	}
	b.WriteString(line[at:])
	return audit.Clean(b.String(), textRunes)
}

// tracing is what finds the secret's values; tracer is nil where there is nothing to look
// for.
type tracing struct {
	tracer *secret.Tracer
	gaps   []audit.Gap
}

// trace begins to get ready what finds the secret's values, and answers how to wait for
// it: stores that do not answer must not hold up the evidence.
func (i *Inspector) trace(ctx context.Context, req Request, environment string) func() tracing {
	if i.cfg.Tracer == nil || req.Brief {
		return func() tracing { return tracing{} }
	}
	ready := sync.OnceValue(func() tracing {
		t, err := i.cfg.Tracer(ctx, req.Secret, environment)
		switch {
		case err != nil:
			return tracing{gaps: []audit.Gap{{Source: "values in logs", Why: fmt.Sprintf("Whether the logs hold the value itself was not looked at: %v.", err)}}}
		case t == nil || t.Empty():
			return tracing{}
		}
		return tracing{tracer: t}
	})
	go ready()
	return ready
}
