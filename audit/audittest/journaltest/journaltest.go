// Package journaltest writes real journal files, with systemd's own program for journals of
// other machines (systemd-journal-remote, in Debian's package of that name). It exists so
// that tests read a journal with the real journalctl and need neither a running systemd nor
// its rights.
//
// Format: https://systemd.io/JOURNAL_EXPORT_FORMATS/ (Journal Export Format).
package journaltest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Entry is one entry of a journal.
type Entry struct {
	At       time.Time // when journald took it; microseconds are kept
	Source   time.Time // when the service wrote it; zero leaves it out
	Unit     string    // "leather-api.service"
	Messages []string  // usually one; any bytes
}

// places are where distributions keep the program.
var places = []string{"/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"}

// Write makes a journal file of the entries, which must be in time order, in dir. It can be
// read with journalctl --directory.
func Write(dir string, entries ...Entry) error {
	program := ""
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		return fmt.Errorf("writing a journal: none of %s is there; install systemd-journal-remote", strings.Join(places, ", "))
	}
	var b bytes.Buffer
	for n, e := range entries {
		fmt.Fprintf(&b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\n", e.At.UnixMicro(), n+1, 1)
		if !e.Source.IsZero() {
			fmt.Fprintf(&b, "_SOURCE_REALTIME_TIMESTAMP=%d\n", e.Source.UnixMicro())
		}
		fmt.Fprintf(&b, "_TRANSPORT=stdout\nPRIORITY=6\n_SYSTEMD_UNIT=%s\n", e.Unit)
		for _, m := range e.Messages {
			b.WriteString("MESSAGE\n")
			b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(m))))
			b.WriteString(m + "\n")
		}
		b.WriteByte('\n')
	}
	cmd := exec.Command(program, "--output="+filepath.Join(dir, "rekey.journal"), "-") //nolint:gosec // systemd's program and a test's folder
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("writing a journal: %w: %s", err, out)
	}
	return nil
}
