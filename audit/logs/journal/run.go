package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"rekey/audit/logs"
)

const (
	maxEntry  = 8 << 20 // bytes of an entry as JSON; a message of bytes has about five for each
	maxStderr = 4 << 10
	stopDelay = 2 * time.Second // for journalctl to end once it was killed
)

// reading is one Scan's dealings with journalctl.
type reading struct {
	source     *Source
	reached    time.Time // of the last line handed out
	hidden     bool      // a part of the journal may not be seen
	damaged    string    // what journalctl said of damaged files
	long       int       // entries that were not looked at
	unfiltered bool      // journalctl cannot search
}

func (r *reading) unit() string { return "--unit=" + r.source.cfg.Unit }

// span are the arguments for a stretch of time. journalctl takes seconds since 1970 with a
// fraction, whatever the machine's zone; both ends are included.
func span(from, to time.Time) []string {
	return []string{fmt.Sprintf("--since=@%d.%06d", from.Unix(), from.Nanosecond()/1000), until(to)}
}

func until(to time.Time) string {
	return fmt.Sprintf("--until=@%d.%06d", to.Unix(), to.Nanosecond()/1000)
}

// newest are the arguments for the last n entries up to a time, newest first. In their own
// order the n would be the last of all, and those after to would be missing from them.
func newest(n int, unit string, to time.Time) []string {
	return []string{unit, fmt.Sprintf("--lines=%d", n), "--reverse", until(to)}
}

// grep is one expression for journalctl, which takes one; "" for none. Each look-ahead reads
// a message once, so that no message makes PCRE give up.
func grep(format logs.Format, q logs.Query) string {
	patterns := logs.Prefilter(format, q)
	if len(patterns) < 2 {
		return strings.Join(patterns, "")
	}
	var b strings.Builder
	b.WriteString(`\A`)
	for _, p := range patterns {
		b.WriteString(`(?=[\s\S]*?(?:` + p + `))`)
	}
	return b.String()
}

// filtered runs journalctl with the expression, or, where it cannot search, without: then
// every line is judged here.
func (r *reading) filtered(ctx context.Context, args []string, pattern string, take func(entry) error) error {
	args = append([]string{r.unit()}, args...)
	if pattern == "" {
		return r.run(ctx, args, take)
	}
	found := false
	err := r.run(ctx, append(args[:len(args):len(args)], "--case-sensitive=true", "--grep="+pattern), func(e entry) error {
		found = true
		return take(e)
	})
	var failed *failedError
	switch {
	case found || !errors.As(err, &failed):
		return err
	case failed.foundNothing():
		return nil
	case !failed.cannotSearch():
		return err
	}
	r.unfiltered = true
	return r.run(ctx, args, take)
}

// run starts journalctl and hands its entries to take, whose error ends it.
func (r *reading) run(ctx context.Context, args []string, take func(entry) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	base := []string{
		"--no-pager", "--output=json", "--all",
		"--output-fields=MESSAGE,_SOURCE_REALTIME_TIMESTAMP",
	}
	if dir := r.source.cfg.Directory; dir != "" {
		base = append(base, "--directory="+dir)
	}
	cmd := exec.CommandContext(ctx, r.source.cfg.Program, append(base, args...)...) //nolint:gosec // the catalogue's program and arguments of a checked form, no shell
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0"}
	cmd.WaitDelay = stopDelay
	said := &head{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting journalctl: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting journalctl: %w", err)
	}
	readErr := r.entries(out, take)
	if readErr != nil {
		stop()
	}
	_, _ = io.Copy(io.Discard, out) // Wait wants the pipe read to its end
	waitErr := cmd.Wait()
	r.note(said.String())
	switch {
	case ctx.Err() != nil && readErr == nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	case waitErr != nil:
		return &failedError{err: waitErr, said: said.String()}
	}
	return nil
}

// entries reads what journalctl prints, one JSON object a line.
func (r *reading) entries(out io.Reader, take func(entry) error) error {
	in := bufio.NewReaderSize(out, 256<<10)
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(text) <= maxEntry {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		switch line := bytes.TrimSpace(text); {
		case len(text) > maxEntry:
			r.long++
		case len(line) == 0 || line[0] != '{': // "-- No entries --"
		default:
			e, err := decode(line)
			if err != nil {
				return err
			}
			if err := take(e); err != nil {
				return err
			}
		}
		if err != nil { // the end, or a process that was killed: Wait tells them apart
			return nil //nolint:nilerr // the end of what there is
		}
		if cap(text) > 1<<20 {
			text = nil
		}
		text = text[:0]
	}
}

// note keeps what journalctl's complaints mean.
func (r *reading) note(said string) {
	if strings.Contains(said, "not seeing messages from") {
		r.hidden = true
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, "corrupted") || strings.Contains(line, "truncated") {
			r.damaged = shown(line)
		}
	}
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	_, _ = h.Buffer.Write(b[:min(len(b), max(0, maxStderr-h.Len()))])
	return len(b), nil
}
