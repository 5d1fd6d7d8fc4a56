package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rekey/bot/bottest"
)

// teller prints the drill, one line at a time, whoever tells.
type teller struct {
	mu    sync.Mutex
	w     io.Writer
	shown map[string]map[string]bool // the lines shown of each message
}

func newTeller(w io.Writer) *teller {
	return &teller{w: w, shown: map[string]map[string]bool{}}
}

func (t *teller) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, format, args...)
}

func (t *teller) title(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	t.print("\n%s\n%s\n", s, strings.Repeat("─", len([]rune(s))))
}

func (t *teller) line(format string, args ...any) { t.print(format+"\n", args...) }
func (t *teller) gap()                            { t.print("\n") }

func (t *teller) say(format string, args ...any) {
	t.print("%s  %s\n", time.Now().Format("15:04:05.0"), fmt.Sprintf(format, args...))
}

func (t *teller) quote(text string) {
	for line := range strings.Lines(text) {
		t.print("            │ %s\n", strings.TrimRight(line, "\n"))
	}
}

func (t *teller) figure(name, format string, args ...any) {
	t.print("%-30s %s\n", name, fmt.Sprintf(format, args...))
}

// change prints what is new in a message: all of a new one, the changed lines of one
// that was edited.
func (t *teller) change(c bottest.Change) {
	seen := t.shown[c.Message.TS]
	if seen == nil {
		seen = map[string]bool{}
		t.shown[c.Message.TS] = seen
	}
	var fresh []string
	for line := range strings.Lines(c.Message.Plain()) {
		line = strings.TrimRight(line, "\n ")
		if line != "" && !seen[line] {
			seen[line] = true
			fresh = append(fresh, line)
		}
	}
	if len(fresh) == 0 {
		return
	}
	where := "#devops-alerts"
	switch {
	case c.Kind == bottest.Edited:
		where += ", edited"
	case c.Message.ThreadTS != "":
		where += ", thread"
	}
	t.say("%s", where)
	t.quote(strings.Join(fresh, "\n"))
}
