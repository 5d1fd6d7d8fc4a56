package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// longestLine is how much of a line a terminal of Linux keeps, in bytes; it drops the
// rest without a word (n_tty's buffer of 4096, less the line's end).
const longestLine = 4095

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// askHidden asks on a terminal for one line and reads it without showing it. The
// terminal is as it was when askHidden returns, also when ctx ends, as it does at
// Ctrl-C.
func askHidden(ctx context.Context, tty *os.File, prompt io.Writer, question string) (_ string, err error) {
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("asking the terminal: %w", err)
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO | unix.ECHONL
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	// TCSETSF also drops what was typed ahead: that was shown.
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden); err != nil {
		return "", fmt.Errorf("turning the terminal's echo off: %w", err)
	}
	defer func() {
		if e := unix.IoctlSetTermios(fd, unix.TCSETSF, before); e != nil {
			err = errors.Join(err, fmt.Errorf("turning the terminal's echo on again: %w; run: stty echo", e))
		}
		fmt.Fprintln(prompt) // the person's own line end was not shown
	}()
	fmt.Fprint(prompt, question)
	type line struct {
		text []byte
		err  error
	}
	got := make(chan line, 1) // a reader that nobody waits for ends with the process
	go func() {
		text, err := readLine(tty)
		got <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case l := <-got:
		switch {
		case ctx.Err() != nil: // Ctrl-C also ends the line
			return "", ctx.Err()
		case l.err != nil:
			return "", fmt.Errorf("reading the terminal: %w", l.err)
		case len(l.text) >= longestLine:
			return "", unfit("a terminal takes no line that long whole: put the value into a file and name it with --file")
		}
		return string(l.text), nil
	}
}

// readLine reads up to a line's end, which it leaves out, or to the end of all.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	buffer := make([]byte, longestLine+1)
	for {
		n, err := r.Read(buffer)
		line = append(line, buffer[:n]...)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return line[:i], nil
		}
		if errors.Is(err, io.EOF) {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
