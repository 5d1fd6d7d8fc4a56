package logstest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// rounds is how often each side has its turn at least; what counts is the median.
const rounds = 5

// Peer is what a person would type instead: a shell pipeline on the file "$1".
type Peer struct {
	Name     string
	Pipeline string
	Goal     float64 // how many times as long as ours it should take; 0 for no goal
}

// Contest asks one question of rekey and of its peers.
type Contest struct {
	Name  string
	File  string // "$1" of the pipelines
	Bytes int64
	Peers []Peer
	Ours  func(b *testing.B)
	// Nice says that ours reads on threads that stand back; so do the peers, then, or
	// whatever else the machine does would be ours to wait for alone.
	Nice bool
	// Whole says that there is no answer without all of the file. Then copying it out of the
	// kernel's memory and looking at nothing takes part, as what is left of a goal.
	Whole bool
}

// cost is what something took: on the clock, and of the processors' time, which two
// workers spend twice as fast.
type cost struct{ wall, cpu time.Duration }

// Table collects what the contests of a benchmark came to.
type Table struct {
	rows [][]string
}

// Run holds c: each side in turn, in the same run, so that whatever else the machine
// does meets all of them. Ratios are of medians.
func (t *Table) Run(b *testing.B, c Contest) {
	b.Run(c.Name, func(b *testing.B) {
		defer AsRekeyRuns()()
		c.Ours(b) // both sides find the file in memory
		var ours, copied []cost
		theirs := make([][]cost, len(c.Peers))
		round := func() {
			ours = append(ours, costs(b, func() { c.Ours(b) }))
			if c.Whole {
				copied = append(copied, costs(b, func() { copyOut(b, c.File) }))
			}
			for i, p := range c.Peers {
				theirs[i] = append(theirs[i], p.run(b, c))
			}
		}
		for b.Loop() {
			round()
		}
		for len(ours) < rounds {
			round()
		}
		mine, least := median(ours), cost{}
		if c.Whole {
			least = median(copied)
		}
		b.ReportMetric(float64(mine.wall.Nanoseconds()), "ns/op")
		if c.Bytes > 0 {
			b.ReportMetric(float64(c.Bytes)/1e9/mine.wall.Seconds(), "GB/s")
		}
		for i, p := range c.Peers {
			his := median(theirs[i])
			ratio := his.wall.Seconds() / mine.wall.Seconds()
			b.ReportMetric(ratio, "x-"+p.Name)
			row := []string{c.Name, round3(mine.wall), p.Name + " " + round3(his.wall), fmt.Sprintf("%.3gx", ratio), "", ""}
			if mine.cpu > time.Millisecond { // less is not counted
				cpu := his.cpu.Seconds() / mine.cpu.Seconds()
				b.ReportMetric(cpu, "cpu-x-"+p.Name)
				row[3] += fmt.Sprintf(" (cpu %.3gx)", cpu)
			}
			if p.Goal > 0 {
				row[4], row[5] = fmt.Sprintf("%gx", p.Goal), verdict(ratio >= p.Goal)
			}
			if c.Whole && p.Goal > 0 {
				row[5] += fmt.Sprintf(", %.3gx without looking", his.wall.Seconds()/least.wall.Seconds())
			}
			t.rows = append(t.rows, row)
		}
		if c.Whole {
			t.rows = append(t.rows, []string{
				c.Name, round3(mine.wall), "copying " + round3(least.wall),
				fmt.Sprintf("%.3gx (cpu %.3gx)", least.wall.Seconds()/mine.wall.Seconds(), least.cpu.Seconds()/mine.cpu.Seconds()), "", "",
			})
		}
	})
}

// Check adds a row about a figure that has a goal of its own: at most goal of unit.
func (t *Table) Check(b *testing.B, name, unit string, value, goal float64) {
	b.Helper()
	b.ReportMetric(value, unit)
	row := []string{name, fmt.Sprintf("%.3g %s", value, unit), "", "", fmt.Sprintf("at most %.3g", goal), verdict(value <= goal)}
	if last := len(t.rows) - 1; last >= 0 && t.rows[last][0] == name { // the benchmark was run again, for longer
		t.rows[last] = row
		return
	}
	t.rows = append(t.rows, row)
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "MISSED"
}

// Print writes the table.
func (t *Table) Print(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "question\tours\tpeer\tratio\tgoal\t")
	for _, row := range t.rows {
		_, _ = fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush()
}

// run answers what a peer costs. Its output is read to the end: a grep that writes to
// /dev/null stops at the first hit.
func (p Peer) run(b *testing.B, c Contest) cost {
	b.Helper()
	argv := []string{"sh", "-c", p.Pipeline, "sh", c.File}
	if c.Nice {
		argv = append([]string{"nice", "-n", "10"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	begun := time.Now()
	out, err := cmd.Output()
	took := time.Since(begun)
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		b.Fatalf("%s: error %v, %d bytes of output", p.Pipeline, err, len(out))
	}
	return cost{wall: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// costs answers what something costs that this process does.
func costs(b *testing.B, do func()) cost {
	b.Helper()
	begun, used := time.Now(), CPUTime(b)
	do()
	return cost{wall: time.Since(begun), cpu: CPUTime(b) - used}
}

// copyOut reads a file by all processors at once, in blocks of half a megabyte, and looks
// at nothing: about what any reader that copies has to spend.
func copyOut(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			block := make([]byte, 512<<10)
			for {
				switch _, err := f.ReadAt(block, (next.Add(1)-1)*int64(len(block))); {
				case errors.Is(err, io.EOF):
					return
				case err != nil:
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// CPUTime is what this process and those it waited for used of the processors.
func CPUTime(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return sum
}

// Ripgrep answers peers with those added that need rg, where there is one.
func Ripgrep(peers []Peer, rg ...Peer) []Peer {
	if _, err := exec.LookPath("rg"); err != nil {
		return peers
	}
	return append(peers, rg...)
}

// median takes that of the clock and that of the processors each by itself.
func median(list []cost) cost {
	slices.SortFunc(list, func(a, b cost) int { return cmp.Compare(a.cpu, b.cpu) })
	cpu := list[len(list)/2].cpu
	slices.SortFunc(list, func(a, b cost) int { return cmp.Compare(a.wall, b.wall) })
	return cost{wall: list[len(list)/2].wall, cpu: cpu}
}

func round3(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// AsRekeyRuns gives this process as many of the runtime's processors as rekey has, until
// what it answers is called: see logs.Readers. Every benchmark begins with as many as there
// are cores, those within another as well.
func AsRekeyRuns() (restore func()) {
	usual := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * usual)
	return func() { runtime.GOMAXPROCS(usual) }
}
