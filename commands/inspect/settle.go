package inspect

import (
	"cmp"
	"slices"

	"rekey/audit"
	"rekey/audit/logs"
)

const textRunes = 300

// settle turns the newest events into findings, while the sources are still open: it
// reads their text and names their lines.
func (j *judge) settle(files []*source) {
	var kept []logs.Event
	for i := range j.newest {
		kept = append(kept, j.newest[i].list()...)
	}
	slices.SortStableFunc(kept, func(a, b logs.Event) int { return a.At.Compare(b.At) })
	where := placeNames(files, kept)
	for _, e := range kept {
		f := audit.Finding{
			Kind: e.Kind, At: e.At, Addr: e.Addr, Method: e.Method, Path: e.Path, Agent: e.Agent, Status: e.Status,
			Ours: j.clients.of(e.Addr).ours(e.Guarded), Guarded: e.Guarded >= 0,
		}
		for _, p := range e.Places {
			f.Sources = append(f.Sources, where[p])
		}
		slices.Sort(f.Sources)
		// One that vanished is missing its text, not its count.
		line, _ := text(files, e.Places[0])
		f.Text = audit.Clean(line, textRunes)
		j.finish = append(j.finish, f)
	}
}

// findings are the settled findings, oldest first.
func (j *judge) findings() []audit.Finding { return j.finish }

// text is the line at a place; not ok means that it vanished under us.
func text(files []*source, p logs.Place) (line string, ok bool) {
	if p.Line != "" {
		return p.Line, true
	}
	f, ok := files[p.Source].Source.(quoter)
	if !ok {
		return "", false
	}
	line, err := f.Line(p.Offset)
	return line, err == nil
}

// placeNames says what people call every place of the events.
func placeNames(files []*source, events []logs.Event) map[logs.Place]string {
	var all []logs.Place
	for _, e := range events {
		all = append(all, e.Places...)
	}
	return namesOf(files, all)
}

func namesOf(files []*source, places []logs.Place) map[logs.Place]string {
	named := map[logs.Place]string{}
	ask := make([][]int64, len(files))
	for _, p := range places {
		if named[p] = cmp.Or(p.Name, files[p.Source].name); p.Name == "" {
			ask[p.Source] = append(ask[p.Source], p.Offset)
		}
	}
	for n, file := range files {
		f, ok := file.Source.(quoter)
		if !ok {
			continue // all it can say is its own name
		}
		offsets := ask[n]
		slices.Sort(offsets)
		for k, name := range f.Names(offsets) {
			named[logs.Place{Source: n, Offset: offsets[k]}] = name
		}
	}
	return named
}
