package render

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rekey/audit"
)

// FindingsCSV is a report's findings as a table: RFC 4180, UTF-8, a header, one finding a
// row, oldest first.
//
// Visitors choose paths and agents, and whoever opens the file does so in a spreadsheet:
// a cell that such a program would take for a formula gets an apostrophe before it, which
// is what OWASP advises ("CSV Injection").
func FindingsCSV(r audit.Report) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = cell(c)
		}
		_ = w.Write(cells) // into a buffer
	}
	row("kind", "at", "address", "ours", "guarded", "method", "path", "status", "agent", "sources", "text")
	for _, f := range r.Findings {
		addr, status := "", ""
		if f.Addr.IsValid() {
			addr = f.Addr.String()
		}
		if f.Status != 0 {
			status = strconv.Itoa(f.Status)
		}
		row(string(f.Kind), f.At.UTC().Format(time.RFC3339Nano), addr, strconv.FormatBool(f.Ours), strconv.FormatBool(f.Guarded),
			f.Method, f.Path, status, f.Agent, strings.Join(f.Sources, " "), f.Text)
	}
	w.Flush()
	return b.Bytes()
}

// cell is foreign text that no spreadsheet computes. Tabs and carriage returns, which
// also begin formulas for some, are gone with the other control characters.
func cell(s string) string {
	s = clean(s)
	first, _ := utf8.DecodeRuneInString(s)
	if s != "" && strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + s
	}
	return s
}
