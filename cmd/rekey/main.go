// Command rekey rotates leaked secrets; see the README.
package main

import (
	"os"

	"rekey/cmd/internal/cli"
)

// version is set by the linker.
var version string

func main() { os.Exit(cli.Process(version)) }
