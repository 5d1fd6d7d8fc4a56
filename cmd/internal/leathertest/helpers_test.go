package leathertest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The copy-in helpers have tests in their own languages; these run them, and see that
// some did run.

// Guide: dual-secret/verify-both, dual-secret/no-empty-value, dual-secret/constant-time, procedures/secret-key/impact
func TestDjangoHelpers(t *testing.T) {
	t.Parallel()
	out := inExamples(t, "django", func(found tools) []string {
		return []string{found.python, "-B", "-W", "ignore", "-m", "unittest", "test_rekey"}
	})
	if !regexp.MustCompile(`Ran [1-9]\d+ tests`).MatchString(out) || !strings.HasSuffix(strings.TrimSpace(out), "\nOK") {
		t.Errorf("not all of them ran and passed:\n%s", out)
	}
}

// Guide: dual-secret/step-5-deploy-signer
func TestNextHelpers(t *testing.T) {
	t.Parallel()
	out := inExamples(t, "nextjs", func(found tools) []string { return []string{found.node, "--test"} })
	if !regexp.MustCompile(`(?m)^\S+ pass [1-9]`).MatchString(out) || !regexp.MustCompile(`(?m)^\S+ skipped 0`).MatchString(out) {
		t.Errorf("not all of them ran and passed:\n%s", out)
	}
}

func inExamples(t *testing.T, dir string, argv func(tools) []string) string {
	t.Helper()
	found, err := findTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := examples()
	if err != nil {
		t.Fatal(err)
	}
	args := argv(found)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = filepath.Join(root, dir)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
