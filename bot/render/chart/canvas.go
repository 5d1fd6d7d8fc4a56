package chart

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The colours. Red, amber and blue differ in lightness as well, for those who see no
// colours; each lane is named besides.
var (
	paper  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	ink    = color.RGBA{0x1d, 0x1c, 0x1d, 0xff}
	faint  = color.RGBA{0x5c, 0x5c, 0x60, 0xff}
	grid   = color.RGBA{0xd8, 0xd8, 0xdc, 0xff}
	line   = color.RGBA{0x9a, 0x9a, 0xa0, 0xff}
	red    = color.RGBA{0xc6, 0x10, 0x2a, 0xff}
	blush  = color.RGBA{0xfb, 0xd9, 0xdd, 0xff}
	amber  = color.RGBA{0xe0, 0x96, 0x00, 0xff}
	blue   = color.RGBA{0x35, 0x6f, 0xb0, 0xff}
	violet = color.RGBA{0x6b, 0x2f, 0x8f, 0xff}
	green  = color.RGBA{0x10, 0x6b, 0x4f, 0xff}
)

// canvas is a picture under way.
type canvas struct {
	img                *image.RGBA
	title, plain, bold font.Face
}

func newCanvas() (*canvas, error) {
	c := &canvas{img: image.NewRGBA(image.Rect(0, 0, Width, Height))}
	for _, f := range []struct {
		face *font.Face
		ttf  []byte
		size float64
	}{{&c.title, gobold.TTF, 36}, {&c.plain, goregular.TTF, 26}, {&c.bold, gobold.TTF, 26}} {
		parsed, err := opentype.Parse(f.ttf)
		if err == nil {
			*f.face, err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: f.size, DPI: 72, Hinting: font.HintingFull})
		}
		if err != nil {
			return nil, fmt.Errorf("reading the chart's font: %w", err)
		}
	}
	c.fill(c.img.Bounds(), grid) // the border
	c.fill(c.img.Bounds().Inset(2), paper)
	return c, nil
}

func (c *canvas) fill(r image.Rectangle, with color.Color) {
	draw.Draw(c.img, r, image.NewUniform(with), image.Point{}, draw.Src)
}

// text writes s with its baseline's left end at x, y.
func (c *canvas) text(face font.Face, with color.Color, x, y int, s string) {
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(with), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

func width(face font.Face, s string) int { return font.MeasureString(face, s).Ceil() }

// fit makes s one printable line no wider than most pixels.
func (c *canvas) fit(face font.Face, s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
	if width(face, s) <= most {
		return s
	}
	for runes := []rune(s); len(runes) > 0; {
		runes = runes[:len(runes)-1]
		if cut := string(runes) + "…"; width(face, cut) <= most {
			return cut
		}
	}
	return ""
}

// flag is a triangle that points down at x, y.
func (c *canvas) flag(x, y, size int, with color.Color) {
	for dy := range size {
		half := (size - dy) * 2 / 3
		c.fill(image.Rect(x-half, y-size+dy, x+half+1, y-size+dy+1), with)
	}
}
