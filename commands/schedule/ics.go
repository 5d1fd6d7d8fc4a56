package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"rekey/commands"
)

// ICS answers a calendar (RFC 5545) with an all-day event for each rotation that falls
// due. The same row has the same UID each time, so that importing it again moves the
// event and makes no second one.
func ICS(rows []commands.SecretRow, now time.Time) string {
	var b strings.Builder
	put := func(line string) { b.WriteString(fold(line) + "\r\n") }
	put("BEGIN:VCALENDAR")
	put("VERSION:2.0")
	put("PRODID:-//rekey//rotation schedule//EN")
	for _, r := range Sorted(rows) {
		if r.NextDue.IsZero() {
			continue
		}
		day := r.NextDue.UTC()
		sum := sha256.Sum256([]byte(r.Environment + "\x00" + r.Name))
		put("BEGIN:VEVENT")
		put("UID:" + hex.EncodeToString(sum[:10]) + "@rekey")
		put("DTSTAMP:" + now.UTC().Format("20060102T150405Z"))
		put("DTSTART;VALUE=DATE:" + day.Format("20060102"))
		put("DTEND;VALUE=DATE:" + day.AddDate(0, 0, 1).Format("20060102"))
		put("SUMMARY:" + escape("Rotate "+r.Name+" in "+r.Environment))
		put("DESCRIPTION:" + escape(fmt.Sprintf("%s\nOwner: %s\nLast rotated: %s\n/rotate %s routine in %s", r.Purpose, r.Owner, date(r.LastRotated), r.Name, r.Environment)))
		put("TRANSP:TRANSPARENT")
		put("END:VEVENT")
	}
	put("END:VCALENDAR")
	return b.String()
}

func date(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02")
}

// escape writes TEXT as section 3.3.11 says.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`).Replace(s)
}

// fold breaks a line so that none is longer than 75 octets (section 3.1), never inside
// a character.
func fold(line string) string {
	var b strings.Builder
	room := 75
	for len(line) > room {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.WriteString(line[:cut] + "\r\n ")
		line, room = line[cut:], 74 // the space counts
	}
	b.WriteString(line)
	return b.String()
}
