package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/cmd/internal/cli"
	"rekey/cmd/internal/testtools/plain"
	"rekey/commands/estatetest"
)

// TestMain may find itself to be a service of an estate, or rekey.
func TestMain(m *testing.M) {
	estatetest.Main()
	testscript.Main(unwatched{m}, map[string]func(){
		"rekey": func() { os.Exit(cli.Process("1.2.3-test")) },
	})
}

// unwatched lets every rekey and every service that a test starts be a process that the
// race detector does not watch.
type unwatched struct{ *testing.M }

// Run runs the tests.
func (u unwatched) Run() int {
	dir, err := os.MkdirTemp("", "rekey-cli-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	exe, err := plain.Executable(context.Background(), dir)
	if err != nil {
		panic(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "rekey")); err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		estatetest.ExecutableVariable: exe,
		"PATH":                        dir + string(os.PathListSeparator) + os.Getenv("PATH"),
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return u.M.Run()
}
