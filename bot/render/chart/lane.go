package chart

import (
	"fmt"
	"image"
	"image/color"
	"strconv"

	"rekey/audit"
)

// series is one kind of request.
type series struct {
	name   string
	colour color.RGBA
	count  func(audit.Slot) int
	total  int
}

// lane is a strip with a scale of its own; its series are stacked.
type lane struct {
	series []series
	// loud: not one of these may be overlooked.
	loud bool
}

func lanesOf(slots []audit.Slot) []lane {
	lanes := []lane{
		{loud: true, series: []series{{name: "Not ours, let in", colour: red, count: func(s audit.Slot) int { return s.StrangersAccepted }}}},
		{series: []series{{name: "Not ours, refused", colour: amber, count: func(s audit.Slot) int { return s.StrangersRefused }}}},
		{series: []series{
			{name: "Ours, let in", colour: blue, count: func(s audit.Slot) int { return s.OursAccepted }},
			{name: "Ours, refused", colour: violet, count: func(s audit.Slot) int { return s.OursRefused }},
		}},
	}
	for _, l := range lanes {
		for i := range l.series {
			for _, s := range slots {
				l.series[i].total += l.series[i].count(s)
			}
		}
	}
	return lanes
}

// peak is the highest bar.
func (l lane) peak(slots []audit.Slot) int {
	most := 0
	for _, s := range slots {
		sum := 0
		for _, x := range l.series {
			sum += x.count(s)
		}
		most = max(most, sum)
	}
	return most
}

// Every bar that is not zero has at least this size, so that one request is seen at the
// size of a thumbnail.
const (
	leastHeight = 8
	leastWidth  = 4
	loudHeight  = 16
	loudWidth   = 14
)

// lane draws l into r, what it shows above it.
func (c *canvas) lane(x scale, l lane, t audit.Timeline, r image.Rectangle) {
	peak := l.peak(t.Slots)
	c.fill(image.Rect(r.Min.X, r.Max.Y-1, r.Max.X, r.Max.Y+1), line)
	if peak > 0 {
		c.fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+1), grid)
		label := short(peak)
		c.text(c.plain, faint, r.Min.X-10-width(c.plain, label), r.Min.Y+10, label)
	}
	c.text(c.plain, faint, r.Min.X-10-width(c.plain, "0"), r.Max.Y+2, "0")
	if l.loud {
		for _, s := range t.Slots {
			if l.peakOf(s) > 0 {
				c.fill(bar(x, t, s, loudWidth+8, r.Min.Y, r.Max.Y-1), blush)
			}
		}
	}
	flags := l.loud && l.busy(t.Slots) <= maxFlags
	for _, s := range t.Slots {
		c.bar(x, l, t, s, r, peak, flags)
	}
	c.legend(l, r, len(t.Slots) > 0)
}

// maxFlags is how many slots are pointed at; more would hide each other.
const maxFlags = 40

// busy counts the slots that have anything.
func (l lane) busy(slots []audit.Slot) (n int) {
	for _, s := range slots {
		if l.peakOf(s) > 0 {
			n++
		}
	}
	return n
}

func (l lane) peakOf(s audit.Slot) int { return l.peak([]audit.Slot{s}) }

// bar draws the requests of one slot, the series one above the other.
func (c *canvas) bar(x scale, l lane, t audit.Timeline, s audit.Slot, r image.Rectangle, peak int, flag bool) {
	wide, high, room, y := leastWidth, leastHeight, r.Dy()-2, r.Max.Y-1
	if l.loud {
		wide, high, room = loudWidth, loudHeight, room-22 // for the flag above it
	}
	for _, e := range l.series {
		n := e.count(s)
		if n == 0 {
			continue
		}
		h := min(max(room*n/peak, high), y-r.Min.Y)
		c.fill(bar(x, t, s, wide, y-h, y), e.colour)
		y -= h
	}
	if flag && y < r.Max.Y-1 {
		b := bar(x, t, s, wide, y, y)
		c.flag((b.Min.X+b.Max.X)/2, y-3, 16, red)
	}
}

// bar is the stretch of a slot between two heights, at least wide and inside the frame.
func bar(x scale, t audit.Timeline, s audit.Slot, wide, from, to int) image.Rectangle {
	x0, x1 := x.x(s.At), x.x(s.At.Add(t.Step))
	if x1-x0 > 6 {
		x1-- // a hair between neighbours
	}
	if more := wide - (x1 - x0); more > 0 {
		x0 -= more / 2
		x1 = x0 + wide
	}
	if x0 < left {
		x0, x1 = left, left+(x1-x0)
	}
	if x1 > right {
		x0, x1 = right-(x1-x0), right
	}
	return image.Rect(x0, from, x1, to)
}

// legend names the series of a lane and counts them. Where nothing could be read it does
// not say that there was nothing.
func (c *canvas) legend(l lane, r image.Rectangle, known bool) {
	x, y := r.Min.X, r.Min.Y-11
	for _, e := range l.series {
		face, with, label := c.plain, ink, e.name+": "+audit.Number(e.total)
		switch {
		case !known:
			with, label = faint, e.name+": not known"
		case e.total == 0:
			with, label = faint, e.name+": none"
		case l.loud:
			face, with = c.bold, red
		}
		c.fill(image.Rect(x-2, y-22, x+width(face, label)+34, y+7), paper)
		c.fill(image.Rect(x, y-18, x+20, y+2), e.colour)
		c.text(face, with, x+29, y, label)
		x += 29 + width(face, label) + 36
	}
}

// short prints a number in at most five characters.
func short(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%dM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%dk", n/1e3)
	}
	return strconv.Itoa(n)
}
