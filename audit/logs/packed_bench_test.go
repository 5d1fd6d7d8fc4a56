package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"rekey/audit/logs/logstest"
)

// BenchmarkPacked reads a log whose four older parts were packed, beside what unpacks
// them for grep and ripgrep.
func BenchmarkPacked(b *testing.B) {
	const parts = 4
	var table logstest.Table
	path, size := packedSet(b, parts)
	open := func() *Set {
		s, err := OpenSet(context.Background(), SetConfig{Path: path, Format: Security})
		if err != nil || s.Parts() != parts+1 {
			b.Fatalf("opened %s: error %v", path, err)
		}
		return s
	}
	table.Run(b, logstest.Contest{
		Name: fmt.Sprintf("%d gzip files", parts), File: path, Bytes: size, Nice: true,
		Peers: logstest.Ripgrep([]logstest.Peer{
			{Name: "zgrep", Pipeline: `LC_ALL=C zgrep -h "Invalid signature" "$1"*.gz | tail -100`, Goal: 2.5},
		}, logstest.Peer{Name: "rg-z", Pipeline: `rg -z -N -I "Invalid signature" "$1"*.gz | tail -100`, Goal: 1.4}),
		Ours: func(b *testing.B) {
			s := open()
			defer s.Close()
			n := 0
			stats, err := s.Scan(context.Background(), Query{}, func(Record) error { n++; return nil })
			if err != nil || n == 0 || len(stats.Gaps) > 0 {
				b.Fatalf("%d records, error %v, gaps %v", n, err, stats.Gaps)
			}
		},
	})
	table.Print(os.Stdout)
}

// packedSet makes a security log with older parts, each packed, and answers its path and
// how many bytes there are unpacked. What is found in it must be what was found before it
// was cut into parts.
func packedSet(b *testing.B, parts int) (path string, size int64) {
	b.Helper()
	part := logstest.Size(b, 256e6)
	whole := logstest.File(b, logstest.Security, int64(parts)*part)
	want, err := logstest.Naive(whole, logstest.Security)
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(whole)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 1<<20)
	path = filepath.Join(filepath.Dir(whole), "packed.log")
	for n := parts; n > 0; n-- {
		// The newest of these parts leaves the last lines to the log itself.
		room := part - 64<<10
		if err := packPart(fmt.Sprintf("%s.%d.gz", path, n), in, room); err != nil {
			b.Fatal(err)
		}
	}
	live, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(live, in); err != nil {
		b.Fatal(err)
	}
	if err := live.Close(); err != nil {
		b.Fatal(err)
	}
	s, err := OpenSet(context.Background(), SetConfig{Path: path, Format: Security})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	found := int64(0)
	if _, err := s.Scan(context.Background(), Query{}, func(Record) error { found++; return nil }); err != nil || found != int64(want.Count) {
		b.Fatalf("found %d, the plain reader %d, error %v", found, want.Count, err)
	}
	return path, int64(parts) * part
}

// packPart packs whole lines of in, some room bytes of them.
func packPart(path string, in *bufio.Reader, room int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := gzip.NewWriter(f)
	for room > 0 {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return errors.Join(err, f.Close())
		}
		room -= int64(len(line))
		if _, err := out.Write(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(out.Close(), f.Close())
}
