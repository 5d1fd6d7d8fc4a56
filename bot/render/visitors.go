package render

import (
	"fmt"
	"strings"

	"rekey/audit"
)

// maxOurs is how many of our own addresses are listed that do nothing unusual.
const maxOurs = 3

// notable are the visitors worth a line: every stranger, ours that are unlike before, and
// a few of ours to compare with; more counts the rest of ours.
func notable(vs []audit.Visitor) (list []audit.Visitor, more int) {
	ours := 0
	for _, v := range vs {
		if v.Ours && len(v.Unusual) == 0 {
			if ours++; ours > maxOurs {
				more++
				continue
			}
		}
		list = append(list, v)
	}
	return list, more
}

// visitorLines say of each address at the guarded endpoints what it did there, those that
// matter most first.
func visitorLines(vs []audit.Visitor) []mark {
	var ms []mark
	vs, more := notable(vs)
	for _, v := range vs {
		m := "• " + code(v.Addr, 80) + " " + mark(whose(v)) + ": "
		if v.Accepted > 0 && !v.Ours {
			m += "*" + mark(letIn(v)) + "*"
		} else {
			m += mark(letIn(v))
		}
		m += mark(refusedWords(v))
		if broke := brokeIn(v); broke != "" {
			m += ". *" + text(broke, 120) + "*"
		}
		m += ". " + text(strings.Join(facts(v), "; "), 200)
		if len(v.Agents) > 0 {
			m += ". Says it is " + code(strings.Join(v.Agents, ", "), 160)
		}
		if len(v.Unusual) > 0 {
			m += ". Unusual: " + text(strings.Join(v.Unusual, "; "), 300)
		}
		ms = append(ms, m)
	}
	if more > 0 {
		ms = append(ms, mark("• "+moreOurs(more)))
	}
	return ms
}

func moreOurs(n int) string {
	return count(n, "more address of ours", "more addresses of ours") + ""
}

func visitorText(vs []audit.Visitor) []string {
	var out []string
	vs, more := notable(vs)
	for _, v := range vs {
		s := v.Addr + " " + whose(v) + ": " + letIn(v) + refusedWords(v)
		if broke := brokeIn(v); broke != "" {
			s += ". " + broke
		}
		s += ". " + strings.Join(facts(v), "; ")
		if len(v.Agents) > 0 {
			s += ". Says it is " + strings.Join(v.Agents, ", ")
		}
		if len(v.Unusual) > 0 {
			s += ". Unusual: " + strings.Join(v.Unusual, "; ")
		}
		out = append(out, s)
	}
	if more > 0 {
		out = append(out, moreOurs(more))
	}
	return out
}

func whose(v audit.Visitor) string {
	if v.Ours {
		return "(ours)"
	}
	return "(not ours)"
}

func letIn(v audit.Visitor) string {
	if v.Accepted == 0 {
		return "never let in"
	}
	return "let in " + audit.Number(v.Accepted) + " ×"
}

func refusedWords(v audit.Visitor) string {
	if v.Refused == 0 {
		return ""
	}
	return ", refused " + audit.Number(v.Refused) + " ×"
}

// brokeIn is the pattern that matters most; "" where it is not there.
func brokeIn(v audit.Visitor) string {
	if v.Ours || v.RefusedFirst == 0 || v.Accepted == 0 { // our own are refused while they reload
		return ""
	}
	return fmt.Sprintf("Refused %s × first, then let in at %s", audit.Number(v.RefusedFirst), clock(v.Entered))
}

func facts(v audit.Visitor) []string {
	var fs []string
	if sp := span(v.First, v.Last); sp != "" {
		fs = append(fs, sp)
	}
	if v.Accepted > 0 && v.LastIn.Before(v.Last) {
		fs = append(fs, "last let in at "+clock(v.LastIn))
	}
	if v.Peak > 1 {
		fs = append(fs, "at most "+audit.Number(v.Peak)+" a minute")
	}
	if v.Elsewhere > 0 {
		fs = append(fs, "refused "+audit.Number(v.Elsewhere)+" × elsewhere, too")
	}
	if len(fs) == 0 {
		fs = append(fs, "at a time that was not recorded")
	}
	return fs
}

// exposures say where the value itself stands in the logs.
func exposures(es []audit.Exposure) []string {
	var out []string
	for _, e := range es {
		what := "its beginning"
		if e.Whole {
			what = "the whole value"
		}
		out = append(out, e.Source+" holds "+what+": "+e.Text)
	}
	return out
}

// confidence says how sure the verdict is and what would change it; "" where nobody said.
func confidence(v audit.Verdict) string {
	if v.Confidence == "" {
		return ""
	}
	return strings.TrimSpace("Confidence: " + string(v.Confidence) + ". " + strings.Join(v.Changes, " "))
}
