package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/bot/render/chart"
	"rekey/commands/inspect"
)

// Contents is what goes into a bundle.
type Contents struct {
	Version string // of rekey
	Report  audit.Report
	Lines   *Lines
	Entries []ledger.Entry // of the secret in the window, in order
	// Scrub masks known values; it is asked about everything that is text.
	Scrub func([]byte) (clean []byte, found int)
}

// Entries answers what the security log holds about a secret in a window. What the audit
// itself leaves there comes later than its window, so packing again finds the same.
func Entries(ctx context.Context, log ledger.Store, name, environment string, w audit.Window) ([]ledger.Entry, error) {
	var out []ledger.Entry
	err := log.Export(ctx, 1, func(e ledger.Entry) error {
		if e.Subject == environment+"/"+name && !e.At.Before(w.Since) && e.At.Before(w.Until) {
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the security log: %w", err)
	}
	return out, nil
}

// Write packs c and answers the manifest.
func Write(w io.Writer, c Contents) (Manifest, error) {
	r := steady(c.Report)
	m := Manifest{
		Format: Format, Rekey: c.Version, Secret: r.Secret, Environment: r.Environment, Window: r.Window,
		Limits: Limits{LinesOfAKind: inspect.MaxLines, BytesOfAKind: MaxLineBytes}, Cut: c.Lines.cut(), Masked: c.Lines.masked,
	}
	p := packer{zip: zip.NewWriter(w), manifest: &m, scrub: c.Scrub}
	if n := len(c.Entries); n > 0 {
		m.Anchor = ledger.Anchor{Seq: c.Entries[n-1].Seq, Hash: c.Entries[n-1].Hash}.String()
	}
	whole, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return m, fmt.Errorf("encoding the report: %w", err)
	}
	drawn, err := chart.PNG(r)
	if err != nil {
		return m, err
	}
	log, err := entries(c.Entries)
	if err != nil {
		return m, err
	}
	p.text(reportJSON, "the report for machines", append(whole, '\n'))
	p.text(reportText, "the report to read", []byte(render.ReportMarkdown(r)))
	p.text(findings, "the newest 100 findings of each kind as a table", render.FindingsCSV(r))
	p.file(picture, "the timeline: who was let in and who was refused", drawn)
	p.text(extract, "the entries of the security log about this secret in the window, as `rekey ledger export` writes them", log)
	for i, source := range c.Lines.sources {
		p.text(fileName(i, source), "the lines of "+source+" behind the report, one JSON object each; text is the line as found, known values replaced by [redacted]", c.Lines.text[source].Bytes())
	}
	if p.err != nil {
		return m, fmt.Errorf("packing the bundle: %w", p.err)
	}
	list, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("encoding the manifest: %w", err)
	}
	p.add(ManifestName, append(list, '\n'))
	if p.err == nil {
		p.err = p.zip.Close()
	}
	if p.err != nil {
		return m, fmt.Errorf("packing the bundle: %w", p.err)
	}
	return m, nil
}

// steady is the report without what differs when the same logs are read again: how long
// it took, and how far the logs have grown since.
func steady(r audit.Report) audit.Report {
	r.TookMS = 0
	var read []string
	for _, s := range r.Read {
		name, _, _ := strings.Cut(s, " (")
		read = append(read, name)
	}
	r.Read = read
	return r
}

func entries(es []ledger.Entry) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b) // as `rekey ledger export` encodes, so that lines can be compared
	for _, entry := range es {
		if err := e.Encode(entry); err != nil {
			return nil, fmt.Errorf("encoding entry %d of the security log: %w", entry.Seq, err)
		}
	}
	return b.Bytes(), nil
}

// packer adds files; after an error it does nothing.
type packer struct {
	zip      *zip.Writer
	manifest *Manifest
	scrub    func([]byte) ([]byte, int)
	err      error
}

// text adds a file in which known values are masked once more: nothing leaves unguarded.
func (p *packer) text(name, holds string, content []byte) {
	clean, found := p.scrub(content)
	p.manifest.Masked += found
	p.file(name, holds, clean)
}

func (p *packer) file(name, holds string, content []byte) {
	p.manifest.Files = append(p.manifest.Files, File{Name: name, Size: int64(len(content)), SHA256: sum(content), Holds: holds})
	p.add(name, content)
}

func (p *packer) add(name string, content []byte) {
	if p.err != nil {
		return
	}
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.manifest.Window.Until.UTC().Truncate(2 * time.Second)}
	h.SetMode(0o600)
	var w io.Writer
	if w, p.err = p.zip.CreateHeader(h); p.err == nil {
		_, p.err = w.Write(content)
	}
}
