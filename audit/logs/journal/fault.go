package journal

import (
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// failedError is a journalctl that ended with an error.
type failedError struct {
	err  error
	said string // on its standard error
}

func (f *failedError) Error() string { return "journalctl: " + f.err.Error() }

// foundNothing reports that it searched and found nothing: like grep, journalctl then ends
// with 1. Whatever really goes wrong it complains of.
func (f *failedError) foundNothing() bool {
	var exit *exec.ExitError
	return errors.As(f.err, &exit) && exit.ExitCode() == 1 && (f.said == "" || strings.HasPrefix(f.said, "Hint: "))
}

// cannotSearch reports that it knows no --grep, because it is old or was built without
// PCRE, or could not finish it.
func (f *failedError) cannotSearch() bool {
	for _, words := range []string{"without pattern matching", "unrecognized option", "invalid option", "Pattern matching failed", "Bad pattern"} {
		if strings.Contains(f.said, words) {
			return true
		}
	}
	return false
}

// shown is what journalctl said, fit to show.
func shown(said string) string { return audit.Clean(strings.TrimSpace(said), 200) }

// explain makes an error a sentence that says what to do. reached is the time of the last
// line that was read, zero for none.
func (s *Source) explain(err error, reached time.Time) error {
	if ok, said := logs.Ended("journalctl", err, reached); ok {
		return said
	}
	var failed *failedError
	why := "journalctl could not be run; check that rekey's user may start it."
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		why = "There is no journalctl on this machine; a journal is read where systemd is."
	case errors.Is(err, errNotJournal):
		why = "What journalctl printed is not the journal's JSON; check that it is systemd's."
	case errors.As(err, &failed) && strings.Contains(failed.said, "insufficient permissions"):
		why = "rekey's user may not see the journal; add it to the group systemd-journal."
	case errors.As(err, &failed):
		why = "journalctl failed: " + shown(failed.said)
		if failed.said == "" {
			why = "journalctl failed and did not say why; run it by hand: journalctl --unit=" + s.cfg.Unit
		}
	}
	return &logs.Fault{Why: why}
}
