package render

import (
	"fmt"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
)

// The few words that name a state, beside a mark for those who scan.

func runMark(s ledger.RunState) string {
	switch s {
	case ledger.Queued:
		return "⚪"
	case ledger.Running:
		return "🔵"
	case ledger.Waiting:
		return "🟡"
	case ledger.RollingBack, ledger.RolledBack:
		return "🟠"
	case ledger.Succeeded:
		return "🟢"
	}
	return "🔴"
}

// runWords says where a run is, in a few words.
func runWords(r ledger.Run) string {
	if r.Kind == ledger.KindAudit {
		switch r.State {
		case ledger.Queued:
			return "audit waiting to start"
		case ledger.Succeeded:
			return "audited"
		case ledger.Failed, ledger.RolledBack:
			return "audit failed"
		}
		return "auditing"
	}
	if r.Kind == ledger.KindWatch {
		if r.State.Final() {
			return "watched for uses of the old value"
		}
		return "watching for uses of the old value"
	}
	if r.Kind == ledger.KindBatch {
		switch r.State {
		case ledger.Queued:
			return "rotations waiting to start"
		case ledger.Waiting:
			return "each done or waiting"
		case ledger.Succeeded:
			return "all rotated"
		case ledger.RolledBack:
			return "ended, some of them rolled back"
		case ledger.Failed:
			return "one of them stopped, a person must look"
		case ledger.Running, ledger.RollingBack:
		}
		return "one after the other"
	}
	switch r.State {
	case ledger.Queued:
		return "rotation waiting to start"
	case ledger.Running:
		return "rotating"
	case ledger.Waiting:
		if words, ok := heldWords(r); ok {
			return words
		}
		return "new value in use, old value accepted until " + clock(r.WakeAt)
	case ledger.RollingBack:
		return "going back to the old value"
	case ledger.Succeeded:
		return "rotated, the old value is dead"
	case ledger.RolledBack:
		return "rolled back, the old value is still valid"
	}
	return "stopped, a person must look"
}

func stepWords(s ledger.StepState) (sign, word string) {
	switch s {
	case ledger.StepPending:
		return "○", "to do"
	case ledger.StepRunning:
		return "▸", "running"
	case ledger.StepDone:
		return "✓", "done"
	case ledger.StepSkipped:
		return "–", "skipped"
	case ledger.StepUndone:
		return "↩", "undone"
	}
	return "✗", "failed"
}

func verdictWords(o audit.Outcome) (sign, word string) {
	switch o {
	case audit.NoSign:
		return "🟢", "no sign of misuse"
	case audit.Refused:
		return "🟡", "tried and refused"
	case audit.Misused:
		return "🔴", "used by an address that is not ours"
	}
	return "⚪", "cannot tell"
}

// verdictSentence is the verdict's own sentence, led by the outcome's words where
// it does not begin with them.
func verdictSentence(v audit.Verdict) string {
	_, word := verdictWords(v.Outcome)
	sentence := clean(v.Sentence)
	if len(sentence) >= len(word) && strings.EqualFold(sentence[:len(word)], word) {
		return sentence
	}
	return strings.TrimSpace(word + ". " + sentence)
}

func kindWords(k audit.Kind, n int) string {
	switch k {
	case audit.InvalidSignature:
		return count(n, "refused signature", "refused signatures")
	case audit.Denied:
		return count(n, "401 or 403 answer", "401 or 403 answers")
	}
	return count(n, "accepted request from an address that is not ours", "accepted requests from addresses that are not ours")
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return audit.Number(n) + " " + many
}

// modeWords explains a mode to somebody who did not choose it.
func modeWords(mode string) string {
	switch mode {
	case "compromised":
		return "compromised: the old value dies as soon as every service runs on the new one"
	case "routine":
		return "routine: the old value stays valid for the overlap"
	}
	return mode
}

// elapsed is a duration for people.
func elapsed(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 72*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// stepTime is how long a step took or has taken, "" when it has not begun.
func stepTime(s ledger.Step, now time.Time) string {
	switch {
	case s.Started.IsZero() || s.State == ledger.StepPending || s.State == ledger.StepSkipped:
		return ""
	case !s.Ended.IsZero():
		return elapsed(s.Ended.Sub(s.Started))
	case s.State == ledger.StepRunning:
		return elapsed(now.Sub(s.Started)) + " so far"
	}
	return ""
}

// runTime is how long a run took or has taken.
func runTime(r ledger.Run, now time.Time) string {
	from := r.StartedAt
	if from.IsZero() {
		from = r.CreatedAt
	}
	if r.State.Final() && !r.EndedAt.IsZero() {
		return elapsed(r.EndedAt.Sub(from))
	}
	return elapsed(now.Sub(from)) + " so far"
}

// clock is a moment, always in UTC and saying so: the logs are, and responders sit
// in several time zones.
func clock(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func day(t time.Time, zero string) string {
	if t.IsZero() {
		return zero
	}
	return t.UTC().Format("2006-01-02")
}

// span is two moments, the day named once where it is the same.
func span(a, b time.Time) string {
	switch {
	case a.IsZero() && b.IsZero():
		return ""
	case a.Equal(b):
		return clock(a)
	case a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly):
		return a.UTC().Format("2006-01-02 15:04:05") + " to " + b.UTC().Format("15:04:05 UTC")
	}
	return clock(a) + " to " + clock(b)
}

// who is an actor of the security log for people: "slack:U012 (alice)" is alice.
func who(actor string) string { return commands.NameOf(actor) }

// forward reports whether a run in state s goes on with its steps, or has done all.
func forward(s ledger.RunState) bool {
	return s != ledger.RollingBack && s != ledger.RolledBack && s != ledger.Failed
}

// progress counts the steps that are over.
func progress(steps []ledger.Step) (over, all int) {
	for _, s := range steps {
		if s.State == ledger.StepDone || s.State == ledger.StepSkipped || s.State == ledger.StepUndone {
			over++
		}
	}
	return over, len(steps)
}
