package chart

import (
	"image"
	"slices"
	"time"

	"rekey/audit"
)

// ticks are the distances two labels of the time axis may have.
var ticks = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 14 * day, 28 * day, 56 * day,
}

const (
	day      = 24 * time.Hour
	maxTicks = 9
)

// axis labels the time below the lanes, in UTC.
func (c *canvas) axis(x scale) {
	step := ticks[len(ticks)-1]
	for _, t := range ticks {
		if x.to.Sub(x.from) <= maxTicks*t {
			step = t
			break
		}
	}
	c.text(c.plain, faint, left-62, Height-16, "UTC")
	first := x.from.Truncate(step)
	if first.Before(x.from) {
		first = first.Add(step)
	}
	for at := first; !at.After(x.to); at = at.Add(step) {
		label := at.Format("15:04")
		if at.Truncate(day).Equal(at) {
			label = at.Format("2 Jan")
		}
		px, w := x.x(at), width(c.plain, label)
		c.fill(image.Rect(px-1, bottom, px+1, bottom+9), line)
		c.text(c.plain, ink, min(max(px-w/2, left+2), Width-8-w), Height-16, label)
	}
}

// mark is a moment with its label.
type mark struct {
	x     int
	label string
	row   int
	from  int // where the label begins
}

// maxRows bounds the lines of labels; a rotation has three moments.
const maxRows = 3

// place gives every mark a label that overlaps no other, in as few rows as do.
func (c *canvas) place(x scale, ms []audit.Mark) []mark {
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, func(a, b audit.Mark) int { return a.At.Compare(b.At) })
	var out []mark
	ends := make([]int, maxRows)
	for _, m := range ms {
		if m.At.Before(x.from) || m.At.After(x.to) {
			continue
		}
		p := mark{x: x.x(m.At), label: c.fit(c.plain, m.At.UTC().Format("15:04:05 ")+m.What, (right-left)/2), row: -1}
		w := width(c.plain, p.label)
		p.from = min(max(p.x-w/2, left), right-w)
		for i := range ends {
			if p.from >= ends[i] {
				p.row, ends[i] = i, p.from+w+18
				break
			}
		}
		out = append(out, p)
	}
	return out
}

// marks writes the labels of the marks above the lanes and answers where the lanes begin.
func (c *canvas) marks(x scale, ms []audit.Mark) int {
	rows := 0
	for _, m := range c.place(x, ms) {
		rows = max(rows, m.row+1)
		if m.row >= 0 {
			c.text(c.plain, green, m.from, top+24+m.row*row, m.label)
		}
	}
	return top + rows*row
}

// lines draws the marks through all lanes, below their labels.
func (c *canvas) lines(x scale, ms []audit.Mark) {
	placed := c.place(x, ms)
	rows := 0
	for _, m := range placed {
		rows = max(rows, m.row+1)
	}
	for _, m := range placed {
		px := min(max(m.x, left+1), right-2)
		for y := top + 4 + rows*row; y < bottom; y += 12 {
			c.fill(image.Rect(px-1, y, px+2, min(y+8, bottom)), green)
		}
	}
}
