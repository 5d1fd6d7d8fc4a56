package commands

import (
	"strings"
	"time"
)

// Parser turns what a person typed into a Request. It knows no names: whether a
// secret or an environment exists is decided later, and only for people who may know.
type Parser struct {
	// Now is what points of time are counted back from. Required.
	Now func() time.Time
}

// ParseSlash parses a slash command as Slack delivers it: command is "/rotate" or
// "/audit-secret", text what follows. The error is a *UsageError.
//
//	/rotate SECRET routine|compromised [in ENV] [dry-run] [confirmed] [reason…]
//	/rotate rollback|kill|hold RUN [reason…]
//	/rotate help | list | schedule | digest | status [RUN]
//	/audit-secret SECRET [in ENV] [since 24h | since 2026-11-20 | since 2026-11-20T10:00Z]
//
// ENV may also be written env=ENV, --env ENV or --env=ENV. "because" begins a reason
// whose first words would otherwise be read as something else. ID, At and Actor of
// the Request are left for the caller.
func ParseSlash(command, text string) (Request, error) {
	return Parser{Now: time.Now}.Parse(command, text)
}

// Parse is ParseSlash with the parser's own clock.
func (p Parser) Parse(command, text string) (Request, error) {
	name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(command)), "/")
	tokens := strings.Fields(clean(text))
	if len(tokens) == 0 {
		return Request{Verb: Help}, nil
	}
	switch keyword(tokens[0]) {
	case "help", "--help", "-h", "":
		return Request{Verb: Help}, nil
	case "list":
		return Request{Verb: List}, nil
	case "status":
		r := Request{Verb: Status}
		if len(tokens) > 1 {
			r.Run = word(tokens[1])
		}
		return r, nil
	case "schedule":
		return Request{Verb: Schedule}, nil
	case "digest":
		return Request{Verb: Digest}, nil
	case "rollback", "undo", "revert":
		return parseRun(Rollback, "Which run is to go back? /rotate status lists the newest ones.", tokens[1:])
	case "kill":
		return parseRun(Kill, "Of which run is the old value to end now? /rotate status lists the newest ones.", tokens[1:])
	case "hold":
		return parseRun(Hold, "Of which run is the old value to live longer? /rotate status lists the newest ones.", tokens[1:])
	case "audit", "audit-secret":
		if len(tokens) > 1 {
			name, tokens = "audit-secret", tokens[1:]
		}
	case "rotate":
		if len(tokens) > 1 {
			name, tokens = "rotate", tokens[1:]
		}
	}
	switch name {
	case "rotate":
		return p.parseRotate(tokens)
	case "audit-secret":
		return p.parseAudit(tokens)
	}
	return Request{}, &UsageError{Problem: "rekey knows no command of that name.", Try: "/rotate help"}
}

// ParseMode reads a mode in any case; words that mean one ("leaked") are not taken
// for it, because a rotation in the wrong mode is hard to take back.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(keyword(s)); m {
	case Routine, Compromised:
		return m, nil
	}
	return "", &UsageError{Problem: echo(s) + " is not a mode: write routine (the old value stays valid for its overlap) or compromised (it ends as soon as that is safe)."}
}

func (p Parser) parseRotate(tokens []string) (Request, error) {
	r := Request{Verb: Rotate}
	r.Secret = word(tokens[0])
	rest := tokens[1:]
	if m, ok := modeWord(tokens[0]); ok { // "/rotate compromised NAME"
		if len(rest) == 0 {
			return Request{}, &UsageError{Problem: "Which secret is to be rotated?", Try: "/rotate NAME " + string(m)}
		}
		r.Mode, r.Secret, rest = m, word(rest[0]), rest[1:]
	}
	if r.Secret == "" || strings.HasPrefix(r.Secret, "-") {
		return Request{}, &UsageError{Problem: "The name of the secret comes first.", Try: "/rotate NAME compromised"}
	}
	for len(rest) > 0 {
		if m, ok := modeWord(rest[0]); ok {
			if r.Mode != "" && r.Mode != m {
				return Request{}, &UsageError{
					Problem: "Both routine and compromised are written: say which of the two it is.",
					Try:     "/rotate " + shown(r.Secret) + " " + string(Compromised) + inEnvironment(r),
				}
			}
			r.Mode, rest = m, rest[1:]
			continue
		}
		if set := flag(&r, rest[0]); set != nil {
			*set, rest = true, rest[1:]
			continue
		}
		if since, n := p.leaked(rest); n > 0 && r.Since == 0 {
			r.Since, rest = since, rest[n:]
			continue
		}
		env, n, err := environment(rest, r)
		if err != nil {
			return Request{}, err
		}
		if n == 0 {
			break
		}
		if r.Environment != "" && r.Environment != env {
			return Request{}, twoEnvironments("/rotate " + shown(r.Secret))
		}
		r.Environment, rest = env, rest[n:]
	}
	r.Reason = reason(rest)
	if r.Mode == "" {
		return Request{}, noMode(r, rest)
	}
	return r, nil
}

// flag answers what a bare word switches on, nil when it is no such word.
func flag(r *Request, token string) *bool {
	switch strings.TrimLeft(keyword(token), "-") {
	case "dry-run", "dryrun", "dry_run":
		return &r.DryRun
	case "confirmed", "confirm", "yes":
		return &r.Confirmed
	}
	return nil
}

// parseRun reads what is asked of one run.
func parseRun(v Verb, which string, tokens []string) (Request, error) {
	if len(tokens) == 0 || word(tokens[0]) == "" {
		return Request{}, &UsageError{Problem: which, Try: "/rotate " + string(v) + " RUN"}
	}
	return Request{Verb: v, Run: word(tokens[0]), Reason: reason(tokens[1:])}, nil
}

// noMode asks instead of guessing: both guesses cost something, an outage at worst.
func noMode(r Request, rest []string) error {
	mode, why := Compromised, r.Reason
	if len(rest) > 0 {
		if m, ok := nearlyMode(keyword(rest[0])); ok {
			mode, why = m, reason(rest[1:])
		}
	}
	try := "/rotate " + shown(r.Secret) + " " + string(mode) + inEnvironment(r)
	if why != "" && len(why) <= 2*longestEcho && !longWord(why) {
		try += " " + why
	}
	return &UsageError{
		Problem: "Say whether " + shown(r.Secret) + " is compromised (the old value ends as soon as that is safe) or this is routine (it stays valid for its overlap).",
		Try:     try,
	}
}

// modeWord reads a mode as a bare word, --compromised or mode=compromised.
func modeWord(token string) (Mode, bool) {
	k := keyword(token)
	for _, prefix := range []string{"--mode=", "mode=", "mode:", "--"} {
		if rest, ok := strings.CutPrefix(k, prefix); ok {
			k = rest
			break
		}
	}
	m := Mode(k)
	return m, m == Routine || m == Compromised
}

// nearlyMode recognises what people write for a mode, to show it to them.
func nearlyMode(k string) (Mode, bool) {
	k = strings.TrimLeft(k, "-")
	switch k {
	case "leaked", "leak", "exposed", "stolen", "emergency", "urgent", "breach", "breached", "pwned", "now":
		return Compromised, true
	case "scheduled", "planned", "regular", "quarterly", "annual", "normal":
		return Routine, true
	}
	switch {
	case strings.HasPrefix(k, "comp"):
		return Compromised, true
	case strings.HasPrefix(k, "rout"):
		return Routine, true
	}
	return "", false
}

// environment reads "in ENV", "env=ENV", "env ENV", "--env ENV" or "--env=ENV" at the
// beginning of tokens and answers how many of them that is, 0 when there is none.
func environment(tokens []string, r Request) (name string, n int, err error) {
	k := keyword(tokens[0])
	for _, prefix := range []string{"--environment=", "--env=", "environment=", "env=", "env:"} {
		if strings.HasPrefix(k, prefix) {
			_, value, _ := strings.Cut(word(tokens[0]), prefix[len(prefix)-1:])
			if name := word(value); name != "" {
				return name, 1, nil
			}
		}
	}
	switch k {
	case "in":
		if len(tokens) < 2 || determiner[keyword(tokens[1])] {
			return "", 0, nil // "in a CI log" begins a reason
		}
		return word(tokens[1]), 2, nil
	case "--env", "--environment", "-e", "env=", "env:", "--env=", "environment=":
		if len(tokens) < 2 || word(tokens[1]) == "" {
			return "", 0, &UsageError{Problem: "The environment's name is missing.", Try: "/" + string(r.Verb) + " " + shown(r.Secret) + " … in production"}
		}
		return word(tokens[1]), 2, nil
	}
	return "", 0, nil
}

// determiner are the words that follow "in" in a sentence and name no environment.
// Words that could name one ("ci", "public") are not here: to take them for prose
// would rotate the default environment when another was meant.
var determiner = map[string]bool{
	"a": true, "an": true, "the": true, "our": true, "my": true, "your": true, "his": true, "her": true,
	"their": true, "this": true, "that": true, "these": true, "those": true, "some": true, "": true,
}

func twoEnvironments(command string) error {
	return &UsageError{Problem: "Two environments are named: write one.", Try: command + " … in production"}
}

func inEnvironment(r Request) string {
	if r.Environment == "" {
		return ""
	}
	return " in " + shown(r.Environment)
}

// reason is the rest of the line, without the word or the quotes it may begin with.
func reason(tokens []string) string {
	if len(tokens) > 0 {
		switch keyword(tokens[0]) {
		case "because", "because:", "--", "--reason", "reason", "-m":
			tokens = tokens[1:]
		default:
			for _, p := range []string{"--reason=", "reason=", "reason:"} {
				if rest, ok := strings.CutPrefix(tokens[0], p); ok {
					tokens = append([]string{rest}, tokens[1:]...)
					break
				}
			}
		}
	}
	s := strings.TrimLeft(strings.TrimSpace(strings.Join(tokens, " ")), "-—–:, ")
	for _, q := range []string{`"`, "'", "`"} {
		if len(s) > 1 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			s = s[1 : len(s)-1]
		}
	}
	return strings.TrimSpace(s)
}

// shown is a name for use in a suggestion.
func shown(name string) string {
	if len(name) > longestEcho {
		return "NAME"
	}
	return name
}

func longWord(s string) bool {
	for _, w := range strings.Fields(s) {
		if len(w) > longestEcho {
			return true
		}
	}
	return false
}
