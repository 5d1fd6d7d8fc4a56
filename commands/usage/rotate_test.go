package usage_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// TestReadingWhileRotated looks over and over at a log that is written to and rotated:
// every use that was in it when a look began is counted once, or an error says otherwise.
func TestReadingWhileRotated(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".1") },
		"copied and truncated": func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".1", data, 0o600), os.Truncate(path, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rotated{path: filepath.Join(t.TempDir(), "app.log"), rotate: rotate, looks: make(chan struct{}, 1)}
			stop := r.run(t)
			look := looker(t, time.Now)
			counted, failed := 0, 0
			for end := time.Now().Add(time.Second); counted < 20 || time.Now().Before(end) || r.turns.Load() < 5; {
				select {
				case r.looks <- struct{}{}:
				default:
				}
				before, began := r.written.Load(), time.Now()
				got, err := look.Look(t.Context(), []secret.UsageSource{{Log: r.path, Pattern: previous, Quiet: time.Hour}}, time.Time{})
				r.took.Store(int64(time.Since(began)))
				after := r.written.Load() + 1 // one may be in the log and not counted yet
				if err != nil {
					if failed++; failed > 1000 {
						t.Fatalf("after %d looks: %v", counted, err)
					}
					continue
				}
				counted++
				if times := times(t, got); times < before || times > after {
					t.Fatalf("look %d counted %d uses, want %d to %d", counted, times, before, after)
				}
			}
			stop()
			t.Logf("%d looks and %d that failed, at %d uses in %d parts", counted, failed, r.written.Load(), r.turns.Load())
		})
	}
}

// times is how often the only user was seen.
func times(t *testing.T, got issue.Usage) int64 {
	t.Helper()
	var times int64
	for _, u := range got.Users {
		_, n, _ := strings.Cut(u, " (")
		n, _, _ = strings.Cut(strings.Replace(n, "once", "1 times", 1), " times")
		many, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", u, err)
		}
		times += many
	}
	return times
}

// rotated is a log that is written to, and the program that rotates it.
type rotated struct {
	path    string
	rotate  func(path string) error
	mu      sync.Mutex // held while a line is written
	written atomic.Int64
	turns   atomic.Int64
	// A look gives a token, so that there is a rotation in some looks, at any moment of them,
	// and never one in all of them, however slow the machine is.
	looks chan struct{}
	took  atomic.Int64 // nanoseconds of a look
}

// run writes and rotates until stop is called.
func (r *rotated) run(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	whenever := func(tick <-chan time.Time, token <-chan struct{}, act func() error) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-tick:
				case <-token:
				}
				if err := act(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	whenever(time.Tick(time.Millisecond), nil, r.write)
	whenever(nil, r.looks, func() error {
		time.Sleep(40*time.Millisecond + time.Duration(rand.Int64N(2*r.took.Load()+1)))
		return r.turn()
	})
	stop = sync.OnceFunc(func() { close(done); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func (r *rotated) write() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s verified_with=previous from 10.0.0.7\n", iso(time.Now().UTC()))
	r.written.Add(1)
	return errors.Join(err, f.Close())
}

// turn makes room for the first part, packing the second, and rotates.
func (r *rotated) turn() error {
	if _, err := os.Stat(r.path); err != nil {
		return nil // nothing was written since the turn before
	}
	n := int(r.turns.Load())
	for ; n > 1; n-- {
		if err := os.Rename(fmt.Sprintf("%s.%d.gz", r.path, n), fmt.Sprintf("%s.%d.gz", r.path, n+1)); err != nil {
			return err
		}
	}
	if n == 1 {
		data, err := os.ReadFile(r.path + ".1")
		if err != nil {
			return err
		}
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, err = z.Write(data)
		if err := errors.Join(err, z.Close(), os.WriteFile(r.path+".2.gz", out.Bytes(), 0o600), os.Remove(r.path+".1")); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns.Add(1)
	return r.rotate(r.path)
}
