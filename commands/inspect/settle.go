package inspect

import (
	"cmp"
	"fmt"
	"slices"

	"rekey/audit"
	"rekey/audit/logs"
)

// numberedBelow is how far into a file lines are counted to name them by number;
// counting there costs a few milliseconds. Further on the byte is named.
const numberedBelow = 64 << 20

const textRunes = 300

// settle turns the newest events into findings, while the files are still open: it
// reads their text and names their lines.
func (j *judge) settle(files []*open) {
	var kept []logs.Event
	for _, kind := range []audit.Kind{audit.InvalidSignature, audit.Denied, audit.Used} {
		list := j.newest[kind]
		kept = append(kept, list[max(0, len(list)-keep):]...)
	}
	slices.SortStableFunc(kept, func(a, b logs.Event) int { return a.At.Compare(b.At) })
	where := placeNames(files, kept)
	for _, e := range kept {
		f := audit.Finding{
			Kind: e.Kind, At: e.At, Addr: e.Addr, Method: e.Method, Path: e.Path, Agent: e.Agent, Status: e.Status,
			Ours: j.ours(e.Addr, e.Guarded), Guarded: e.Guarded >= 0,
		}
		for _, p := range e.Places {
			f.Sources = append(f.Sources, where[p])
		}
		slices.Sort(f.Sources)
		// A line that vanished under us is missing its text, not its count.
		if line, err := files[e.Places[0].Source].Line(e.Places[0].Offset); err == nil {
			f.Text = audit.Clean(line, textRunes)
		}
		j.finish = append(j.finish, f)
	}
}

// findings are the settled findings, oldest first.
func (j *judge) findings() []audit.Finding { return j.finish }

// placeNames names every place of the events as file:line or file@byte.
func placeNames(files []*open, events []logs.Event) map[logs.Place]string {
	named := map[logs.Place]string{}
	near := make([][]int64, len(files))
	for _, e := range events {
		for _, p := range e.Places {
			named[p] = fmt.Sprintf("%s@%d", files[p.Source].name, p.Offset)
			if p.Offset < numberedBelow {
				near[p.Source] = append(near[p.Source], p.Offset)
			}
		}
	}
	for n, offsets := range near {
		slices.SortFunc(offsets, cmp.Compare[int64])
		numbers, err := files[n].LineNumbers(offsets)
		if err != nil {
			continue // the bytes are good names, too
		}
		for k, offset := range offsets {
			named[logs.Place{Source: n, Offset: offset}] = fmt.Sprintf("%s:%d", files[n].name, numbers[k])
		}
	}
	return named
}
