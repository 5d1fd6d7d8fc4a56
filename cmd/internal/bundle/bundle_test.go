package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
	"rekey/cmd/internal/bundle"
	"rekey/commands/inspect"
)

const value = "5f3a9c1e7b5d4f60a1b2c3d4e5f60718"

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	window = audit.Window{Since: noon.Add(-24 * time.Hour), Until: noon}
)

// scrub masks value, as rekey's guard does.
func scrub(b []byte) ([]byte, int) {
	return bytes.ReplaceAll(b, []byte(value), []byte("[redacted]")), bytes.Count(b, []byte(value))
}

func contents(lines ...inspect.Line) bundle.Contents {
	c := bundle.Contents{
		Version: "1.2.3", Lines: bundle.NewLines(scrub), Scrub: scrub,
		Report: audit.Report{
			Secret: "REVALIDATE_SECRET", Environment: "production", Window: window, TookMS: time.Now().UnixNano(),
			Totals:   map[audit.Kind]int{audit.Used: 2, audit.Denied: 1, audit.InvalidSignature: 3},
			Findings: []audit.Finding{{Kind: audit.Used, At: noon.Add(-time.Hour), Addr: netip.MustParseAddr("203.0.113.66"), Path: "/x?key=" + value}},
			Read:     []string{"access.log (2.1 MB, 8,112 lines searched)"},
			Verdict:  audit.Verdict{Outcome: audit.Misused, Sentence: "Used by an address that is not ours."},
		},
	}
	for _, l := range lines {
		c.Lines.Add(l)
	}
	return c
}

func lineAt(source string, offset int64, text string) inspect.Line {
	return inspect.Line{Source: source, Place: fmt.Sprintf("%s:%d", source, offset), Kind: audit.Used, At: noon.Add(-time.Hour), Addr: netip.MustParseAddr("203.0.113.66"), Text: text}
}

func packed(t *testing.T, c bundle.Contents) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := bundle.Write(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpacked answers the files of a bundle by name, and the names in order.
func unpacked(t *testing.T, b []byte) (map[string]string, []string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files, names := map[string]string{}, []string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name], names = string(content), append(names, f.Name)
		if f.Mode().Perm() != 0o600 || !f.Modified.Equal(noon) {
			t.Errorf("%s: mode %v, time %v", f.Name, f.Mode(), f.Modified)
		}
	}
	return files, names
}

func TestABundleIsTheSameWheneverItIsPacked(t *testing.T) {
	t.Parallel()
	lines := []inspect.Line{lineAt("access.log", 17, "one"), lineAt("access.log", 99, "two"), lineAt("old/access.log", 3, "three")}
	a, b := contents(lines...), contents(lines...)
	b.Report.TookMS, b.Report.Read = 7, []string{"access.log (9.9 GB, 1 line searched)"} // it has grown since
	if !bytes.Equal(packed(t, a), packed(t, b)) {
		t.Error("the same evidence gives two bundles")
	}
	files, names := unpacked(t, packed(t, a))
	if diff := cmp.Diff([]string{
		"report.json", "report.md", "findings.csv", "chart.png", "ledger.jsonl", "lines/01-access.log.jsonl", "lines/02-old_access.log.jsonl", "manifest.json",
	}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if strings.Contains(files["report.json"], "8,112") || !strings.Contains(files["report.json"], `"took_ms": 0`) {
		t.Errorf("the report holds what changes: %s", files["report.json"])
	}
}

// Lines are kept as they were found, to the byte, but for a value.
func TestLinesAreQuotedAndMasked(t *testing.T) {
	t.Parallel()
	hostile := "GET /\x1b[2J<script>&\u202e \"q\" \\ \t\x00"
	binary := "\xff\xfe raw \x80 " + value
	files, _ := unpacked(t, packed(t, contents(lineAt("access.log", 1, hostile), lineAt("access.log", 2, "key="+value), lineAt("access.log", 3, binary))))
	for name, text := range files {
		if strings.Contains(text, value) {
			t.Errorf("%s holds the value", name)
		}
	}
	if strings.ContainsAny(files["lines/01-access.log.jsonl"], "\x1b\x00") {
		t.Error("the file could steer a terminal")
	}
	var got []string
	for d := json.NewDecoder(strings.NewReader(files["lines/01-access.log.jsonl"])); ; {
		var l struct {
			Place string
			Text  string
			Bytes []byte
		}
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Text+string(l.Bytes))
	}
	if diff := cmp.Diff([]string{hostile, "key=[redacted]", "\xff\xfe raw \x80 [redacted]"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	var m bundle.Manifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &m); err != nil || m.Masked < 4 {
		t.Errorf("masked %d: %v", m.Masked, err)
	}
}

func TestWhatIsTooMuchIsCutAndSaid(t *testing.T) {
	t.Parallel()
	c := contents()
	long := strings.Repeat("x", 1<<20)
	for i := range bundle.MaxLineBytes>>20 + 3 {
		l := lineAt("access.log", int64(i), long)
		l.Kind = audit.Denied
		c.Lines.Add(l)
	}
	c.Lines.Add(lineAt("access.log", 99, "the use is here all the same"))
	c.Lines.Add(inspect.Line{Kind: audit.Denied, Cut: true})
	lost := lineAt("access.log", 100, "")
	lost.Lost = true
	c.Lines.Add(lost)
	var b bytes.Buffer
	m, err := bundle.Write(&b, c)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(m.Cut, "\n")
	for _, want := range []string{"3 lines of kind denied are left out", "the first 200000 are here", "1 lines were counted but could not be read"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q: %s", want, said)
		}
	}
	files, _ := unpacked(t, b.Bytes())
	if !strings.Contains(files["lines/01-access.log.jsonl"], "the use is here") {
		t.Error("a flood of refusals has pushed a use out")
	}
}

// Whatever is done to a bundle is named.
func TestAChangedBundleDoesNotHold(t *testing.T) {
	t.Parallel()
	whole := packed(t, contents(lineAt("access.log", 1, "one")))
	for name, c := range map[string]struct {
		change func(files map[string]string)
		twice  string
		want   string
	}{
		"as it was":      {change: func(map[string]string) {}},
		"a line edited":  {change: func(f map[string]string) { f["lines/01-access.log.jsonl"] += "{}\n" }, want: "lines/01-access.log.jsonl was changed"},
		"a file removed": {change: func(f map[string]string) { delete(f, "chart.png") }, want: "chart.png is missing"},
		"a file added":   {change: func(f map[string]string) { f["notes.txt"] = "x" }, want: "notes.txt was added"},
		"a file twice":   {change: func(map[string]string) {}, twice: "report.md", want: "report.md is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, names := unpacked(t, whole)
			c.change(files)
			if _, ok := files["notes.txt"]; ok {
				names = append(names, "notes.txt")
			}
			if c.twice != "" {
				names = append(names, c.twice)
			}
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for _, n := range names {
				content, ok := files[n]
				if !ok {
					continue
				}
				w, err := z.Create(n)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(w, content); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			m, problems, err := bundle.Verify(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil || m.Secret != "REVALIDATE_SECRET" {
				t.Fatalf("%+v %v", m, err)
			}
			if c.want == "" && len(problems) > 0 || c.want != "" && !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("problems %q, want %q", problems, c.want)
			}
		})
	}
	damaged := bytes.Clone(whole)
	damaged[200] ^= 0xff // inside the first file's packed bytes
	if _, problems, err := bundle.Verify(bytes.NewReader(damaged), int64(len(damaged))); err == nil && len(problems) == 0 {
		t.Error("a damaged file holds")
	}
	for name, b := range map[string][]byte{"nothing": nil, "text": []byte("no zip"), "half": whole[:len(whole)/2]} {
		if _, _, err := bundle.Verify(bytes.NewReader(b), int64(len(b))); !errors.Is(err, bundle.ErrNoBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The extract is what the security log exports, of this secret and this window alone, and
// its last entry is an anchor that the log is held against.
func TestTheExtractIsTheSecurityLogs(t *testing.T) {
	t.Parallel()
	log, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "ledger.db"), Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, e := range []ledger.Entry{
		{At: window.Since.Add(-time.Second), Subject: "production/REVALIDATE_SECRET", Action: "too early"},
		{At: window.Since, Subject: "production/REVALIDATE_SECRET", Action: "first"},
		{At: noon.Add(-time.Hour), Subject: "staging/REVALIDATE_SECRET", Action: "elsewhere"},
		{At: noon.Add(-time.Minute), Subject: "production/REVALIDATE_SECRET", Action: "last"},
		{At: noon, Subject: "production/REVALIDATE_SECRET", Action: "the audit itself"},
	} {
		err := log.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &e) })
		if err != nil {
			t.Fatal(err)
		}
	}
	c := contents()
	if c.Entries, err = bundle.Entries(t.Context(), log, "REVALIDATE_SECRET", "production", window); err != nil {
		t.Fatal(err)
	}
	b := packed(t, c)
	files, _ := unpacked(t, b)
	var exported []string
	err = log.Export(t.Context(), 1, func(e ledger.Entry) error {
		line, err := json.Marshal(e)
		exported = append(exported, string(line))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := exported[1] + "\n" + exported[3] + "\n"; files["ledger.jsonl"] != want {
		t.Errorf("the extract is\n%swant\n%s", files["ledger.jsonl"], want)
	}
	m, _, err := bundle.Verify(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := ledger.ParseAnchor(m.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ledger.VerifyAnchors(t.Context(), log, anchor); err != nil || !v.OK || anchor.Seq != 4 {
		t.Errorf("the anchor %s does not hold: %+v %v", m.Anchor, v, err)
	}
}
