package render

import (
	"strings"

	"rekey/commands"
	"rekey/commands/journal"
)

// WatchReply is what a watch tells below the board of its rotation; subject is one of
// package journal's. ok is false where it has nothing of that kind to say.
func WatchReply(s Scene, subject string) (m Message, ok bool) {
	w, err := commands.ReadWatch(s.Run.Memo)
	if err != nil {
		return Message{}, false
	}
	name := text(s.Run.Secret, 80) + " in " + text(s.Run.Environment, 40)
	by := code(strings.Join(w.By, ", "), 300)
	var p page
	switch subject {
	case journal.WatchCame:
		said := "fails verification since the rotation, and is refused each time. Whether with the old value, only a tripwire in the application could tell"
		if w.Used > 0 {
			said = "still uses the old value, which is dead: each try is refused"
		}
		p.section(mark("🟡") + " *" + name + "*: " + by + " " + text(said, 300) + ". On-call was paged; further tries are counted, and told at the end of the watch.")
	case journal.WatchLetIn:
		p.section(mark("🔴") + " *" + name + "*: " + by + " was let in after the old value had died: *the new value is known as well*. Rotate again with `/rotate " + text(s.Run.Secret, 80) + " compromised`, and look for how it leaks.")
	case journal.WatchBlind:
		p.section(mark("⚪") + " *" + name + "*: the watch cannot see everything. " + text(w.Blind, 500))
	case journal.WatchEnded:
		p.section(watchEnd(name, w))
	default:
		return Message{}, false
	}
	p.context(footer(s))
	return p.message(strings.TrimSpace(s.Run.Secret + ": " + watchWords(w))), true
}

func watchEnd(name mark, w commands.Watch) mark {
	sign := "🟢"
	switch {
	case w.LetIn > 0:
		sign = "🔴"
	case w.Used+w.Refused > 0:
		sign = "🟡"
	}
	m := mark(sign) + " *" + name + "*: the watch has ended. " + text(watchWords(w), 400)
	if w.Blind != "" {
		m += " It could not see everything: " + text(w.Blind, 300)
	}
	return m
}

// watchWords counts what a watch saw.
func watchWords(w commands.Watch) string {
	if w.Used+w.Refused+w.LetIn == 0 {
		return "Nobody came who should not."
	}
	var parts []string
	if w.LetIn > 0 {
		parts = append(parts, count(w.LetIn, "request of a stranger was accepted", "requests of strangers were accepted"))
	}
	if w.Used > 0 {
		parts = append(parts, count(w.Used, "use of the old value was refused", "uses of the old value were refused"))
	}
	if w.Refused > 0 {
		parts = append(parts, count(w.Refused, "request of a stranger was refused", "requests of strangers were refused"))
	}
	words := strings.Join(parts, ", ")
	if len(w.By) > 0 {
		words += ", by " + strings.Join(w.By, ", ")
	}
	return words + "."
}
