package dotenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockWait is how long a writer waits for another one in the same folder. A write
// takes some milliseconds; who holds the lock longer is paused, and must not hold up
// its successor. Safety does not rest on the lock: see the package documentation.
const lockWait = 500 * time.Millisecond

// lock keeps writers of one folder apart, across goroutines and processes, and
// answers how to let go. After lockWait it goes on without.
func (p *place) lock(ctx context.Context) (unlock func(), err error) {
	d, err := p.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p.dir, err)
	}
	for deadline := time.Now().Add(lockWait); ; {
		err := tryLock(d)
		// A file system without locks is no reason to refuse.
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return func() { _ = d.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), d.Close())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func tryLock(d *os.File) error {
	conn, err := d.SyscallConn()
	if err != nil {
		return err
	}
	var flockErr error
	if err := conn.Control(func(fd uintptr) {
		flockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	}); err != nil {
		return err
	}
	return flockErr
}
