package estatetest

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// What the logs of an estate with a past tell: two days of honest calls, a rotation of
// yesterday, and a night in which the attacker was refused some times and then let in,
// once.
const (
	PastRefused  = 6
	PastAccepted = 1
	// pastDays is how far back the logs reach: the day that is audited, and the one before
	// it, which tells what is normal.
	pastDays = 2
)

// PastEntry is how long before the start the attacker was let in.
const PastEntry = 9*time.Hour + 10*time.Minute

// pastLine is a line of one of the logs.
type pastLine struct {
	at        time.Time
	log, text string
}

// writePast begins the three logs with what happened before now.
func (e *Estate) writePast(now time.Time) error {
	lines := pastLines(now.UTC())
	slices.SortStableFunc(lines, func(a, b pastLine) int { return cmp.Compare(a.at.Unix(), b.at.Unix()) })
	text := map[string]*strings.Builder{"access": {}, "security": {}, "django": {}}
	for _, l := range lines {
		text[l.log].WriteString(l.text + "\n")
	}
	for name, b := range text {
		if err := os.WriteFile(e.Log(name), []byte(b.String()), 0o600); err != nil {
			return fmt.Errorf("writing the past: %w", err)
		}
	}
	return nil
}

func pastLines(now time.Time) (lines []pastLine) {
	accepted := func(at time.Time, addr, agent string) {
		lines = append(lines, pastAccess(at, addr, 200, agent))
	}
	// Editors publish by day more than by night; minutes are odd so that nothing is round.
	begin := now.Add(-pastDays * 24 * time.Hour).Truncate(time.Minute)
	n := 0
	for at := begin; at.Before(now.Add(-2 * time.Minute)); at = at.Add(7 * time.Minute) {
		busy := 1 + (12-max(at.Hour()-12, 12-at.Hour()))/2 + n%3
		for k := range busy {
			n++
			accepted(at.Add(time.Duration(k*23)*time.Second), fmt.Sprintf("10.0.0.%d", 1+n%20), "node")
		}
	}
	// A bulk publication, and rekey's own looks during a rotation of yesterday.
	for k := range 60 {
		accepted(now.Add(-30*time.Hour+time.Duration(k)*time.Second), "10.0.0.3", "node")
		accepted(now.Add(-29*time.Hour+time.Duration(k)*time.Second), "127.0.0.1", "rekey-check/1")
	}
	entry := now.Add(-PastEntry)
	for k := range PastRefused {
		lines = append(lines, pastRefusal(entry.Add(time.Duration(k-PastRefused)*19*time.Second), AttackerAddr)...)
	}
	accepted(entry, AttackerAddr, attackAgent)
	return lines
}

func pastAccess(at time.Time, addr string, status int, agent string) pastLine {
	return pastLine{at, "access", fmt.Sprintf(`%s - - [%s] "POST /api/revalidate/ HTTP/1.1" %d 29 "-" "%s"`, addr, at.Format("02/Jan/2006:15:04:05 -0700"), status, agent)}
}

// pastRefusal is what a wrong signature leaves in each log.
func pastRefusal(at time.Time, addr string) []pastLine {
	stamp := strings.Replace(at.Format("2006-01-02 15:04:05.000"), ".", ",", 1)
	return []pastLine{
		{at, "security", fmt.Sprintf("WARNING %s views_seo Invalid signature from %s on POST /api/revalidate/", stamp, addr)},
		{at, "django", fmt.Sprintf("WARNING %s log 99 140000000000000 Forbidden: /api/revalidate/", stamp)},
		pastAccess(at, addr, 403, attackAgent),
	}
}
