//go:build race

package plain

// watched reports whether the race detector is in this binary.
const watched = true
