package rotate

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rekey/audit/ledger"
	"rekey/commands/secret"
	"rekey/commands/store"
)

func subject(mode string, roles ...secret.Role) Subject {
	s := Subject{
		Run:    ledger.Run{ID: "r-1", Mode: mode, Environment: "production"},
		Secret: secret.Secret{Name: "X", Overlap: 24 * time.Hour},
	}
	for i, role := range roles {
		u := secret.Use{Consumer: fmt.Sprintf("c%d", i), Variable: "X", Role: role}
		if role != secret.Signs {
			u.Previous = "X_OLD"
		}
		s.Place.Uses = append(s.Place.Uses, u)
		s.Environment.Consumers = append(s.Environment.Consumers, secret.Consumer{Name: u.Consumer})
	}
	return s
}

func keys(steps []ledger.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Key)
	}
	return out
}

func TestPlanFollowsTheGuidesOrder(t *testing.T) {
	t.Parallel()
	compromised := []string{
		"check", "create",
		"publish/set/c0", "publish/test/c0",
		"switch/set/c1", "switch/test/c1",
		"retire/set/c0", "retire/test/c0",
		"prove", "finish",
	}
	if diff := cmp.Diff(compromised, keys(Plan(subject("compromised", secret.Accepts, secret.Signs)))); diff != "" {
		t.Errorf("compromised (-want +got):\n%s", diff)
	}
	routine := append([]string{}, compromised[:6]...)
	routine = append(routine, "overlap", "retire/check")
	routine = append(routine, compromised[6:]...)
	if diff := cmp.Diff(routine, keys(Plan(subject("routine", secret.Accepts, secret.Signs)))); diff != "" {
		t.Errorf("routine (-want +got):\n%s", diff)
	}
}

// model is an estate in which every service may, at any moment, run on what its file
// holds now or on what it held before its last proof: reloads lag, services restart.
type model struct {
	s     Subject
	e     store.Escrow
	file  map[string]store.State
	stale map[string][]store.State // what workers may still run on
}

func newModel(s Subject) *model {
	m := &model{
		s: s, e: store.Escrow{Old: secret.NewValue("old"), New: secret.NewValue("new")},
		file: map[string]store.State{}, stale: map[string][]store.State{},
	}
	for _, u := range s.Place.Uses {
		m.file[u.Consumer] = store.State{Current: m.e.Old}
	}
	return m
}

func (m *model) possible(u secret.Use) []store.State {
	return append([]store.State{m.file[u.Consumer]}, m.stale[u.Consumer]...)
}

// honest reports the first pair of services between which a request could be refused.
func (m *model) honest() error {
	for _, signer := range m.s.Place.Uses {
		if !signs(signer) {
			continue
		}
		for _, accepter := range m.s.Place.Uses {
			if !accepts(accepter) {
				continue
			}
			for _, a := range m.possible(signer) {
				for _, b := range m.possible(accepter) {
					if !b.Current.Equal(a.Current) && !b.Previous.Equal(a.Current) {
						return fmt.Errorf("%s may sign with a value that %s may refuse", signer.Consumer, accepter.Consumer)
					}
				}
			}
		}
	}
	return nil
}

// do applies a step to the model. It fails the test when a set step would meet a
// state it does not know.
func (m *model) do(step ledger.Step) error {
	u, _ := m.s.use(step.Consumer)
	switch step.Kind {
	case KindSet:
		want, _ := desired(u, step.Stage, m.e)
		have := m.file[u.Consumer]
		if !known(u, step.Stage, have, m.e) {
			return fmt.Errorf("%s finds a state it does not know", step.Key)
		}
		m.stale[u.Consumer] = append(m.stale[u.Consumer], have)
		m.file[u.Consumer] = want
	case KindTest:
		m.stale[u.Consumer] = nil
	}
	return nil
}

// Whatever the estate and wherever a step fails, no honest request can be refused at
// any moment, and the run ends with every service on one and the same value.
func TestNoMomentRefusesAnHonestRequest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roles := rapid.SliceOfN(rapid.SampledFrom([]secret.Role{secret.Accepts, secret.Signs, secret.Both}), 0, 4).Draw(t, "others")
		roles = append([]secret.Role{secret.Accepts, secret.Signs}, roles...)
		s := subject(rapid.SampledFrom([]string{"routine", "compromised"}).Draw(t, "mode"), roles...)
		steps := Plan(s)
		failAt := rapid.IntRange(0, len(steps)).Draw(t, "fails at") // len: nothing fails
		again := rapid.IntRange(0, 12).Draw(t, "fails again after") // on the way back
		m := newModel(s)
		for i := 0; i < len(steps); i++ {
			if steps[i].State == ledger.StepSkipped {
				continue
			}
			steps[i].State = ledger.StepDone
			if i == failAt || (failAt < i && i == failAt+again && OnTheWayBack(steps[i])) {
				if steps[i].Kind == KindSet && rapid.Bool().Draw(t, "after the act") {
					if err := m.do(steps[i]); err != nil {
						t.Fatal(err)
					}
				}
				steps[i].State = ledger.StepFailed
				way := Back(s, steps, steps[i], rapid.Bool().Draw(t, "serving"))
				for _, d := range way.Dropped {
					steps[d.Index] = d
				}
				steps = append(steps, way.Steps...)
			} else if err := m.do(steps[i]); err != nil {
				t.Fatal(err)
			}
			if err := m.honest(); err != nil {
				t.Fatalf("after %s: %v", steps[i].Key, err)
			}
		}
		m.mustHaveSettled(t, steps, Outcome(steps))
	})
}

func (m *model) mustHaveSettled(t *rapid.T, steps []ledger.Step, end ledger.RunState) {
	for _, u := range m.s.Place.Uses {
		have := m.file[u.Consumer]
		switch end {
		case ledger.Succeeded:
			if !have.Current.Equal(m.e.New) || !have.Previous.IsZero() {
				t.Fatalf("succeeded, but %s is not on the new value alone", u.Consumer)
			}
		case ledger.RolledBack:
			if !have.Current.Equal(m.e.Old) || !have.Previous.IsZero() {
				t.Fatalf("rolled back, but %s is not on the old value alone", u.Consumer)
			}
		case ledger.Failed:
			// Both values may be valid, but never neither and never an unknown one.
			if !have.Current.Equal(m.e.Old) && !have.Current.Equal(m.e.New) {
				t.Fatalf("failed, and %s holds an unknown value", u.Consumer)
			}
		default:
			t.Fatalf("run ended %s after %v", end, keys(steps))
		}
	}
}

func TestOnlyARealEndIsGreen(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"check", "create", "retire/test/c0", "prove", "finish"} {
		steps := Plan(subject("compromised", secret.Accepts, secret.Signs))
		for i := range steps {
			steps[i].State = ledger.StepDone
			if steps[i].Key == kind {
				steps[i].State = ledger.StepFailed
			}
		}
		if got := Outcome(steps); got != ledger.Failed {
			t.Errorf("with %s failed the run ended %s, want failed", kind, got)
		}
	}
}
