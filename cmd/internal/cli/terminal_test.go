package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waiting bounds a wait for something that happens at once. Only a failing test
// spends it.
const waiting = 30 * time.Second

// Terminal is a real one: what is typed into its keyboard passes through the kernel's
// line discipline, which shows it on the screen or does not.
type Terminal struct {
	t        *testing.T
	keyboard *os.File // and screen
	TTY      *os.File // what a program has as its standard input

	asked int // questions so far

	mu     sync.Mutex
	screen bytes.Buffer
}

// NewTerminal makes one.
func NewTerminal(t *testing.T) *Terminal {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("this test needs pseudo-terminals: %v", err)
	}
	var tty *os.File
	raw, err := keyboard.SyscallConn() // Fd would make it block, and closing it would wait for its reader
	if err == nil {
		err = errors.Join(err, raw.Control(func(fd uintptr) { tty, err = otherEnd(int(fd)) }))
	}
	if err != nil {
		t.Fatalf("opening the terminal: %v", err)
	}
	term := &Terminal{t: t, keyboard: keyboard, TTY: tty}
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		buffer := make([]byte, 4096)
		for {
			n, err := keyboard.Read(buffer)
			term.mu.Lock()
			term.screen.Write(buffer[:n])
			term.mu.Unlock()
			if err != nil {
				return // the last program closed it
			}
		}
	}()
	t.Cleanup(func() {
		_ = keyboard.Close() // whoever reads the other end hears of it
		<-seen
		_ = tty.Close()
	})
	return term
}

// otherEnd opens what a program sees of a pseudo-terminal, also where /dev/pts is
// another container's.
func otherEnd(fd int) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(peer, "tty"), nil
}

// Shows answers all that was shown so far.
func (term *Terminal) Shows() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// Types presses keys: \r is Enter, \x03 Ctrl-C.
func (term *Terminal) Types(text string) {
	term.t.Helper()
	if _, err := term.keyboard.WriteString(text); err != nil {
		term.t.Fatalf("typing: %v", err)
	}
}

// WaitsFor waits until a text is shown.
func (term *Terminal) WaitsFor(text string) {
	term.t.Helper()
	for deadline := time.Now().Add(waiting); !strings.Contains(term.Shows(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			term.t.Fatalf("the terminal does not show %q", text)
		}
	}
}

// Echoes reports whether what is typed is shown.
func (term *Terminal) Echoes() bool {
	term.t.Helper()
	state, err := unix.IoctlGetTermios(int(term.TTY.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

type asked struct {
	text string
	err  error
}

func (term *Terminal) ask(ctx context.Context) <-chan asked {
	got := make(chan asked, 1)
	term.asked++
	question := fmt.Sprintf("New value %d: ", term.asked)
	go func() {
		text, err := askHidden(ctx, term.TTY, term.TTY, question)
		got <- asked{text, err}
	}()
	term.WaitsFor(question)
	return got
}

func (term *Terminal) answer(got <-chan asked) asked {
	term.t.Helper()
	select {
	case a := <-got:
		return a
	case <-time.After(waiting):
		term.t.Fatal("no answer from the terminal")
		return asked{}
	}
}

// Guide: procedures/email-host-password/new-password
func TestATerminalShowsNothingOfAValue(t *testing.T) {
	t.Parallel()
	term := NewTerminal(t)
	term.Types("this is shown\n") // typed ahead, so it is on the screen and in a scroll-back
	term.WaitsFor("this is shown")
	got := term.ask(t.Context())
	term.Types("s3cret-pasXwrd")
	term.Types("\x7f\x7f\x7f\x7f")
	term.Types("sword\r")
	if a := term.answer(got); a.err != nil || a.text != "s3cret-password" {
		t.Errorf("read %d bytes (%v), want what was typed and corrected", len(a.text), a.err)
	}
	if !term.Echoes() {
		t.Error("the terminal shows nothing any more")
	}
	term.Types("shown again\n")
	term.WaitsFor("shown again")
	for _, part := range []string{"s3cret", "sword", "pasX"} {
		if strings.Contains(term.Shows(), part) {
			t.Errorf("the screen shows part of the value: %q", term.Shows())
		}
	}
}

func TestATerminalIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	term := NewTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := term.ask(ctx)
	if term.Echoes() {
		t.Error("the terminal shows what is typed")
	}
	cancel()
	if a := term.answer(got); !errors.Is(a.err, context.Canceled) || a.text != "" {
		t.Errorf("stopped: %v, want the context's error", a.err)
	}
	if !term.Echoes() {
		t.Error("the terminal shows nothing any more")
	}
	term.Types("\n") // for the reader that nobody waits for
}

func TestATerminalThatEnds(t *testing.T) {
	t.Parallel()
	term := NewTerminal(t)
	got := term.ask(t.Context())
	term.Types("half\x04\x04") // Ctrl-D: what there is, and the end
	if a := term.answer(got); a.err != nil || a.text != "half" {
		t.Errorf("read %d bytes (%v)", len(a.text), a.err)
	}
	got = term.ask(t.Context())
	term.Types("\x04")
	if a := term.answer(got); a.err != nil || a.text != "" {
		t.Errorf("nothing typed: %d bytes (%v)", len(a.text), a.err)
	}
}

// A terminal cuts a longer line short without a word; the half of a password would be
// refused by the provider, or worse, be taken.
func TestATerminalIsNotTrustedWithLongLines(t *testing.T) {
	t.Parallel()
	term := NewTerminal(t)
	got := term.ask(t.Context())
	term.Types(strings.Repeat("x", 5000) + "\n")
	var f *failure
	if a := term.answer(got); !errors.As(a.err, &f) || f.code != ExitRefused || !strings.Contains(f.text, "--file") {
		t.Errorf("a line of 5000: %d bytes, %v", len(a.text), a.err)
	}
}

func TestOnlyTerminalsAreTerminals(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(r) || !isTerminal(NewTerminal(t).TTY) {
		t.Error("a pipe is taken for a terminal, or a terminal is not")
	}
}
