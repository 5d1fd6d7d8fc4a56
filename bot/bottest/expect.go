package bottest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// TB is the part of *testing.T the expectations need; taking it as an interface keeps package testing out of programs
// that use the stand-ins.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// patience is how long an expectation waits. It is only ever spent by a test that fails.
const patience = 30 * time.Second

// ExpectMessage waits for a message (a reply counts) whose plain text holds every one of these texts, and returns it.
// When none comes, the test fails with the conversation so far.
func (c *Channel) ExpectMessage(t TB, texts ...string) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.WaitMessage(ctx, func(m Message) bool { return holds(m.Plain(), texts) })
	if err != nil {
		t.Fatalf("#%s has no message with %q; it has:\n%s", c.Name, texts, c.Transcript())
	}
	return m
}

// ExpectNoMessage fails the test at once when a message holds every one of these texts.
func (c *Channel) ExpectNoMessage(t TB, texts ...string) {
	t.Helper()
	for _, m := range c.All() {
		if holds(m.Plain(), texts) {
			t.Fatalf("#%s has a message with %q:\n%s", c.Name, texts, c.Transcript())
		}
	}
}

// Types is Type for tests: it fails the test on what no person could have typed.
func (u *User) Types(t TB, channel *Channel, line string) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := u.Type(ctx, channel, line)
	if err != nil {
		t.Fatalf("%s typing %q: %v", u.Name, line, err)
	}
	return answer
}

// ExpectConnected waits until the app holds at least n Socket Mode connections.
func (s *Slack) ExpectConnected(t TB, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.WaitConnections(ctx, n); err != nil {
		t.Fatalf("the app holds %d Socket Mode connections, expected %d; errors so far: %q",
			s.Connections(), n, s.Errors())
	}
}

// ExpectDisconnected waits until the app holds no Socket Mode connection any more. Slack learns of an end a moment
// after the app made it.
func (s *Slack) ExpectDisconnected(t TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		s.state.Lock()
		open, changed := len(s.sockets), s.changed
		s.state.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the app still holds %d Socket Mode connections", open)
			return
		}
	}
}

// ExpectNoErrors fails the test when the app broke one of Slack's rules.
func (s *Slack) ExpectNoErrors(t TB) {
	t.Helper()
	if problems := s.Errors(); len(problems) > 0 {
		t.Fatalf("Slack's rules were broken:\n%s", strings.Join(problems, "\n"))
	}
}

// ExpectIncident waits for an incident in this state whose summary holds every one of these texts.
func (p *PagerDuty) ExpectIncident(t TB, status Status, texts ...string) Incident {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	i, err := p.WaitIncident(ctx, func(i Incident) bool { return i.Status == status && holds(i.Summary, texts) })
	if err != nil {
		t.Fatalf("no %s incident with %q; PagerDuty has %+v and refused %q", status, texts, p.Incidents(), p.Errors())
	}
	return i
}

// Transcript is the channel as plain text, threads indented below their parents.
func (c *Channel) Transcript() string {
	var b strings.Builder
	line := func(indent string, m Message) {
		text := strings.ReplaceAll(m.Plain(), "\n", "\n"+indent+"    ")
		fmt.Fprintf(&b, "%s%s: %s%s\n", indent, m.Author(), text, strings.Repeat(" (edited)", min(m.Edits, 1)))
	}
	for _, m := range c.Messages() {
		line("", m)
		for _, reply := range c.Thread(m.TS) {
			line("  ", reply)
		}
	}
	return b.String()
}

// Author is the name of who wrote the message.
func (m Message) Author() string {
	if m.slack == nil {
		return m.UserID
	}
	m.slack.state.Lock()
	defer m.slack.state.Unlock()
	return m.slack.name(m.UserID)
}

func holds(text string, all []string) bool {
	for _, x := range all {
		if !strings.Contains(text, x) {
			return false
		}
	}
	return true
}

// ExpectWhisper waits until a person was shown an ephemeral message that holds every one of these texts.
func (s *Slack) ExpectWhisper(t TB, u *User, texts ...string) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		s.state.Lock()
		changed := s.changed
		s.state.Unlock()
		var all []string
		for _, m := range u.Whispers() {
			if holds(m.Plain(), texts) {
				return m
			}
			all = append(all, m.Plain())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s was never shown %q, only %q", u.Name, texts, all)
			return Message{}
		}
	}
}
