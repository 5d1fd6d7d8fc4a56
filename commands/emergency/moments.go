package emergency

import (
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands/rotate"
)

// moments are what a report's timeline shows of a rotation: when the new value came into
// use, and when the old one was dead. died is zero while it lives.
func moments(run ledger.Run, steps []ledger.Step) (died time.Time, marks []audit.Mark) {
	if run.Kind != ledger.KindRotate {
		return died, nil
	}
	back := run.State == ledger.RollingBack // the old value lives again
	for _, s := range steps {
		if !back && s.State == ledger.StepDone && (s.Kind == rotate.KindProve || s.Kind == rotate.KindRevoke) && s.Ended.After(died) {
			died = s.Ended.UTC()
		}
	}
	marks = append(marks, audit.Mark{At: run.CreatedAt.UTC(), What: "rotation asked for"})
	if at := switched(steps); !at.IsZero() {
		marks = append(marks, audit.Mark{At: at.UTC(), What: "new value in use"})
	}
	if !died.IsZero() {
		marks = append(marks, audit.Mark{At: died, What: "old value dead"})
	}
	return died, marks
}
