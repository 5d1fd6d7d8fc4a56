package chart_test

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/bot/render/chart"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// report is a report of the last span before noon, in slots of step.
func report(span, step time.Duration, fill func(i, n int, s *audit.Slot), marks ...audit.Mark) audit.Report {
	r := audit.Report{
		Secret: "REVALIDATE_SECRET", Environment: "production",
		Window:   audit.Window{Since: noon.Add(-span), Until: noon},
		Timeline: audit.Timeline{Step: step, Marks: marks},
	}
	n := int(span / step)
	for i := range n {
		s := audit.Slot{At: noon.Add(-span + time.Duration(i)*step)}
		if fill != nil {
			fill(i, n, &s)
		}
		r.Timeline.Slots = append(r.Timeline.Slots, s)
	}
	return r
}

// rotation is the three moments of a compromised rotation that took some seconds.
func rotation(at time.Time) []audit.Mark {
	return []audit.Mark{
		{At: at, What: "rotation asked for"},
		{At: at.Add(3 * time.Second), What: "new value in use"},
		{At: at.Add(4 * time.Second), What: "old value dead"},
	}
}

// pictures are what the chart has to be readable for.
func pictures() map[string]audit.Report {
	const day = 24 * time.Hour
	return map[string]audit.Report{
		"nothing":   report(day, 6*time.Minute, nil),
		"unread":    {Secret: "REVALIDATE_SECRET", Environment: "production", Window: audit.Window{Since: noon.Add(-day), Until: noon}},
		"one-spike": report(day, 6*time.Minute, func(i, _ int, s *audit.Slot) { s.StrangersRefused = btoi(i == 77) * 412 }),
		"three-beside-ten-thousand": report(day, 6*time.Minute, func(i, n int, s *audit.Slot) {
			s.OursAccepted = 42 + (i*37)%9
			s.StrangersAccepted = btoi(i == 30) + btoi(i == 171)*2
			s.StrangersRefused = btoi(i > 20 && i < 30) * (i % 4)
			s.OursRefused = btoi(i == n-1) * 2
		}, rotation(noon.Add(-40*time.Minute))...),
		"seven-days": report(7*day, time.Hour, func(i, _ int, s *audit.Slot) {
			s.OursAccepted = 300 - (i*13)%200
			s.StrangersRefused = (i * i) % 7
			s.StrangersAccepted = btoi(i%24 == 3)
		}, rotation(noon.Add(-75*time.Hour))...),
		"marks-at-the-edges": report(time.Hour, time.Minute, func(i, n int, s *audit.Slot) {
			s.OursAccepted = 3
			s.StrangersAccepted = btoi(i == 0) + btoi(i == n-1)
		}, append([]audit.Mark{{At: noon.Add(-time.Hour), What: "rotation asked for"}, {At: noon.Add(-2 * time.Hour), What: "long ago"}}, rotation(noon.Add(-4*time.Second))...)...),
		"long-names": func() audit.Report {
			r := report(day, 6*time.Minute, func(i, _ int, s *audit.Slot) { s.StrangersAccepted, s.OursAccepted = 2000000+i, 3000000 })
			r.Secret = strings.Repeat("A_VERY_LONG_NAME_", 20)
			return r
		}(),
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestPicturesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	for name, r := range pictures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chart.PNG(r)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := chart.PNG(r); err != nil || !bytes.Equal(got, again) {
				t.Errorf("drawn again the bytes differ: %v", err)
			}
			path := filepath.Join("testdata", name+".golden.png")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// Pixels, not bytes: how they are packed may change with Go.
			if n := differing(pixels(t, got), pixels(t, want)); n != 0 {
				t.Errorf("%d pixels differ from %s; look at it, then run the test with -update", n, path)
			}
		})
	}
}

func pixels(t *testing.T, b []byte) *image.RGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("the picture is a %T", img)
	}
	return rgba
}

func differing(a, b *image.RGBA) (n int) {
	if a.Bounds() != b.Bounds() {
		return -1
	}
	for i := 0; i < len(a.Pix); i += 4 {
		if [4]byte(a.Pix[i:]) != [4]byte(b.Pix[i:]) {
			n++
		}
	}
	return n
}

func BenchmarkPNG(b *testing.B) {
	r := pictures()["three-beside-ten-thousand"]
	for b.Loop() {
		p, err := chart.PNG(r)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(p)))
	}
}

// A third of the size is what Slack shows in a thread; on a dark theme the picture keeps
// its own paper.
func TestThreeRequestsOfAStrangerAreSeenAtTheSizeOfAThumbnail(t *testing.T) {
	t.Parallel()
	b, err := chart.PNG(pictures()["three-beside-ten-thousand"])
	if err != nil {
		t.Fatal(err)
	}
	img := pixels(t, b)
	const shrink = 3
	red, opaque := 0, true
	for y := 0; y+shrink <= chart.Height; y += shrink {
		for x := 0; x+shrink <= chart.Width; x += shrink {
			var sum [3]uint32
			for dy := range shrink {
				for dx := range shrink {
					r, g, b, a := img.At(x+dx, y+dy).RGBA()
					sum[0], sum[1], sum[2] = sum[0]+r>>8, sum[1]+g>>8, sum[2]+b>>8
					opaque = opaque && a == 0xffff
				}
			}
			const n = shrink * shrink
			if sum[0]/n > 150 && sum[1]/n < 80 && sum[2]/n < 90 {
				red++
			}
		}
	}
	if red < 250 {
		t.Errorf("%d red pixels are left in the thumbnail", red)
	}
	if !opaque {
		t.Error("a theme shines through")
	}
}

func TestThePictureInWords(t *testing.T) {
	t.Parallel()
	alt := chart.Alt(pictures()["three-beside-ten-thousand"])
	for _, want := range []string{
		"REVALIDATE_SECRET in production", "Not ours, let in: 3 (between 21 Nov 2026 15:00 and 22 Nov 2026 05:12)",
		"not ours, refused: 13", "ours, let in: 11,031", "22 Nov 11:20:04: old value dead.",
	} {
		if !strings.Contains(alt, want) {
			t.Errorf("it does not say %q: %s", want, alt)
		}
	}
	if alt := chart.Alt(pictures()["unread"]); !strings.Contains(alt, "Nothing could be counted") || strings.Contains(alt, "none") {
		t.Errorf("what was not read is told as nothing: %s", alt)
	}
}
