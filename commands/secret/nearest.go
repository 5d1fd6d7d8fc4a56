package secret

import "strings"

// Nearest answers which of known the writer of word most likely meant, or "" when
// nothing is near. Case, hyphens and spaces do not count; a unique beginning
// ("REVALIDATE" for REVALIDATE_SECRET) counts as near; otherwise a third of the
// letters may be wrong, swapped neighbours counting once (Damerau's distance).
// Of several equally near the first in known wins.
func Nearest(word string, known []string) string {
	w := folded(word)
	if w == "" {
		return ""
	}
	best, distance := "", 0
	for _, k := range known {
		d := damerau(w, folded(k))
		if best == "" || d < distance {
			best, distance = k, d
		}
	}
	if best != "" && distance <= max(1, min(len([]rune(w)), len([]rune(best)))/3) {
		return best
	}
	prefixed := ""
	for _, k := range known {
		if len(w) >= 3 && strings.HasPrefix(folded(k), w) {
			if prefixed != "" {
				return ""
			}
			prefixed = k
		}
	}
	return prefixed
}

func folded(s string) string {
	return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// damerau is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours.
func damerau(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
