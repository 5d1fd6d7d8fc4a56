// Package programtest writes programs that tests run.
package programtest

import (
	"fmt"
	"os"
	"syscall"
)

// Write writes a program. It is like os.WriteFile, but no process is started meanwhile: one
// that another test starts would hold the file open for writing until it has become what it
// was started for, and a program that is written to cannot be run (ETXTBSY).
func Write(path, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // it is a program
		return fmt.Errorf("writing a program: %w", err)
	}
	return nil
}
