package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"rekey/audit/ledger"
)

// Lock makes this the one process that carries out the runs of the database at
// path. It holds until release is called or the process ends, however it ends. The
// lock is a file beside the database (path + ".lock") with the holder's process id
// in it; the file stays, because removing it would let two processes lock two files
// of one name. ErrLocked names the holder.
func Lock(path string) (release func() error, err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("locking database: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking database: %w", err)
		}
		pid, _ := io.ReadAll(io.LimitReader(f, 32))
		if who := strings.TrimSpace(string(pid)); who != "" {
			return nil, fmt.Errorf("%w: process %s holds %s", ledger.ErrLocked, who, name)
		}
		return nil, fmt.Errorf("%w: it holds %s", ledger.ErrLocked, name)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking database: %w", err)
	}
	return f.Close, nil
}
