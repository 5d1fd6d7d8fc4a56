// Package bundle packs the evidence of one audit into one file that can be handed on: the
// report, the lines it rests on, what the security log says of the secret in that time, and
// a manifest by which everybody can see that nothing was changed.
//
// The same logs and the same window give the same bytes, whoever packs them and whenever,
// so that two people who packed independently can compare a hash. So nothing in a bundle
// says when it was made or how long that took.
//
// It is a zip archive: every operating system opens it by a double click, one file can be
// read without unpacking the rest, and the standard library writes it.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"rekey/audit"
)

// Format names the layout; it changes when the layout does.
const Format = "rekey-evidence-bundle/1"

// The files of a bundle, besides lines/.
const (
	ManifestName = "manifest.json"
	reportJSON   = "report.json"
	reportText   = "report.md"
	findings     = "findings.csv"
	picture      = "chart.png"
	extract      = "ledger.jsonl"
	linesFolder  = "lines/"
)

// MaxLineBytes bounds the lines of one kind in one bundle. With inspect.MaxLines lines of
// each of three kinds a bundle stays below 100 MB before it is packed.
const MaxLineBytes = 32 << 20

// Manifest is what a bundle says of itself.
type Manifest struct {
	Format      string       `json:"format"`
	Rekey       string       `json:"rekey"` // the version that packed it
	Secret      string       `json:"secret"`
	Environment string       `json:"environment"`
	Window      audit.Window `json:"window"`
	Limits      Limits       `json:"limits"`
	// Cut says, in words, what is left out because it was too much, or could not be read
	// again.
	Cut []string `json:"cut,omitempty"`
	// Masked counts the places where a value was replaced by [redacted].
	Masked int `json:"masked"`
	// Anchor is the newest entry of the extract, as `rekey ledger verify --anchor` takes
	// it; "" when the extract is empty.
	Anchor string `json:"anchor,omitempty"`
	Files  []File `json:"files"`
}

// Limits are what one bundle holds at most.
type Limits struct {
	LinesOfAKind int `json:"lines_of_a_kind"`
	BytesOfAKind int `json:"bytes_of_a_kind"`
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
	Holds  string `json:"holds"` // in words
}

// line is one line of a log in lines/: an object a line, in the order of the file. text is
// the line as it was found, with what JSON escapes escaped and known values replaced by
// [redacted]; where it is not UTF-8, bytes holds it in base64 instead.
type line struct {
	Place string     `json:"place"` // "access.log.1:812"
	Kind  audit.Kind `json:"kind"`
	At    time.Time  `json:"at"`
	Addr  string     `json:"address,omitempty"`
	Ours  bool       `json:"ours"`
	Text  string     `json:"text,omitempty"`
	Bytes []byte     `json:"bytes,omitempty"`
	Lost  bool       `json:"lost,omitempty"` // counted, but not there any more
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
