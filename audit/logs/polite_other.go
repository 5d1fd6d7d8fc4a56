//go:build !linux

package logs

// politely does work. Elsewhere than in Linux priorities belong to whole processes.
func politely(work func()) { work() }
