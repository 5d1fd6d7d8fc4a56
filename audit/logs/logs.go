// Package logs reads evidence from log files: signature failures, true 401 and 403
// answers, and accepted requests to the endpoints a secret guards. It exists
// because `grep "403\|401" | tail -100` answers the wrong question: it matches sizes,
// ids and paths, misses Django's own lines, counts one request once per log, and
// reads a whole file to show its end.
//
// A log is opened with what was rotated away of it ([OpenSet]; [OpenAll] for folders and
// patterns). A file is opened once and read with ReadAt in blocks; lines are judged by where
// the server writes (the status after the request's closing quote), never by what a
// visitor wrote. Three ways of reading share one block reader, so that they find the
// same records: [File.Scan] (everything in a window, on all cores, in file order),
// [File.Last] (the newest few, backwards from the end) and the bisection that finds
// where a window begins. [Merge] then joins what several logs recorded of one request.
//
// Memory is bounded by the number of workers, not by the file: one block each, and
// of a line no more than 64 KiB is looked at.
package logs

import (
	"net/netip"
	"runtime"
	"time"

	"rekey/audit"
)

// Format names what a log file holds.
type Format string

// The formats. Their names are the catalogue's.
const (
	// Security is an application's security log; only its "Invalid signature" lines
	// are evidence.
	Security Format = "security"
	// Django holds lines of django.request, django.security.csrf, django.server and
	// the application's own "Invalid signature" lines.
	Django Format = "django"
	// Access is an access log in combined or common format: gunicorn, nginx, Apache.
	Access Format = "access"
	// JSON holds one JSON object a line, requests and messages alike; what its fields are
	// called is known of the writers in the table of names.
	JSON Format = "json"
	// Logfmt holds key=value pairs of the same names.
	Logfmt Format = "logfmt"
	// Custom holds lines that Query.Pattern reads.
	Custom Format = "pattern"
	// Auto tries every line by what it looks like, so that a file into which several
	// programs write gives the evidence of all.
	Auto Format = "auto"
)

// Known reports whether there is such a format.
func (f Format) Known() bool {
	switch f {
	case Security, Django, Access, JSON, Logfmt, Custom, Auto:
		return true
	}
	return false
}

// telling reports whether the format says by itself which kind of evidence a log holds.
func (f Format) telling() bool { return f == Security || f == Django || f == Access }

// Query says what to look for.
type Query struct {
	// Window bounds the records; a zero Until means no upper bound.
	Window audit.Window
	// Endpoints are the paths a secret guards. Accepted requests are recorded for
	// them alone.
	Endpoints []Endpoint
	// Zone is the zone of timestamps that name none, as Django's; nil means UTC.
	Zone *time.Location
	// Pattern reads the lines of a log whose format is Custom.
	Pattern *Pattern
	// Proxies are the addresses whose X-Forwarded-For is believed; none by default.
	Proxies []netip.Prefix
	// Workers is how many blocks of this source are searched at once; 0 means one for
	// each core.
	Workers int
	// Trace, when set, makes a reading look for something else than evidence: it answers
	// where a text holds what must not stand in a log, and the lines it finds are recorded as
	// audit.Exposed, of every format, whatever else is in them. Several workers call it at
	// once.
	Trace func(text []byte) []Hit
	// Readers bounds how many are at once together with other readings; nil means that
	// nothing but Workers does.
	Readers *Readers
}

// Hit is a place of a text that a Query's Trace has found.
type Hit struct {
	From, To int  // bytes of the text
	Whole    bool // false: only a part of what was looked for
}

// Endpoint is a guarded path; Method "" means any but OPTIONS, which browsers send
// unsigned and servers answer without looking.
type Endpoint struct {
	Path   string
	Method string
}

// Recorder is the piece of software that wrote a line. Two lines by one recorder in
// one file are two requests; lines by different recorders may be one.
type Recorder string

// The recorders.
const (
	Application Recorder = "application"    // the application's own signature check
	Request     Recorder = "django.request" // and django.security.csrf: "Unauthorized: /p"
	Runserver   Recorder = "django.server"  // "GET /p HTTP/1.1" 403 135
	Server      Recorder = "access"         // gunicorn, nginx, Apache
	Errors      Recorder = "error"          // the same, of what they refused themselves
)

// Record is one line of evidence as a log tells it. A field the line does not hold
// is zero. Path and Agent are the visitor's words: cleaned, never believed.
type Record struct {
	// Kind is InvalidSignature, Denied, or Used for any accepted request to a guarded
	// endpoint: who is a stranger is not known here.
	Kind     audit.Kind
	Recorder Recorder
	At       time.Time
	Addr     netip.Addr
	// Proxied reports that Addr is a proxy's of Query.Proxies, which did not say whose
	// request it passed on.
	Proxied bool
	Method  string
	Path    string // decoded, without its query
	Agent   string
	Status  int
	// Guarded is the index in Query.Endpoints that Path belongs to, or -1.
	Guarded int
	// Whole is Hit.Whole, of a line that Query.Trace has found.
	Whole bool
	// Offset is the byte at which the line begins. Sources without bytes number their
	// records: within a source it is unique and ascends in the order of reading.
	Offset int64
	// Line and Name are the line itself and what people call its place, from sources
	// that cannot be asked for it again; "" from files, which are read at Offset.
	Line, Name string
}

// Stats says what a reading covered.
type Stats struct {
	Size  int64 // of the file when it was opened; 0 where a source has no size
	Read  int64 // bytes searched
	Lines int64 // lines searched
	// Begins and Ends are the first and last timestamps of the file; zero when it
	// has none. A source without a beginning or an end of its own, such as a log
	// server, says how far its answer reaches: the query's window, if that is whole.
	Begins, Ends time.Time
	// Cut reports that a source which is no file threw away what it had before Begins, or
	// may have.
	Cut bool
	// Ordered reports that lines are in time order as far as samples tell, so that
	// the window was found by bisection.
	Ordered bool
	// Timeless counts records left out because neither their line nor one of the
	// lines above says when they happened.
	Timeless int64
	// Disordered reports that records reached Join too far out of time order to be
	// sorted, so that some may not have been matched with those of other logs.
	Disordered bool
	// Truncated reports that the file became shorter while it was read.
	Truncated bool
	// Matched counts the lines that a server handed out after it had filtered; 0 for files.
	Matched int64
	// Gaps are what the source itself knows to be missing.
	Gaps []Gap
	// Sampled counts the lines that were looked at, all over the log and whatever the
	// window, to learn what it holds if its format does not say so; on a server they are
	// the newest at the window's end, or at both of its ends. Messages counts those
	// of them that said anything but told of no request, and Requests those that did,
	// together with the records that do.
	Sampled, Messages, Requests int64
}

// Gap is something of the window that a source could not read.
type Gap struct {
	Name string         // which part of the source: "access.log.2.gz"; "" is all of it
	Why  string         // for people: what was wrong and what to do
	Left audit.Coverage // how much of the window the source shows all the same
}

// As is the query for a log with a pattern of its own ("" for none) and a zone of its own
// (nil for the query's). The error is a *PatternError.
func (q Query) As(pattern string, zone *time.Location) (Query, error) {
	if zone != nil {
		q.Zone = zone
	}
	q.Pattern = nil
	if pattern != "" {
		p, err := ParsePattern(pattern)
		if err != nil {
			return q, err
		}
		q.Pattern = p
	}
	return q, nil
}

func (q Query) zone() *time.Location {
	if q.Zone == nil {
		return time.UTC
	}
	return q.Zone
}

// workers is how many blocks, or archives, are searched at once.
func (q Query) workers() int {
	if q.Workers > 0 {
		return q.Workers
	}
	return min(runtime.GOMAXPROCS(0), runtime.NumCPU())
}

func (q Query) holds(at time.Time) bool { return within(q.Window, at) }
