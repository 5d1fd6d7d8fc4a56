package rehearsal_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/commands/estatetest"
)

// runs answers the runs in the database, newest first.
func (s *stage) runs(a *app.App) []ledger.Run {
	s.t.Helper()
	var runs []ledger.Run
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		var err error
		runs, err = tx.Runs(ctx, ledger.RunFilter{})
		// What keeps watch afterwards is nobody's request.
		runs = slices.DeleteFunc(runs, func(r ledger.Run) bool { return r.Kind == ledger.KindWatch })
		return err
	})
	if err != nil {
		s.t.Fatalf("reading the runs: %v", err)
	}
	return runs
}

// ends waits until the newest run of the App has ended and everything was told, and
// answers it.
func (s *stage) ends(a *app.App) ledger.Run {
	s.t.Helper()
	var run ledger.Run
	s.within("the run ends", func() bool {
		runs := s.runs(a)
		if len(runs) == 0 || !runs[0].State.Final() {
			return false
		}
		run = runs[0]
		return true
	})
	s.within("everything is told", func() bool { return s.untold(a, run.ID) == 0 })
	return run
}

func (s *stage) untold(a *app.App, run string) int {
	s.t.Helper()
	left := 0
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		ds, err := tx.Deliveries(ctx, run)
		left = 0
		for _, d := range ds {
			if d.Sent < d.Wanted {
				left++
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatalf("reading the deliveries: %v", err)
	}
	return left
}

func report(t *testing.T, run ledger.Run) audit.Report {
	t.Helper()
	var r audit.Report
	if err := json.Unmarshal(run.Report, &r); err != nil {
		t.Fatalf("the run has no report: %v", err)
	}
	return r
}

// mustVerify checks the security log.
func (s *stage) mustVerify(a *app.App) {
	s.t.Helper()
	v, err := a.Store().Verify(s.t.Context())
	if err != nil || !v.OK {
		s.t.Errorf("the security log does not hold: %+v, %v", v, err)
	}
}

// boards answers the top-level messages of #devops-alerts that name a run.
func (s *stage) boards(run string) int {
	n := 0
	for _, m := range s.Alerts.Messages() {
		if strings.Contains(m.Plain(), run) {
			n++
		}
	}
	return n
}

// mustServeOnOneNewValue checks the end of a good rotation in the files.
func (s *stage) mustServeOnOneNewValue(name string) {
	s.t.Helper()
	s.mustServe(name, false)
}

// mustServeOnTheOldValue checks the end of a rollback in the files.
func (s *stage) mustServeOnTheOldValue(name string) {
	s.t.Helper()
	s.mustServe(name, true)
}

func (s *stage) mustServe(name string, old bool) {
	s.t.Helper()
	api, err := s.Estate.InFile(estatetest.API, name)
	if err != nil {
		s.t.Fatal(err)
	}
	web, err := s.Estate.InFile(estatetest.Web, name)
	if err != nil {
		s.t.Fatal(err)
	}
	before, err := s.Estate.InFile(estatetest.API, name+"_OLD")
	if err == nil && !before.IsZero() {
		s.t.Errorf("api still accepts a second value of %s", name)
	}
	if !api.Equal(web) || api.IsZero() {
		s.t.Errorf("api and web hold different values of %s", name)
	}
	if api.Equal(s.Estate.Values()[name]) != old {
		s.t.Errorf("the services hold the old value of %s: %v, want %v", name, !old, old)
	}
}

// mustHaveLeftNothing looks for prepared files and values of the run beside the env
// files.
func (s *stage) mustHaveLeftNothing(point string) {
	s.t.Helper()
	for _, service := range []string{estatetest.API, estatetest.Web} {
		dir := filepath.Dir(s.Estate.EnvFile(service))
		files, err := os.ReadDir(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range files {
			if strings.Contains(f.Name(), "rekey-") && (strings.HasSuffix(f.Name(), ".tmp") || strings.HasSuffix(f.Name(), ".escrow")) {
				s.t.Errorf("%s: %s was left behind in %s", point, f.Name(), dir)
			}
		}
	}
}

// mustHaveDoneEachStepOnce holds the security log against the run: every step that is
// done has exactly one result, and every step of a run that succeeded is done.
func (s *stage) mustHaveDoneEachStepOnce(a *app.App, point, run string) {
	s.t.Helper()
	r, steps, err := a.Look(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	results := map[string]int{}
	for _, e := range s.entries(a, run) {
		if e.Action == "step.done" {
			results[e.Detail["step"]]++
		}
	}
	for _, st := range steps {
		want := 0
		if st.State == ledger.StepDone {
			want = 1
		} else if r.State == ledger.Succeeded {
			s.t.Errorf("%s: step %s is %s", point, st.Key, st.State)
		}
		if n := results[st.Key]; n != want {
			s.t.Errorf("%s: step %s has %d results, want %d", point, st.Key, n, want)
		}
	}
}
