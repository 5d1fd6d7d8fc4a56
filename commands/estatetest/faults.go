package estatetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Faults are what a service can be told to do wrong. The zero Faults is a service
// that is well.
type Faults struct {
	IgnoreReload   bool `json:",omitempty"` // SIGHUP does nothing
	DieOnReload    bool `json:",omitempty"` // SIGHUP ends the process
	StuckWorker    int  `json:",omitempty"` // this worker, from 1, keeps its settings at a reload
	AcceptAnything bool `json:",omitempty"` // api: every signature is taken
	Answer500      bool `json:",omitempty"` // to every request
}

func faultsFile(dir, service string) string { return filepath.Join(dir, "run", service+".faults") }

// SetFaults tells a service its faults, in place of those it had, from its next
// request or signal on.
func (e *Estate) SetFaults(service string, f Faults) error {
	if err := tell(faultsFile(e.cfg.Dir, service), f); err != nil {
		return fmt.Errorf("telling %s its faults: %w", service, err)
	}
	return nil
}

// readFaults is the service's side. Nothing there means no faults.
func readFaults(s spec) Faults {
	var f Faults
	if text, err := os.ReadFile(faultsFile(s.Dir, s.Service)); err == nil {
		_ = json.Unmarshal(text, &f)
	}
	return f
}
