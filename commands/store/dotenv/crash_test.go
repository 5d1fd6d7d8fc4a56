package dotenv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
)

// TestMain lets the test program be the writer that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "write-until-killed" {
		fence, _ := strconv.ParseInt(os.Args[3], 10, 64)
		fmt.Fprintln(os.Stderr, writeUntilKilled(os.Args[2], fence))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Long values make a long file, so that a kill may hit the middle of a write.
var (
	longOld = secret.NewValue(strings.Repeat("old", 3_000))
	longNew = secret.NewValue(strings.Repeat("new", 3_000))
)

func killedRef(file string) store.Ref {
	return store.Ref{Location: file, Variable: "X", Previous: "X_OLD"}
}

// writeUntilKilled does what the engine does, again and again: sweep, deposit,
// publish, go back, discard.
func writeUntilKilled(file string, fence int64) error {
	ctx, s, ref := context.Background(), dotenv.New(), killedRef(file)
	if err := s.Sweep(ctx, ref, "r1", fence); err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		if _, err := s.Deposit(ctx, ref, store.Escrow{Run: "r1", Old: longOld, New: longNew}, open); err != nil {
			return err
		}
		for _, want := range []store.State{{Current: longNew, Previous: longOld}, {Current: longOld}} {
			st, err := s.Read(ctx, ref)
			if err != nil {
				return err
			}
			if _, err := s.Write(ctx, ref, store.Change{From: st.Revision, Want: want, Run: "r1", FenceNumber: fence, Fence: open}); err != nil {
				return err
			}
		}
		if err := s.Discard(ctx, ref, "r1"); err != nil {
			return err
		}
	}
}

// TestKilledAtAnyMoment kills a writer forty times, and on until every kind of moment
// was hit. Each time the file must be whole, and a successor must be able to clean up
// and go on.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chmod(t, dir, 0o700)
	file := filepath.Join(dir, ".env")
	before := "# settings\nA=1\nX=" + longOld.Reveal() + "\nB=2\n"
	published := strings.Replace(before, "X="+longOld.Reveal(), "X="+longNew.Reveal()+"\nX_OLD="+longOld.Reveal(), 1)
	put(t, file, before)
	seen := map[string]int{}
	for fence := int64(1); fence <= 40 || seen["before"]*seen["published"]*seen["leftovers"]*seen["escrow"] == 0; fence++ {
		if fence > 1000 {
			t.Fatalf("killed 1000 times, and some moment was never hit: %v", seen)
		}
		killOnce(t, file, fence)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("after kill %d: %v", fence, err)
		}
		switch string(text) {
		case before:
			seen["before"]++
		case published:
			seen["published"]++
		default:
			t.Fatalf("after kill %d: the file is neither the old nor the new one (%d bytes)", fence, len(text))
		}
		s := dotenv.New()
		if e, err := s.Withdraw(t.Context(), killedRef(file), "r1"); err == nil {
			seen["escrow"]++
			if !e.Old.Equal(longOld) || !e.New.Equal(longNew) {
				t.Fatalf("after kill %d: the escrow is not whole", fence)
			}
		} else if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("after kill %d: %v", fence, err)
		}
		if len(others(t, dir)) > 0 {
			seen["leftovers"]++
		}
		if err := s.Sweep(t.Context(), killedRef(file), "r1", fence+1); err != nil {
			t.Fatal(err)
		}
		if left := others(t, dir); len(left) > 0 {
			t.Fatalf("after kill %d a sweep left %v", fence, left)
		}
	}
	t.Logf("killed: %v", seen)
}

// killOnce runs a writer and kills it at a moment of chance.
func killOnce(t *testing.T, file string, fence int64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "write-until-killed", file, fmt.Sprint(fence))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = bufio.NewReader(out).ReadString('\n')
	time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if said.Len() > 0 {
		t.Fatalf("the writer failed by itself: %s", said.String())
	}
}

// others lists what is neither the file nor its escrow.
func others(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, name := range names(t, store.Ref{Location: filepath.Join(dir, ".env")}) {
		if name != ".env" && !strings.HasSuffix(name, ".escrow") {
			left = append(left, name)
		}
	}
	return left
}

// TestAPausedWriterHoldsUpNobody: a writer is paused at its fence, lock in hand.
// Another run on the same file goes on, and the paused one finds that out.
func TestAPausedWriterHoldsUpNobody(t *testing.T) {
	t.Parallel()
	ref := envFile(t)
	put(t, ref.Location, "X=old-value-0123456789\nY=why\n")
	reached, awake, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		s := dotenv.New()
		st, err := s.Read(t.Context(), ref)
		if err == nil {
			c := publish(st.Revision)
			c.Fence = func(context.Context) error { close(reached); <-awake; return nil }
			_, err = s.Write(t.Context(), ref, c)
		}
		done <- err
	}()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("the write ended before its fence: %v", err)
	}
	s, other := dotenv.New(), store.Ref{Location: ref.Location, Variable: "Y", Previous: "Y_OLD"}
	now, err := s.Read(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	c := store.Change{From: now.Revision, Want: store.State{Current: newValue}, Run: "r2", FenceNumber: 1, Fence: open}
	if _, err := s.Write(t.Context(), other, c); err != nil {
		t.Fatalf("the other run was held up: %v", err)
	}
	close(awake)
	if err := <-done; !errors.Is(err, store.ErrConflict) {
		t.Errorf("the paused writer: got %v, want %v", err, store.ErrConflict)
	}
	if text, _ := os.ReadFile(ref.Location); string(text) != "X=old-value-0123456789\nY=new-value-0123456789\n" {
		t.Error("the file is not what the other run wrote")
	}
}
