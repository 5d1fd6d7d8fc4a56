package logs

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// member is where a file stands in the rotated set it belongs to.
type member struct {
	base   string // the name of the log: "access.log"
	date   string // digits, from the year on, of equal length; "" for none
	number int    // -1 for none
	// inside: the date stands before the ending ("access-2026-11-22.log"). Programs that
	// name files so write to the newest of them, and often have none without a date.
	inside bool
	packed bool // the name ends as that of a packed file
}

func (m member) live() bool { return m.date == "" && m.number < 0 && !m.packed }

// The names that rotation gives, by who gives them:
//
//	access.log.1, access.log.2.gz                logrotate, Python's RotatingFileHandler, Docker
//	access.log-20261122.gz, access.log-1795305600  logrotate's dateext (dateformat with %Y%m%d, %H, %s)
//	access.log.2026-11-22_19-35                  Python's TimedRotatingFileHandler
//	access-2026-11-22.log, access-20261122.log.gz  logrotate's extension, winston, Serilog, log4j
//	access-2026-11-22T19-35-18.123.log.gz        lumberjack (Caddy)
//	out__2026-11-22_00-00-00.log                 pm2-logrotate
//	access.1.log                                 logrotate's extension, log4j: where there is an access.log
const (
	stampName = `(?:(?:19|20)\d\d[-._]?(?:0[1-9]|1[0-2])[-._]?(?:0[1-9]|[12]\d|3[01])` +
		`(?:[T_.-]?[0-2]\d(?:[-:._]?[0-5]\d(?:[-:._]?[0-6]\d(?:[.,]\d{1,9})?)?)?)?Z?|[12]\d{9})`
	between = `(?:[.-]|_+)`
)

var (
	packedName  = regexp.MustCompile(`(?i)\.(?:gz|zst|zstd|bz2|xz|lzma|lz4|lzo|br|z)$`)
	datedAfter  = regexp.MustCompile(`^(.+?)` + between + `(` + stampName + `)(?:[._-](\d{1,5}))?$`)
	datedInside = regexp.MustCompile(`^(.+?)` + between + `(` + stampName + `)(?:[._-](\d{1,5}))?(\.[A-Za-z]+)$`)
	numbered    = regexp.MustCompile(`^(.+)[.-](\d{1,5})$`)
	ending      = regexp.MustCompile(`\.[A-Za-z]\w*$`)
	numberedIn  = regexp.MustCompile(`^(.+)\.(\d{1,5})(\.[A-Za-z]+)$`)
)

// belongs tells where the file called name stands in the set of the log called base.
func belongs(name, base string) (member, bool) {
	if name == base {
		return member{base: base, number: -1}, true
	}
	bare := packedName.ReplaceAllString(name, "")
	m := member{base: bare, number: -1, packed: bare != name}
	// "access-2026-11-22.log.1" takes two.
	for range 2 {
		if m.base == base {
			return m, m.packed || m.date != "" || m.number >= 0
		}
		var ok bool
		if m, ok = m.stripped(); !ok {
			return member{}, false
		}
	}
	return m, m.base == base
}

// family is the log that a file called name belongs to, where nobody said so: exists
// tells which files lie beside it.
func family(name string, exists func(name string) bool) member {
	bare := packedName.ReplaceAllString(name, "")
	m := member{base: bare, number: -1, packed: bare != name}
	for range 2 {
		next, ok := m.stripped()
		if !ok {
			break
		}
		// A date says enough, and so does a number behind an ending ("access.log.1").
		// "worker.1.log", "worker-1" and "host-10.0.0.1" are parts only where there is a
		// worker.log, a worker or a host-10.0.0 beside them.
		tells := next.date != m.date || strings.HasPrefix(m.base, next.base+".") && ending.MatchString(next.base)
		if !tells && !exists(next.base) {
			break
		}
		m = next
	}
	return m
}

// stripped takes one date or number from the name.
func (m member) stripped() (member, bool) {
	if g := datedAfter.FindStringSubmatch(m.base); g != nil && m.date == "" {
		return m.dated(g[1], g[2], g[3], m.inside), true
	}
	if g := datedInside.FindStringSubmatch(m.base); g != nil && m.date == "" {
		return m.dated(g[1]+g[4], g[2], g[3], true), true
	}
	if g := numbered.FindStringSubmatch(m.base); g != nil && m.number < 0 {
		m.base, m.number = g[1], atoi(g[2])
		return m, true
	}
	if g := numberedIn.FindStringSubmatch(m.base); g != nil && m.number < 0 {
		m.base, m.number = g[1]+g[3], atoi(g[2])
		return m, true
	}
	return member{}, false
}

func (m member) dated(base, date, number string, inside bool) member {
	m.base, m.date, m.inside = base, digits(date), inside
	if number != "" {
		m.number = atoi(number)
	}
	return m
}

// digits makes dates of one set comparable as text: 20261122193518 and fractions, zeros
// where they are not that exact.
func digits(date string) string {
	var b strings.Builder
	for _, c := range []byte(date) {
		if isDigit(c) {
			b.WriteByte(c)
		}
	}
	text := b.String()
	if len(text) == 10 && len(date) == 10 {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && !strings.HasPrefix(text, "20") {
			text = time.Unix(seconds, 0).UTC().Format("20060102150405")
		}
	}
	const longest = len("20061122193518") + 9
	return text + strings.Repeat("0", max(0, longest-len(text)))
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // at most five digits
	return n
}
