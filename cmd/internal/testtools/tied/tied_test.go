package tied_test

import (
	"os/exec"
	"runtime"
	"testing"

	"rekey/cmd/internal/testtools/tied"
)

// Threads that end beside it do the process no harm.
func TestAProcessOutlivesOtherThreads(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	letGo, err := tied.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		}()
		<-ended
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended by itself: %v", err)
	}
	letGo()
}

func TestWhatCannotBeStartedIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := tied.Start(exec.Command("/does/not/exist")); err == nil {
		t.Error("it started")
	}
}
