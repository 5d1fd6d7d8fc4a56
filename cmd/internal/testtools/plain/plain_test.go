package plain_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekey/cmd/internal/testtools/plain"
)

func TestTheProgramDoesTheSameAndIsNotWatched(t *testing.T) {
	t.Parallel()
	path, err := plain.Executable(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "-test.list", ".").CombinedOutput()
	if err != nil || !strings.Contains(string(out), t.Name()) {
		t.Errorf("it answers %q, %v", out, err)
	}
	info, err := exec.CommandContext(t.Context(), "go", "version", "-m", path).Output()
	if err != nil || strings.Contains(string(info), "-race=true") {
		t.Errorf("it is built like this: %s, %v", info, err)
	}
	if self, err := os.Executable(); err != nil || filepath.Base(path) != filepath.Base(self) {
		t.Errorf("it is called %s, want as %s (%v)", path, self, err)
	}
}
