package logs

import (
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// service is a program that logs numbered lines, and the logrotate that rotates its log,
// each at its own pace, as long as a test runs.
type service struct {
	t      *testing.T
	path   string
	append int // os.O_APPEND or 0
	keep   int // parts

	mu      sync.Mutex // held while a line is written
	file    *os.File
	written atomic.Int64 // every line up to it is in the log
	removed atomic.Int64 // every line up to it may have been rotated out
	newest  map[string]int64
	turns   atomic.Int64
	// A reading gives a token, so that there is a rotation in about every reading, at any
	// moment of it, however slow the machine is.
	reading chan struct{}
	took    atomic.Int64 // nanoseconds of a reading
}

func startService(t *testing.T, flags int, rotate func(*service)) *service {
	t.Helper()
	s := &service{t: t, path: filepath.Join(t.TempDir(), "access.log"), append: flags, keep: 6, newest: map[string]int64{}, reading: make(chan struct{}, 1)}
	s.reopen()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	every := func(pause time.Duration, act func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.Int64N(int64(pause)))):
					act()
				}
			}
		})
	}
	every(2*time.Millisecond, s.write)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-s.reading:
				time.Sleep(time.Duration(rand.Int64N(1 + min(2*s.took.Load(), int64(50*time.Millisecond)))))
				rotate(s)
				s.turns.Add(1)
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait(); _ = s.file.Close() })
	return s
}

func (s *service) check(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

func (s *service) reopen() {
	if s.file != nil {
		s.check(s.file.Close())
	}
	var err error
	s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_WRONLY|s.append, 0o600)
	s.check(err)
}

func (s *service) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 1 + rand.IntN(10) {
		n := s.written.Load() + 1
		_, err := fmt.Fprintf(s.file, "203.0.113.66 - - [%s] \"GET /%d HTTP/1.1\" 403 1 \"-\" \"%s\"\n",
			time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), n, strings.Repeat("x", rand.IntN(200)))
		s.check(err)
		s.written.Store(n)
	}
}

// shift makes room for the first part, as logrotate does, and packs the second.
func (s *service) shift() {
	name := func(n int, ext string) string { return fmt.Sprintf("%s.%d%s", s.path, n, ext) }
	for n := s.keep; n >= 1; n-- {
		for _, ext := range []string{"", ".gz"} {
			from, to := name(n, ext), name(n+1, ext)
			if _, err := os.Stat(from); err != nil {
				continue
			}
			if n == s.keep {
				s.removed.Store(s.newest[from])
				s.check(os.Remove(from))
				continue
			}
			s.newest[to] = s.newest[from]
			s.check(os.Rename(from, to))
		}
	}
	if _, err := os.Stat(name(2, "")); err == nil {
		s.pack(name(2, ""))
	}
}

// pack does as gzip does: the packed file grows beside the other, which is then removed.
func (s *service) pack(path string) {
	in, err := os.Open(path)
	s.check(err)
	out, err := os.Create(path + ".gz")
	s.check(err)
	z := stdgzip.NewWriter(out)
	for err == nil {
		_, err = io.CopyN(z, in, 4096)
		s.check(z.Flush())
	}
	s.check(z.Close())
	s.check(out.Close())
	s.check(in.Close())
	s.newest[path+".gz"] = s.newest[path]
	s.check(os.Remove(path))
}

// rename is what nginx and logrotate do: the service writes to the old file until it
// is told.
func rename(s *service) {
	s.shift()
	s.mu.Lock()
	s.check(os.Rename(s.path, s.path+".1"))
	s.mu.Unlock()
	time.Sleep(time.Duration(rand.Int64N(int64(time.Millisecond))))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest[s.path+".1"] = s.written.Load()
	s.reopen()
}

// copyTruncate copies the log and empties it. The service waits, so that the lines
// which copytruncate is known to lose are not lost.
func copyTruncate(s *service) {
	s.shift()
	s.mu.Lock()
	defer s.mu.Unlock()
	in, err := os.Open(s.path)
	s.check(err)
	out, err := os.Create(s.path + ".1")
	s.check(err)
	_, err = io.Copy(out, in)
	s.check(err)
	s.check(out.Close())
	s.check(in.Close())
	s.newest[s.path+".1"] = s.written.Load()
	s.check(os.Truncate(s.path, 0))
}

// TestReadingWhileRotated reads a log over and over while it is written to and rotated:
// every line that was there when the reading began is found once, or a gap says so.
func TestReadingWhileRotated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		flags  int
		rotate func(*service)
		most   float64 // how many of the readings may have a gap
	}{
		{"renamed", os.O_APPEND, rename, 0.3},
		{"copied and truncated", os.O_APPEND, copyTruncate, 0.9},
		{"copied and truncated under a writer that does not append", 0, copyTruncate, 0.9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, test.flags, test.rotate)
			readings, holes := 0, 0
			for s.written.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			for end := time.Now().Add(time.Second); readings < 20 || s.turns.Load() < 5 || time.Now().Before(end); readings++ {
				before := s.written.Load()
				seen, said := s.read(t)
				floor := s.removed.Load()
				if said != "" {
					holes++
					continue
				}
				for n := floor + 1; n <= before; n++ {
					if seen[n] != 1 {
						t.Fatalf("reading %d: line %d of %d to %d was found %d times", readings, n, floor+1, before, seen[n])
					}
				}
				for n, times := range seen {
					if times > 1 && n > floor {
						t.Fatalf("line %d was found %d times", n, times)
					}
				}
			}
			t.Logf("%d readings, %d with a gap, of %d lines rotated %d times", readings, holes, s.written.Load(), s.turns.Load())
			if float64(holes) > test.most*float64(readings) {
				t.Errorf("%d of %d readings have a gap", holes, readings)
			}
		})
	}
}

// read answers how often each line was found, and what a reading said was missing.
func (s *service) read(t *testing.T) (seen map[int64]int, said string) {
	t.Helper()
	select {
	case s.reading <- struct{}{}:
	default:
	}
	began := time.Now()
	defer func() { s.took.Store(int64(time.Since(began))) }()
	set, err := OpenSet(t.Context(), SetConfig{Path: s.path, Format: Access})
	if err != nil {
		return nil, err.Error()
	}
	defer set.Close()
	seen = map[int64]int{}
	stats, err := set.Scan(t.Context(), Query{}, func(r Record) error {
		n, err := strconv.ParseInt(strings.TrimPrefix(r.Path, "/"), 10, 64)
		seen[n]++
		return err
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case stats.Truncated:
		return seen, "truncated"
	case len(stats.Gaps) > 0:
		return seen, stats.Gaps[0].Why
	}
	return seen, ""
}
