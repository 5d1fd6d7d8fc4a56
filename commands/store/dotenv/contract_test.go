package dotenv_test

import (
	"os"
	"path/filepath"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
	"rekey/commands/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, current, neighbour secret.Value) storetest.Place {
		dir := t.TempDir()
		chmod(t, dir, 0o700)
		file := filepath.Join(dir, ".env")
		put(t, file, "# settings\nDEBUG=False\nX="+current.Reveal()+"\n\nexport Y='"+neighbour.Reveal()+"' # beside\n")
		return storetest.Place{
			Store:     dotenv.New(),
			Ref:       store.Ref{Location: file, Variable: "X", Previous: "X_OLD"},
			Neighbour: store.Ref{Location: file, Variable: "Y", Previous: "Y_OLD"},
			Another:   func() store.Store { return dotenv.New() },
			Disturb: func(t *testing.T) {
				f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString("# somebody was here\n"); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
