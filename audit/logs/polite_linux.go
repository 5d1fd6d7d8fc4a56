package logs

import (
	"os"
	"runtime"
	"syscall"
)

// niceness is how far a reading thread stands back. Ten has a tenth of the weight of
// whatever else wants the processor: enough to be passed by, too much to be starved.
const niceness = 10

// politely does work on a thread that stands back for all others: a scan takes every
// core there is, and acknowledging a command must not wait for one. It must be all its
// goroutine does. That ends with its thread still locked to it, so that the thread ends,
// too: no other goroutine ever runs at its priority. A child that Pdeathsig ties to the
// thread it was started on would end with it, so nothing of rekey starts one like that.
func politely(work func()) {
	runtime.LockOSThread()
	if syscall.Gettid() == os.Getpid() {
		// The process's first thread never ends. Another goroutine cannot be given it
		// while this one holds it.
		done := make(chan struct{})
		go func() {
			defer close(done)
			politely(work)
		}()
		<-done
		runtime.UnlockOSThread()
		return
	}
	// In Linux priorities are the threads'; 0 is the calling one. It may always be lowered.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
	work()
}
