package render

import (
	"fmt"
	"strings"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
)

// Budgets of the board's parts, in units; together they stay below maxPage.
const (
	budgetSteps   = 4500
	budgetReasons = 1200
)

// Board is the one message of a run in the incident channel, edited as the run goes
// on. What a responder asks first stands first: how it ended, whether the secret was
// misused, what is left to do. What each step saw is in the thread; a step that
// failed says so here.
func Board(s Scene) Message {
	if s.Run.Kind == ledger.KindBatch {
		return batchBoard(s)
	}
	var p page
	p.header(titleOf(s))
	if problem := clean(s.Run.Problem); problem != "" {
		p.section("*What went wrong:* " + text(problem, 800))
	}
	if s.Report != nil {
		verdict(&p, *s.Report)
	}
	if _, held := commands.Held(s.Run); held {
		choice(&p, s)
	} else if todo := toDo(s); todo != "" {
		p.section("*What is left to do:* " + todo)
	}
	if len(p.blocks) > 1 {
		p.divider()
	}
	p.section(asked(s.Run))
	p.lines("", stepLines(s, false), budgetSteps)
	p.context(under(s))
	rollBack(&p, s)
	p.context(footer(s))
	return p.message(Headline(s))
}

// Headline is the run in one sentence.
func Headline(s Scene) string {
	h := titleOf(s)
	if over, all := progress(s.Steps); all > 0 && forward(s.Run.State) && !s.Run.State.Final() {
		h += fmt.Sprintf(" (%d of %d steps)", over, all)
	}
	if s.Run.Problem != "" {
		h += ". " + s.Run.Problem
	}
	if s.Report != nil && s.Run.State.Final() {
		h += ". " + s.Report.Verdict.Sentence
	}
	return h
}

// title names secret, environment, mode and state; the state comes before the
// name where a very long name could push it out.
func title(r ledger.Run) string {
	name := cut(clean(r.Secret), 60) + " in " + cut(clean(r.Environment), 24)
	if r.Mode == "compromised" {
		name += " (compromised)"
	}
	return runMark(r.State) + " " + name + ": " + runWords(r)
}

// titleOf is title, and of a run that waits it says for what.
func titleOf(s Scene) string {
	if _, held := commands.Held(s.Run); held {
		return title(s.Run)
	}
	if st, ok := waitsAt(s); ok && st.Kind != "overlap" && clean(st.Note) != "" {
		r := s.Run
		r.State = ledger.Running
		return runMark(ledger.Waiting) + strings.TrimPrefix(title(r), runMark(r.State)) + ", waiting. " + cut(clean(st.Note), 300)
	}
	return title(s.Run)
}

// waitsAt is the step that a waiting run is in.
func waitsAt(s Scene) (ledger.Step, bool) {
	if s.Run.State == ledger.Waiting {
		for _, st := range s.Steps {
			if st.State == ledger.StepRunning {
				return st, true
			}
		}
	}
	return ledger.Step{}, false
}

func asked(r ledger.Run) mark {
	m := "*Asked by* " + text(who(r.Actor), 80) + " *at* " + text(clock(r.CreatedAt), 40)
	if r.Mode != "" {
		m += "\n*Mode* " + text(modeWords(r.Mode), 120)
	}
	if clean(r.Reason) != "" {
		m += "\n*Why* " + code(r.Reason, 600)
	}
	return m
}

// stepLines is a line per step, with what the done ones saw if told asks for it. Where they are too many for the budget, the done
// ones at the start are told as one, for what matters is where the run is.
func stepLines(s Scene, told bool) []mark {
	lines := make([]mark, len(s.Steps))
	total := 0
	for i, st := range s.Steps {
		lines[i] = stepLine(s, st, told)
		total += width(string(lines[i])) + 1
	}
	done := 0
	for done < len(s.Steps) && s.Steps[done].State == ledger.StepDone && total > budgetSteps-100 {
		total -= width(string(lines[done])) + 1
		done++
	}
	if done < 2 {
		return lines
	}
	first := mark("`" + pad("✓ done") + "` " + count(done, "earlier step", "earlier steps"))
	return append([]mark{first}, lines[done:]...)
}

func stepLine(s Scene, st ledger.Step, told bool) mark {
	sign, word := stepWords(st.State)
	title := st.Title
	if clean(title) == "" {
		title = st.Key
	}
	m := mark("`"+pad(sign+" "+word)+"` ") + text(title, 200)
	if t := stepTime(st, s.Now); t != "" {
		m += mark(" (" + t + ")")
	}
	if _, held := commands.Held(s.Run); held && !told && st.State == ledger.StepRunning {
		return m + ": see above"
	}
	if (told || st.State != ledger.StepDone) && clean(st.Note) != "" {
		m += ": " + text(st.Note, 300)
	}
	return m
}

func pad(s string) string { return s + strings.Repeat(" ", max(0, 9-len([]rune(s)))) }

// under is the line below the steps: how far and how long.
func under(s Scene) mark {
	var parts []string
	if over, all := progress(s.Steps); all > 0 && forward(s.Run.State) {
		parts = append(parts, fmt.Sprintf("%d of %d steps", over, all))
	}
	if s.Run.State != ledger.Queued {
		parts = append(parts, runTime(s.Run, s.Now))
	}
	return mark(strings.Join(parts, " · "))
}

// verdict is the audit's answer with its reasons.
func verdict(p *page, r audit.Report) {
	sign, _ := verdictWords(r.Verdict.Outcome)
	p.section(mark(sign+" *Verdict:* ") + text(verdictSentence(r.Verdict), 700))
	p.lines("", bullets(r.Verdict.Reasons), budgetReasons)
	p.lines("*Missing to be sure:*", bullets(r.Verdict.Missing), budgetReasons/2)
}

func bullets(ss []string) []mark {
	var ms []mark
	for _, s := range ss {
		if clean(s) != "" {
			ms = append(ms, "• "+text(s, 400))
		}
	}
	return ms
}

// toDo says what people still have to do: the question everybody asks last.
func toDo(s Scene) mark {
	r := s.Run
	name := text(r.Secret, 80)
	switch {
	case r.Kind == ledger.KindWatch:
		return ""
	case r.Kind == ledger.KindAudit && r.State == ledger.Failed:
		return "ask again with `/audit-secret " + name + "`."
	case r.State == ledger.Waiting:
		if st, ok := waitsAt(s); ok && st.Kind != "overlap" && clean(st.Note) != "" {
			return text(st.Note, 400)
		}
		return "nothing. The old value is retired by itself at " + text(clock(r.WakeAt), 40) + "."
	case r.State == ledger.RolledBack:
		m := "*The old value is still valid.* Every service is back on it and answers. Mend what went wrong, then run `/rotate " + name + " " + text(orMode(r.Mode), 20) + "` again."
		if r.Mode == "compromised" {
			m += " Until then whoever has the value can use it."
		}
		return m
	case r.State == ledger.Failed:
		where := mark("in the steps above")
		if r.Batch != "" {
			where = "in `/rotate status " + text(r.ID, 80) + "`"
		}
		return "*a person must look.* What each service runs on is " + where + "; rekey changes nothing more by itself."
	case r.State != ledger.Succeeded:
		return ""
	case s.Report == nil:
		return "nothing."
	}
	switch s.Report.Verdict.Outcome {
	case audit.Misused:
		return "treat what " + name + " guards as touched: go through the accepted requests listed in the thread."
	case audit.CannotTell:
		return "bring the missing evidence, then run `/audit-secret " + name + "`."
	}
	return "nothing."
}

func orMode(mode string) string {
	if mode == "" {
		return "routine"
	}
	return mode
}

func footer(s Scene) mark {
	m := "Run " + code(s.Run.ID, 80)
	if s.Anchor.Seq > 0 {
		m += mark(fmt.Sprintf(" · security log entry %d, hash `%s…`", s.Anchor.Seq, s.Anchor.Hash.String()[:16]))
	}
	return m
}
