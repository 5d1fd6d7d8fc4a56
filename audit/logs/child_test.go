package logs

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/audit"
)

// runChild runs this program again to answer one question about a file, or to ping an
// address, and answers what it printed.
func runChild(b *testing.B, question, on string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REKEY_BENCH_CHILD="+question, "REKEY_BENCH_ON="+on)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		b.Fatalf("%s: error %v, %d bytes of output", question, err, len(out))
	}
	return strings.TrimSpace(string(out))
}

// child is the program as runChild runs it.
func child(question, on string, out io.Writer) int {
	ask := map[string]func(string, io.Writer) error{
		"signatures": func(path string, out io.Writer) error { return printLast(path, Security, audit.InvalidSignature, out) },
		"denials":    func(path string, out io.Writer) error { return printLast(path, Access, audit.Denied, out) },
		"memory":     printMemory,
		"ping":       printPings,
	}[question]
	if err := ask(on, out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// printLast prints the lines of the newest hundred records, as grep and tail do.
func printLast(path string, format Format, kind audit.Kind, out io.Writer) error {
	l, err := Open(path, format)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	records, _, err := l.Last(context.Background(), Query{Endpoints: guarded}, 100, kind)
	if err != nil {
		return err
	}
	for _, r := range records {
		line, err := l.Line(r.Offset)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// printMemory scans a whole file and prints the most memory that was resident, in KiB.
func printMemory(path string, out io.Writer) error {
	l, err := Open(path, Access)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if _, err := l.Scan(context.Background(), Query{Endpoints: guarded}, func(Record) error { return nil }); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, err := fmt.Fprintln(out, strings.Fields(rest)[0])
			return err
		}
	}
	return fmt.Errorf("no VmHWM in %q", status)
}

// pings is how many answers are waited for: enough for ten above the 99th percentile.
const pings = 1000

// printPings sends short messages to an address and prints the 99th percentile of the
// time until each came back, in milliseconds.
func printPings(addr string, out io.Writer) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	message := make([]byte, 64)
	var took []time.Duration
	for range pings {
		time.Sleep(2 * time.Millisecond)
		begun := time.Now()
		if _, err := conn.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, message); err != nil {
			return err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	_, err = fmt.Fprintln(out, took[len(took)*99/100].Seconds()*1000)
	return err
}

func ping(b *testing.B, addr string) float64 {
	b.Helper()
	ms, err := strconv.ParseFloat(runChild(b, "ping", addr), 64)
	if err != nil {
		b.Fatal(err)
	}
	return ms
}

// echo answers whatever is sent to the address it answers, until the benchmark ends.
func echo(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, struct{ io.Reader }{conn})
			}()
		}
	}()
	return listener.Addr().String()
}
