package rotate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rekey/audit/ledger"
	"rekey/commands"
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
		if role == secret.Accepts || role == secret.Both {
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

// Guide: dual-secret/step-1-add-new, dual-secret/step-2-keep-old, dual-secret/step-3-deploy-accepting, dual-secret/step-4-update-signer, dual-secret/step-5-deploy-signer, dual-secret/step-6-remove-old
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
// valid is what the issuer of an issued value lets in.
type model struct {
	s     Subject
	e     store.Escrow
	file  map[string]store.State
	stale map[string][]store.State // what workers may still run on
	valid map[string]bool          // "old", "new"
}

func newModel(s Subject) *model {
	m := &model{
		s: s, e: store.Escrow{Old: secret.NewValue("old"), New: secret.NewValue("new")},
		file: map[string]store.State{}, stale: map[string][]store.State{}, valid: map[string]bool{"old": true},
	}
	for _, u := range s.Place.Uses {
		m.file[u.Consumer] = store.State{Current: m.e.Old}
	}
	return m
}

func (m *model) possible(u secret.Use) []store.State {
	return append([]store.State{m.file[u.Consumer]}, m.stale[u.Consumer]...)
}

// honest reports who could be refused at this moment: a request between two services,
// or a service at the issuer.
func (m *model) honest() error {
	for _, u := range m.s.Place.Uses {
		for _, st := range m.possible(u) {
			if uses(u) && !m.valid[st.Current.Reveal()] {
				return fmt.Errorf("%s may use the %s value, which is not valid", u.Consumer, st.Current.Reveal())
			}
		}
	}
	for _, signer := range m.s.Place.Uses {
		for _, accepter := range m.s.Place.Uses {
			if !signs(signer) || !overlaps(accepter) {
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
		have := m.file[u.Consumer]
		if !known(u, step.Stage, have, m.e) {
			return fmt.Errorf("%s finds a state it does not know", step.Key)
		}
		m.stale[u.Consumer] = append(m.stale[u.Consumer], have)
		m.file[u.Consumer] = desired(u, step.Stage, m.e)
	case KindTest:
		m.stale[u.Consumer] = nil
	case KindIssue:
		m.valid["new"] = true
	case KindReinstate:
		m.valid["old"] = true
	case KindRevoke, KindRemove:
		m.valid["old"] = false
	case KindWithdraw:
		m.valid["new"] = false
	}
	return nil
}

// anyEstate draws a secret of any procedure with any consumers.
func anyEstate(t *rapid.T) Subject {
	mode := rapid.SampledFrom([]string{"routine", "compromised"}).Draw(t, "mode")
	more := rapid.SliceOfN(rapid.SampledFrom([]secret.Role{secret.Accepts, secret.Signs, secret.Both}), 0, 4)
	var s Subject
	switch procedure := rapid.SampledFrom([]secret.Procedure{secret.HMACOverlap, secret.DjangoKey, secret.PostgresRole}).Draw(t, "procedure"); procedure {
	case secret.HMACOverlap:
		s = subject(mode, append([]secret.Role{secret.Accepts, secret.Signs}, more.Draw(t, "others")...)...)
	case secret.DjangoKey:
		s = subject(mode, rapid.SliceOfN(rapid.Just(secret.Both), 1, 3).Draw(t, "services")...)
		if rapid.Bool().Draw(t, "no fallbacks") {
			for i := range s.Place.Uses {
				s.Place.Uses[i].Previous = ""
			}
		}
		s.Secret.Procedure = procedure
	default:
		s = subject(mode, rapid.SliceOfN(rapid.Just(secret.Uses), 1, 3).Draw(t, "services")...)
		s.Secret.Procedure = procedure
	}
	if rapid.Bool().Draw(t, "checklist") {
		s.Place.Checks = []secret.Check{{Kind: secret.CheckHealth}}
	}
	if rapid.Bool().Draw(t, "usage") {
		s.Place.Usage = []secret.UsageSource{{Log: "rekey.log", Pattern: "old"}}
	}
	if rapid.Bool().Draw(t, "sessions") {
		s.Place.Sessions = &secret.Sessions{End: []string{"end"}, Tidy: []string{"tidy"}}
	}
	return s
}

// Whatever the secret and the estate, wherever a step fails, whenever somebody asks to
// go back or says that the secret is compromised: no honest request can be refused at
// any moment, one or two values are valid, and the run ends with every service on one
// and the same value.
//
// Guide: overview/no-downtime, procedures/secret-key/rollback, procedures/revalidate-secret/rollback, procedures/analytics-secret/rollback, procedures/database-url/rollback
func TestNoMomentRefusesAnHonestRequest(t *testing.T) {
	t.Parallel()
	for range 40 { // a way back asked for in one of the last steps is drawn rarely
		rapid.Check(t, noMomentRefuses)
	}
}

func noMomentRefuses(t *rapid.T) {
	s := anyEstate(t)
	steps := Plan(s)
	failAt := rapid.IntRange(0, len(steps)).Draw(t, "fails at") // len: nothing fails
	again := rapid.IntRange(0, 12).Draw(t, "fails again after") // on the way back
	askAt := rapid.IntRange(0, 2*len(steps)).Draw(t, "somebody asks to go back at")
	leakAt := rapid.IntRange(0, 2*len(steps)).Draw(t, "known to be compromised at")
	m := newModel(s)
	asked := false
	holds := rapid.IntRange(0, commands.MaxHolds).Draw(t, "the end of the old value is put off")
	for i := 0; i < len(steps); i++ {
		if steps[i].Kind == KindDrain && steps[i].State == ledger.StepPending { // it may stand there for a while
			steps[i].State = ledger.StepRunning
		}
		if i == leakAt && s.Run.Mode == "routine" {
			s.Run.Mode = "compromised"
			steps = append(steps, Escalated(s, steps)...)
		}
		if i >= askAt && !asked && !slices.ContainsFunc(steps[:i], OnTheWayBack) {
			asked = true
			if way, err := Return(s, steps); err == nil {
				steps = take(steps, way)
			}
		}
		if steps[i].State == ledger.StepSkipped {
			continue
		}
		steps[i].State = ledger.StepDone
		if i == failAt || (failAt < i && i == failAt+again && OnTheWayBack(steps[i])) {
			if rapid.Bool().Draw(t, "after the act") {
				if err := m.do(steps[i]); err != nil {
					t.Fatal(err)
				}
			}
			steps[i].State = ledger.StepFailed
			steps = take(steps, Back(s, steps, steps[i], m.serving(t)))
		} else if err := m.do(steps[i]); err != nil {
			t.Fatal(err)
		}
		if steps[i].Kind == KindDrain && steps[i].State == ledger.StepDone && holds > 0 && s.compromised() {
			steps[i].State, holds = ledger.StepRunning, holds-1
			i-- // it was just about to go on, and stands again
			continue
		}
		if err := m.honest(); err != nil {
			t.Fatalf("after %s of %v: %v", steps[i].Key, keys(steps), err)
		}
	}
	m.mustHaveSettled(t, steps, Outcome(steps))
}

// serving is what a step that failed would say of the estate: where the new value is
// not valid it cannot say that everybody is served by it.
func (m *model) serving(t *rapid.T) bool {
	return (!m.s.Secret.Procedure.Issued() || m.valid["new"]) && rapid.Bool().Draw(t, "serving")
}

func take(steps []ledger.Step, way WayBack) []ledger.Step {
	for _, d := range way.Dropped {
		steps[d.Index] = d
	}
	return append(steps, way.Steps...)
}

func (m *model) mustHaveSettled(t *rapid.T, steps []ledger.Step, end ledger.RunState) {
	if m.s.Secret.Procedure.Issued() {
		m.mustBeIssued(t, end)
	}
	for _, u := range m.s.Place.Uses {
		have := m.file[u.Consumer]
		switch end {
		case ledger.Succeeded:
			if !slices.ContainsFunc(steps, func(st ledger.Step) bool { return st.Kind == KindFinish && st.State == ledger.StepDone }) {
				if !have.Current.Equal(m.e.Old) {
					t.Fatalf("nothing was to be done, but %s is not on the old value", u.Consumer)
				}
				continue
			}
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

func (m *model) mustBeIssued(t *rapid.T, end ledger.RunState) {
	switch {
	case !m.valid["old"] && !m.valid["new"]:
		t.Fatalf("ended %s with no valid value at all", end)
	case end == ledger.RolledBack && (m.valid["new"] || !m.valid["old"]):
		t.Fatalf("rolled back with old valid %v, new valid %v", m.valid["old"], m.valid["new"])
	case end == ledger.Succeeded && m.valid["old"] && m.valid["new"]:
		t.Fatal("succeeded with two valid values")
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
