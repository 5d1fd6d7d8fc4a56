package commands

// UsageError is text that is not a command: one sentence that names what was wrong,
// and what to type instead. Both are for the person who typed it, and hold none of
// that person's words that could be a pasted secret.
type UsageError struct {
	Problem string
	Try     string // a whole command; "" when there is no better one
}

// Error is the problem and the remedy in one line.
func (e *UsageError) Error() string {
	if e.Try == "" {
		return e.Problem
	}
	return e.Problem + " Type: " + e.Try
}

// longestEcho is how much of a typed word is repeated to its writer, in bytes:
// nothing as long as a secret value.
const longestEcho = 31

// echo quotes a typed word, unless it might be a secret.
func echo(word string) string {
	if len(word) > longestEcho {
		return "that long word"
	}
	return `"` + word + `"`
}
