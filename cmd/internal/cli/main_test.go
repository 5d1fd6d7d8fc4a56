package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/cmd/internal/cli"
	"rekey/commands/estatetest"
)

// TestMain may find itself to be a service of an estate, or rekey.
func TestMain(m *testing.M) {
	estatetest.Main()
	testscript.Main(m, map[string]func(){
		"rekey": func() { os.Exit(cli.Process("1.2.3-test")) },
	})
}
