package postgres

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"
	"unicode/utf8"

	"rekey/commands/issue"
)

// longestName is PostgreSQL's NAMEDATALEN less its closing zero, in bytes.
const longestName = 63

// ours is the end of a role's name that an earlier rotation put there.
var ours = regexp.MustCompile(`_rk[a-z2-7]{8}$`)

// nameFor answers the name of the role that a run makes in place of old: the name it
// had before any rotation, and eight characters that follow from the run alone, so
// that a repeated step finds what an earlier one made.
func nameFor(old string, o issue.Order) string {
	base := ours.ReplaceAllString(old, "")
	sum := sha256.Sum256([]byte(strings.Join([]string{o.Run, o.Environment.Name, o.Secret.Name}, "\n")))
	end := "_rk" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	for len(base)+len(end) > longestName {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + end
}

// markFor answers the comment that tells our role from a stranger's of that name.
func markFor(o issue.Order) string {
	return "Made by rekey in run " + o.Run + " for " + o.Secret.Name + " in " + o.Environment.Name
}
