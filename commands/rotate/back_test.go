package rotate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// failAt is a plan in which the step of that key failed and those before it are done.
func failAt(t *testing.T, s rotate.Subject, key string) ([]ledger.Step, ledger.Step) {
	t.Helper()
	steps := rotate.Plan(s)
	for i := range steps {
		if steps[i].Key == key {
			steps[i].State = ledger.StepFailed
			return steps, steps[i]
		}
		steps[i].State = ledger.StepDone
	}
	t.Fatalf("the plan has no step %s", key)
	return nil, ledger.Step{}
}

// The whole way back ends where the run began, and each step of it may be performed
// twice.
//
// Guide: procedures/revalidate-secret/rollback, procedures/analytics-secret/rollback
func TestTheWayBack(t *testing.T) {
	t.Parallel()
	for _, failed := range []string{"publish/set/api", "publish/test/api", "switch/set/web", "switch/test/web"} {
		t.Run(failed, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.subject("r-1", commands.Compromised)
			before := []string{w.service("api").text(), w.service("web").text()}
			w.until(s, failed)
			e, _ := w.escrow(s)
			steps, at := failAt(t, s, failed)
			for _, st := range rotate.Back(s, steps, at, false).Steps {
				w.do(s, st)
				w.do(s, st)
			}
			if !slices.Equal(before, []string{w.service("api").text(), w.service("web").text()}) {
				t.Error("the files are not what they were")
			}
			if _, ok := w.escrow(s); ok {
				t.Error("the values were kept")
			}
			if w.guard.ScrubString("it was "+e.New.Reveal()) != "it was [redacted]" {
				t.Error("the new value, though dead, is not on watch any more")
			}
		})
	}
}

// A way back from a retirement lets both values be accepted again, and serves.
func TestTheWayBackFromRetiring(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "retire/set/api")
	steps, at := failAt(t, s, "retire/test/api")
	way := rotate.Back(s, steps, at, false)
	for _, st := range way.Steps {
		w.do(s, st)
	}
	api, web := w.service("api").env(), w.service("web").env()
	if api[variable] != web[variable] || api[previous] != oldValue {
		t.Error("api does not accept both values")
	}
	if _, ok := w.escrow(s); !ok {
		t.Error("the values are forgotten although the old one lives")
	}
}

// The catalogue was edited while a rotation ran, and a service that may sign with the
// new value by now is not in it any more. Nobody may stop accepting what it signs
// with: there is no way back without it.
func TestNoWayBackWithoutAServiceThatWasSwitched(t *testing.T) {
	t.Parallel()
	for _, failed := range []string{"switch/set/web", "switch/test/web"} {
		w := newWorld(t)
		s := w.subject("r-1", commands.Compromised)
		w.until(s, failed)
		steps, at := failAt(t, s, failed)
		gone := s
		gone.Place.Uses = gone.Place.Uses[:1]
		way := rotate.Back(gone, steps, at, false)
		for _, st := range way.Steps {
			w.do(gone, st)
		}
		api, web := w.service("api").env(), w.service("web").env()
		if web[variable] != api[variable] && web[variable] != api[previous] {
			t.Errorf("%s: web signs with a value that api refuses", failed)
		}
		if !strings.Contains(way.Says, "web") || len(way.Dropped) == 0 {
			t.Errorf("%s: %d steps dropped, and it says: %s", failed, len(way.Dropped), way.Says)
		}
		steps = append(steps, way.Steps...)
		if end := rotate.Outcome(steps); end != ledger.Failed {
			t.Errorf("%s: the run ended %s", failed, end)
		}
		if _, ok := w.escrow(s); !ok {
			t.Errorf("%s: the values are forgotten", failed)
		}
	}
	// One that was never touched is not missed.
	w := newWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "publish/set/api")
	steps, at := failAt(t, s, "publish/test/api")
	s.Place.Uses = s.Place.Uses[:1]
	if way := rotate.Back(s, steps, at, false); len(way.Steps) != 3 {
		t.Errorf("%d steps lead back, want 3", len(way.Steps))
	}
}

// What people are told matches what is known of the services.
func TestWhatTheWayBackSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subject("r-1", commands.Routine)
	for _, c := range []struct {
		key     string
		serving bool
		says    string
		steps   []string
	}{
		{"check", false, "Nothing was changed.", nil},
		{"create", false, "No service was changed.", []string{"rollback/finish"}},
		{"publish/set/api", false, "rekey goes back to the old value.", []string{"rollback/set/api", "rollback/test/api", "rollback/finish"}},
		{"switch/test/web", false, "rekey goes back to the old value.", []string{"unswitch/set/web", "unswitch/test/web", "rollback/set/api", "rollback/test/api", "rollback/finish"}},
		{"retire/check", false, "Both values stay valid; nothing more was changed.", nil},
		{"retire/test/api", true, "Everything runs on the new value and serves, but the old one is not proven dead.", nil},
		{"retire/test/api", false, "rekey lets both values be accepted again, so that traffic is served.", []string{"restore/set/api", "restore/test/api"}},
		{"prove", false, "Every service runs on the new value, but the old one is not proven dead.", nil},
	} {
		steps, at := failAt(t, s, c.key)
		way := rotate.Back(s, steps, at, c.serving)
		var keys []string
		for _, st := range way.Steps {
			keys = append(keys, st.Key)
		}
		if diff := cmp.Diff(c.steps, keys); way.Says != c.says || diff != "" {
			t.Errorf("%s: it says %q (-want +got):\n%s", c.key, way.Says, diff)
		}
	}
	// On the way back.
	for _, c := range []struct {
		at   ledger.Step
		says string
	}{
		{ledger.Step{Stage: rotate.StageUnswitch, Kind: rotate.KindTest, Consumer: "web"}, "A person must look at web."},
		{ledger.Step{Stage: rotate.StageRollback, Kind: rotate.KindFinish}, "A person must look at that."},
	} {
		if way := rotate.Back(s, nil, c.at, false); way.Says != c.says {
			t.Errorf("%s/%s: it says %q, want %q", c.at.Stage, c.at.Kind, way.Says, c.says)
		}
	}
	// Of a step that this rekey does not know, it does not know what it did either.
	steps, _ := failAt(t, s, "publish/set/api")
	unknown := ledger.Step{Run: "r-1", Index: len(steps), Key: "teleport", Kind: "teleport", State: ledger.StepFailed}
	if way := rotate.Back(s, append(steps, unknown), unknown, false); strings.Contains(way.Says, "new value") || len(way.Steps) != 0 {
		t.Errorf("after an unknown step it says %q and plans %d steps", way.Says, len(way.Steps))
	}
}

// When the way back fails as well, whoever may still sign with the new value goes on
// being accepted.
func TestTheWayBackStopsWhereItMust(t *testing.T) {
	t.Parallel()
	line := variable + "=" + oldValue + "\n"
	w := newWorld(t, newService(t, "api", secret.Accepts, 1, line), newService(t, "web", secret.Signs, 1, line))
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "switch/set/web")
	steps, at := failAt(t, s, "switch/test/web")
	way := rotate.Back(s, steps, at, false)
	for _, d := range way.Dropped {
		steps[d.Index] = d
	}
	steps = append(steps, way.Steps...)
	// web ignores every reload from now on: it goes on signing with the new value.
	w.cat.Environments[0].Consumers[1].Reload = []string{"true"}
	s = w.subject("r-1", commands.Compromised)
	for i, st := range steps {
		switch {
		case steps[i].State != ledger.StepPending:
			continue
		case st.Key == "unswitch/test/web":
			w.fails(s, st, "web is not proven")
			steps[i].State = ledger.StepFailed
			more := rotate.Back(s, steps, steps[i], false)
			for _, d := range more.Dropped {
				steps[d.Index] = d
			}
		default:
			w.do(s, st)
			steps[i].State = ledger.StepDone
		}
	}
	web, err := load(w.service("web").live(1))
	must(t, err)
	api, err := load(w.service("api").live(1))
	must(t, err)
	if web[variable] == oldValue || api[variable] != web[variable] {
		t.Error("api does not accept what web signs with")
	}
	if _, ok := w.escrow(s); !ok {
		t.Error("the values are forgotten while one service is not back")
	}
	if end := rotate.Outcome(steps); end != ledger.Failed {
		t.Errorf("the run ended %s", end)
	}
}
