package emergency_test

import (
	"io"
	"os"
	"testing"
	"time"

	"rekey/commands"
	"rekey/commands/estatetest"
)

// Between two looks of a watch the log may be rotated, in either of the two ways there
// are: no line is lost, and none is counted twice.
func TestAWatchSurvivesRotation(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]func(w *world, path string){
		"renamed": func(w *world, path string) {
			if err := os.Rename(path, path+".1"); err != nil {
				w.t.Fatal(err)
			}
			w.write(path, "")
		},
		"copied and truncated": func(w *world, path string) {
			in, err := os.Open(path)
			if err != nil {
				w.t.Fatal(err)
			}
			defer in.Close()
			out, err := os.Create(path + ".1")
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := io.Copy(out, in); err != nil {
				w.t.Fatal(err)
			}
			if err := out.Close(); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Truncate(path, 0); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watched(t, nil)
			path := w.estate.Log("access")
			refused := 0
			for round := range 4 {
				w.pass(time.Minute)
				for range round { // none at first: a log nobody writes to is rotated, too
					w.access(estatetest.AttackerAddr, 401)
					refused++
				}
				if round%2 == 1 {
					rotate(w, path)
				}
				w.access(estatetest.AttackerAddr, 401)
				refused++
				run := w.round()
				memo, err := commands.ReadWatch(run.Memo)
				if err != nil || memo.Refused != refused || memo.Blind != "" {
					t.Fatalf("round %d: %d refusals were counted, want %d; blind: %q, %v", round, memo.Refused, refused, memo.Blind, err)
				}
				if err := os.Rename(path+".1", path+".2"); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		})
	}
}
