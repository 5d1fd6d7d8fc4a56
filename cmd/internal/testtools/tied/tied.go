// Package tied starts processes that end with the test that started them, however that
// ends. It exists because the kernel ties a child to the thread that started it and not
// to the process (PR_SET_PDEATHSIG): Go's threads come and go, and one on which logs were
// read politely ends with its goroutine, and would take the child of another test with it.
package tied

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts cmd from a thread that lives until letGo is called, which is to be done
// once the process was waited for.
func Start(cmd *exec.Cmd) (letGo func(), err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, over := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-over
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() { close(over) }, nil
}
