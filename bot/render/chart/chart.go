// Package chart draws a report's timeline as a PNG: who asked for what the secret
// guards, when, and whether they were let in.
//
// It exists because a chat shows a picture the size of a hand, to somebody who has just
// been woken. So there are three lanes, each with a scale of its own: strangers that were
// let in, strangers that were refused, and our own requests. On one common scale three
// stolen requests beside ten thousand honest ones would be thinner than a hair; in a lane
// of their own they are as tall as anything else, and red.
//
// Drawing is pure: the same report gives the same bytes. Fonts are Go's own, compiled in.
// The background is opaque, so that a dark theme changes nothing.
package chart

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"time"

	"rekey/audit"
)

// Width and Height are the size of the picture in pixels. Slack shows it at about a third
// of that, where text of 26 pixels is still text.
const (
	Width  = 1200
	Height = 720
)

// The frame of the lanes.
const (
	left   = 84
	right  = Width - 32
	top    = 92
	bottom = Height - 50
	// headline is the room above each lane for what it shows, which is also the legend.
	headline = 40
	// row is the height of one line of mark labels.
	row = 29
)

// PNG draws r.
func PNG(r audit.Report) ([]byte, error) {
	c, err := newCanvas()
	if err != nil {
		return nil, err
	}
	x := newScale(r)
	c.heading(r)
	lanes := lanesOf(r.Timeline.Slots)
	y := c.marks(x, r.Timeline.Marks)
	height := (bottom-y)/len(lanes) - headline
	for _, l := range lanes {
		c.lane(x, l, r.Timeline, image.Rect(left, y+headline, right, y+headline+height))
		y += headline + height
	}
	c.lines(x, r.Timeline.Marks)
	c.axis(x)
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := e.Encode(&b, c.img); err != nil {
		return nil, fmt.Errorf("encoding the chart: %w", err)
	}
	return b.Bytes(), nil
}

// scale maps time to pixels.
type scale struct{ from, to time.Time }

// newScale spans the slots, or the window where there are none.
func newScale(r audit.Report) scale {
	s := scale{from: r.Window.Since.UTC(), to: r.Window.Until.UTC()}
	if n := len(r.Timeline.Slots); n > 0 {
		s.from = r.Timeline.Slots[0].At.UTC()
		s.to = r.Timeline.Slots[n-1].At.UTC().Add(r.Timeline.Step)
	}
	if !s.from.Before(s.to) {
		s.to = s.from.Add(time.Minute)
	}
	return s
}

func (s scale) x(at time.Time) int {
	width := float64(right - left)
	at = at.UTC()
	switch {
	case at.Before(s.from):
		return left
	case at.After(s.to):
		return right
	}
	return left + int(width*(float64(at.Sub(s.from))/float64(s.to.Sub(s.from))))
}

// heading says of what and of when the picture is.
func (c *canvas) heading(r audit.Report) {
	c.text(c.title, ink, left-56, 44, c.fit(c.title, r.Secret+" in "+r.Environment, right-left+56))
	when := "no time"
	if !r.Window.Since.IsZero() {
		when = stamp(r.Window.Since) + " to " + stamp(r.Window.Until) + " UTC"
	}
	if r.Timeline.Step > 0 {
		when += ", requests per " + words(r.Timeline.Step)
	}
	c.text(c.plain, faint, left-56, 80, c.fit(c.plain, when, right-left+56))
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") }

// words is the length of a slot.
func words(d time.Duration) string {
	unit, name := time.Minute, "minute"
	switch {
	case d%(24*time.Hour) == 0:
		unit, name = 24*time.Hour, "day"
	case d%time.Hour == 0:
		unit, name = time.Hour, "hour"
	}
	if d == unit {
		return name
	}
	return fmt.Sprintf("%d %ss", d/unit, name)
}
