package rehearsal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rekey/cmd/internal/cli"
)

// commandVariable makes this program the command line of rekey.
const commandVariable = "REHEARSAL_COMMAND"

// props turns this process into one of the programs of a rehearsal where it was started
// as one: rekey's command line, the owner's commands, the commands that count sessions.
func props() (code int, is bool) {
	switch {
	case os.Getenv(commandVariable) != "":
		return cli.Process("rehearsal"), true
	case len(os.Args) == 4 && os.Args[1] == "owner":
		if err := owner(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1, true
		}
		if refused {
			return 3, true
		}
		return 0, true
	case len(os.Args) == 4 && os.Args[1] == "sessions":
		return sessions(os.Args[2], os.Args[3]), true
	}
	return 0, false
}

// refused is the owner's answer that a value does not work, which is no error.
var refused bool

// owner is a step of the owner's, as docs/protocol.md tells how to write one.
func owner(step, dir string) error {
	var q struct{ Run, Old, New, Value string }
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		return errors.New("this is not the protocol")
	}
	made := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"-"+q.Run)
	switch step {
	case "create": // the same for a run however often it is asked
		text, err := os.ReadFile(made)
		if errors.Is(err, os.ErrNotExist) {
			text = []byte(random())
			err = os.WriteFile(made, text, 0o600)
		}
		fmt.Println(string(text)) //nolint:forbidigo // this is the protocol
		return err
	case "set":
		return let(dir, q.New, true)
	case "test":
		refused = !lets(dir, q.Value)
	case "retire", "finish":
		return let(dir, q.Old, false)
	case "revive":
		return let(dir, q.Old, true)
	case "rollback":
		if q.New != "" {
			return let(dir, q.New, false)
		}
	}
	return nil
}

func entry(dir, value string) string {
	sum := sha256.Sum256([]byte(value))
	return filepath.Join(dir, hex.EncodeToString(sum[:]))
}

func lets(dir, value string) bool {
	_, err := os.Stat(entry(dir, value))
	return err == nil
}

func let(dir, value string, in bool) error {
	if in {
		return os.WriteFile(entry(dir, value), nil, 0o600)
	}
	if err := os.Remove(entry(dir, value)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sessions counts, ends or tidies; what was ended leaves a file.
func sessions(do, file string) int {
	_, err := os.Stat(file)
	n := 12
	if err == nil {
		n = 0
	}
	if do == "end" {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return 1
		}
	}
	fmt.Printf("{\"sessions\": %d}\n", n) //nolint:forbidigo // this is the protocol
	return 0
}
