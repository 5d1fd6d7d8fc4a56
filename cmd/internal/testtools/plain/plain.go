// Package plain builds the test binary at hand once more, without the race detector. It
// exists for tests that start dozens of processes from their own binary, to kill them:
// under the detector each of those takes seconds of processor time, and what is proven
// about it is proven from outside. The test process itself stays watched.
package plain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Executable answers a program that does what this test binary does, and is not watched
// by the race detector: this binary itself where it is not, else one built into dir from
// the package in the working folder. It must be called by the test process before it
// changes the working folder.
func Executable(ctx context.Context, dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	if !watched {
		return self, nil
	}
	path := filepath.Join(dir, filepath.Base(self))
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building this package's tests without the race detector: %w: %s", err, out)
	}
	return path, nil
}
