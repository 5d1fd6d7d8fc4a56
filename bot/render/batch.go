package render

import (
	"fmt"
	"slices"
	"strings"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
)

// batchBoard is the one message of several rotations asked for by one command. What
// failed is named first, then whether a secret was misused, then what is left to do.
func batchBoard(s Scene) Message {
	var p page
	p.header(batchTitle(s))
	p.lines("*What went wrong:*", problemLines(s), 2000)
	choices(&p, s)
	verdicts(&p, s)
	p.lines("*What is left to do:*", batchToDo(s, true), 1800)
	if len(p.blocks) > 1 {
		p.divider()
	}
	p.section(asked(s.Run))
	p.lines("", memberLines(s), budgetSteps-1500)
	p.lines("*Not part of it*", otherLines(s), 1200)
	p.context(batchUnder(s))
	rollBack(&p, s)
	p.context(footer(s))
	return p.message(batchHeadline(s))
}

// batchTitle is where a batch is, in a line.
func batchTitle(s Scene) string {
	r := s.Run
	name := count(len(s.Members), "secret", "secrets") + " (" + cut(clean(r.Secret), 40) + ") in " + cut(clean(r.Environment), 24)
	if r.Mode == "compromised" {
		name += ", compromised"
	}
	return runMark(batchState(s)) + " " + name + ": " + batchWords(s)
}

// batchState is the state whose mark says how the members are. Only they know whether
// the batch waits, or for what.
func batchState(s Scene) ledger.RunState {
	if n, _ := tell(s, ledger.Failed); n > 0 {
		return ledger.Failed
	}
	if n, _ := tell(s, ledger.RollingBack, ledger.RolledBack); n > 0 {
		return ledger.RolledBack
	}
	return s.Run.State
}

// tell counts and names the members in one of the states.
func tell(s Scene, states ...ledger.RunState) (n int, names []string) {
	for _, m := range s.Members {
		if slices.Contains(states, m.Run.State) {
			names = append(names, cut(clean(m.Run.Secret), 60))
		}
	}
	return len(names), names
}

// batchWords counts the members by what became of them, the worst first.
func batchWords(s Scene) string {
	var parts []string
	for _, part := range []struct {
		states []ledger.RunState
		words  string
	}{
		{[]ledger.RunState{ledger.Failed}, "stopped, a person must look"},
		{[]ledger.RunState{ledger.RollingBack}, "going back"},
		{[]ledger.RunState{ledger.RolledBack}, "rolled back"},
		{[]ledger.RunState{ledger.Running}, "rotating"},
		{[]ledger.RunState{ledger.Waiting}, "waiting"},
		{[]ledger.RunState{ledger.Queued}, "to do"},
		{[]ledger.RunState{ledger.Succeeded}, "rotated"},
	} {
		switch n, _ := tell(s, part.states...); {
		case n == len(s.Members) && n > 0:
			return "all " + part.words
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s", n, part.words))
		}
	}
	return strings.Join(parts, ", ")
}

// batchHeadline is the batch in a sentence or two.
func batchHeadline(s Scene) string {
	h := batchTitle(s)
	if n, names := tell(s, ledger.Failed); n > 0 {
		h += ". Stopped: " + strings.Join(names, ", ")
	}
	if m, ok := worst(s); ok && s.Run.State.Final() {
		h += ". " + m.Run.Secret + ": " + m.Report.Verdict.Sentence
	}
	return h
}

// failedFirst are the members, those that failed first, then those on the way back.
func failedFirst(s Scene) []Scene {
	out := slices.Clone(s.Members)
	rank := func(m Scene) int {
		switch m.Run.State {
		case ledger.Failed:
			return 0
		case ledger.RollingBack, ledger.RolledBack:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b Scene) int { return rank(a) - rank(b) })
	return out
}

func problemLines(s Scene) []mark {
	var ms []mark
	for _, m := range failedFirst(s) {
		if clean(m.Run.Problem) != "" {
			ms = append(ms, "• *"+text(m.Run.Secret, 80)+"*: "+text(m.Run.Problem, 500))
		}
	}
	return ms
}

// memberLines is a line for each member.
func memberLines(s Scene) []mark {
	var ms []mark
	for _, m := range failedFirst(s) {
		line := mark(runMark(m.Run.State)) + " *" + text(m.Run.Secret, 80) + "*: " + text(memberWords(m), 300)
		if over, all := progress(m.Steps); all > 0 && forward(m.Run.State) && !m.Run.State.Final() {
			line += mark(fmt.Sprintf(" (%d of %d steps)", over, all))
		}
		ms = append(ms, line+" · run "+code(m.Run.ID, 60))
	}
	return ms
}

// memberWords says where a member is, and what a waiting one waits for.
func memberWords(m Scene) string {
	if words, held := heldWords(m.Run); held {
		return words
	}
	if st, ok := waitsAt(m); ok && st.Kind != "overlap" && clean(st.Note) != "" {
		return "waiting. " + clean(st.Note)
	}
	return runWords(m.Run)
}

// batchToDo is what the members leave to do; asked leaves out those that ask by buttons.
func batchToDo(s Scene, asked bool) []mark {
	var ms []mark
	for _, m := range failedFirst(s) {
		if _, held := commands.Held(m.Run); held && asked {
			continue
		}
		if todo := toDo(m); todo != "" && todo != "nothing." {
			ms = append(ms, "• *"+text(m.Run.Secret, 80)+"*: "+todo)
		}
	}
	return ms
}

func otherLines(s Scene) []mark {
	var ms []mark
	for _, o := range s.Others {
		ms = append(ms, "• *"+text(o.Secret, 80)+"* "+text(o.Says, 400))
	}
	return ms
}

func batchUnder(s Scene) mark {
	if s.Run.State == ledger.Queued {
		return ""
	}
	return mark(runTime(s.Run, s.Now))
}

// verdicts are the answers of the members' audits, the worst first.
func verdicts(p *page, s Scene) {
	var ms []mark
	for _, m := range byVerdict(s) {
		sign, _ := verdictWords(m.Report.Verdict.Outcome)
		ms = append(ms, mark(sign)+" *"+text(m.Run.Secret, 80)+"*: "+text(verdictSentence(m.Report.Verdict), 400))
	}
	p.lines("*Was a secret misused?*", ms, 2500)
}

// byVerdict are the audited members, the worst verdict first.
func byVerdict(s Scene) []Scene {
	var out []Scene
	for _, m := range s.Members {
		if m.Report != nil {
			out = append(out, m)
		}
	}
	order := []audit.Outcome{audit.Misused, audit.CannotTell, audit.Refused, audit.NoSign}
	slices.SortStableFunc(out, func(a, b Scene) int {
		return slices.Index(order, a.Report.Verdict.Outcome) - slices.Index(order, b.Report.Verdict.Outcome)
	})
	return out
}

// worst is the member with the worst verdict.
func worst(s Scene) (Scene, bool) {
	if audited := byVerdict(s); len(audited) > 0 {
		return audited[0], true
	}
	return Scene{}, false
}

// BatchEvidence is the one report over all secrets of a batch: a reply in the board's
// thread.
func BatchEvidence(s Scene) Message {
	var p page
	audited := byVerdict(s)
	p.section("*Evidence: " + text(count(len(audited), "secret", "secrets"), 40) + " in " + text(s.Run.Environment, 40) + "*")
	budget := 9000 / max(len(audited), 1)
	for i, m := range audited {
		if i > 0 {
			p.divider()
		}
		r := *m.Report
		sign, _ := verdictWords(r.Verdict.Outcome)
		p.section(mark(sign) + " *" + text(r.Secret, 80) + "*: " + text(verdictSentence(r.Verdict), min(600, budget/2)) + "\n" + totals(r))
		p.lines("", findings(r.Findings, audit.Used), budget/4)
		p.lines("*Addresses, most first*", tallies(r.Addresses), budget/4)
		p.lines("*Could not be read*", gaps(r.Gaps), budget/5)
	}
	return p.message(batchHeadline(s))
}

// batchReply tells the person who asked how it ended, where they asked.
func batchReply(s Scene) Message {
	var p page
	p.section(mention(s.Run.Actor) + "*" + text(batchTitle(s), 300) + "*")
	p.lines("*What went wrong:*", problemLines(s), 2000)
	verdicts(&p, s)
	p.lines("*What is left to do:*", batchToDo(s, false), 1500)
	p.lines("*Not part of it*", otherLines(s), 1000)
	p.context(footer(s))
	return p.message(batchHeadline(s))
}

// batchText is a batch for a terminal.
func batchText(s Scene) string {
	var b strings.Builder
	r := s.Run
	fmt.Fprintln(&b, clean(batchTitle(s)))
	fmt.Fprintf(&b, "  asked by  %s at %s\n", clean(r.Actor), clock(r.CreatedAt))
	fmt.Fprintf(&b, "  mode      %s\n", clean(modeWords(r.Mode)))
	if clean(r.Reason) != "" {
		fmt.Fprintf(&b, "  why       %s\n", clean(r.Reason))
	}
	fmt.Fprintf(&b, "  run       %s (%s)\n", clean(r.ID), runTime(r, s.Now))
	b.WriteString(batchEnd(s))
	return b.String()
}

// batchEnd is what a terminal is told of the members.
func batchEnd(s Scene) string {
	var b strings.Builder
	fmt.Fprintln(&b)
	for _, m := range failedFirst(s) {
		fmt.Fprintf(&b, "  %s\n", MemberLine(m))
	}
	list := func(title string, ms []mark) {
		if len(ms) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, m := range ms {
			fmt.Fprintf(&b, "  %s\n", strings.TrimPrefix(unmark(m), "• "))
		}
	}
	list("Not part of it", otherLines(s))
	list("What went wrong", problemLines(s))
	var ms []mark
	for _, m := range byVerdict(s) {
		ms = append(ms, text(m.Run.Secret, 80)+": "+text(verdictSentence(m.Report.Verdict), 600))
	}
	list("Was a secret misused?", ms)
	list("What is left to do", batchToDo(s, false))
	return b.String()
}

// MemberLine is where a member of a batch is, for a terminal.
func MemberLine(m Scene) string {
	return clean(fmt.Sprintf("%s %s: %s (run %s)", runMark(m.Run.State), m.Run.Secret, memberWords(m), m.Run.ID))
}

// Others reads who is not part of a batch from its memo; a memo that cannot be read
// names nobody.
func Others(run ledger.Run) []commands.Other {
	b, err := commands.ReadBatch(run.Memo)
	if err != nil {
		return nil
	}
	return b.Others
}
