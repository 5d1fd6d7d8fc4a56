package rotate_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/issue"
	"rekey/commands/issue/command"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// TestMain lets the test program be the commands of an owner whose register is a
// folder with a file for each value that works.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "owner" {
		os.Exit(owner(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func owner(step, dir string) int {
	var q struct{ Run, Old, New, Value string }
	if json.NewDecoder(os.Stdin).Decode(&q) != nil {
		return 1
	}
	if os.Getenv("PATH") == "" {
		return 1
	}
	if _, err := os.Stat(filepath.Join(dir, "broken-"+step)); err == nil {
		fmt.Fprintln(os.Stderr, "the register is out of order")
		return 1
	}
	switch step {
	case "create":
		fmt.Println("made-for-" + q.Run + "-" + rand.Text() + rand.Text())
	case "set":
		return let(dir, q.New, true)
	case "test":
		if !lets(dir, q.Value) {
			return 3
		}
	case "retire", "finish":
		return let(dir, q.Old, false)
	case "revive":
		return let(dir, q.Old, true)
	case "rollback":
		if q.New != "" {
			return let(dir, q.New, false)
		}
	}
	return 0
}

func entry(dir, value string) string {
	sum := sha256.Sum256([]byte(value))
	return filepath.Join(dir, hex.EncodeToString(sum[:]))
}

func lets(dir, value string) bool {
	_, err := os.Stat(entry(dir, value))
	return err == nil
}

func let(dir, value string, in bool) int {
	err := os.Remove(entry(dir, value))
	if in {
		err = os.WriteFile(entry(dir, value), nil, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 1
	}
	return 0
}

// issuedWorld is a secret that an owner's register makes valid and that two services
// use.
func issuedWorld(t *testing.T) (*world, string) {
	t.Helper()
	line := variable + "=" + oldValue + "\n"
	w := newWorld(t, newService(t, "api", secret.Uses, 1, line), newService(t, "worker", secret.Uses, 1, line))
	dir := t.TempDir()
	let(dir, oldValue, true)
	exe, err := os.Executable()
	must(t, err)
	// The race detector keeps a process for a second after its end unless GORACE says
	// otherwise, and rekey hands its environment on to no command.
	cmd := func(step string) []string {
		return []string{"env", "GORACE=" + os.Getenv("GORACE"), exe, "owner", step, dir}
	}
	s := &w.cat.Secrets[0]
	s.Procedure = secret.OwnCommands
	s.Places[0].Issuer.Commands = &secret.CommandIssuer{
		Create: cmd("create"), Set: cmd("set"), Test: cmd("test"), Retire: cmd("retire"),
		Revive: cmd("revive"), Finish: cmd("finish"), Rollback: cmd("rollback"),
	}
	w.cfg.Issuers = map[secret.Procedure]issue.Issuer{secret.OwnCommands: command.New()}
	w.build()
	return w, dir
}

// register checks which values the owner lets in.
func (w *world) register(dir string, oldWorks, newWorks bool) {
	w.t.Helper()
	want := 0
	for _, works := range []bool{oldWorks, newWorks} {
		if works {
			want++
		}
	}
	files, err := os.ReadDir(dir)
	must(w.t, err)
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), "broken-") })
	if lets(dir, oldValue) != oldWorks || len(files) != want {
		w.t.Errorf("the old value works: %v, %d values do in all; want %v and %d", lets(dir, oldValue), len(files), oldWorks, want)
	}
}

// Guide: procedures/anything-else/rotate
func TestAnIssuedValueIsRotated(t *testing.T) {
	t.Parallel()
	for _, mode := range []commands.Mode{commands.Compromised, commands.Routine} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w, dir := issuedWorld(t)
			s := w.subject("r-1", mode)
			for _, st := range rotate.Plan(s) {
				st.Started = w.now
				if st.Kind == rotate.KindOverlap {
					w.now = w.now.Add(s.Secret.Overlap)
				}
				w.do(s, st)
				w.do(s, st) // as after a crash
			}
			w.onNew()
			w.register(dir, false, true)
			if !lets(dir, w.services[0].env()[variable]) {
				t.Error("what the services use does not work")
			}
		})
	}
}

// Wherever an issued rotation fails before the old value ends, the services are back on
// it, and the new one works nowhere.
//
// Guide: procedures/anything-else/rollback, procedures/email-host-password/rollback
func TestTheWayBackOfAnIssuedValue(t *testing.T) {
	t.Parallel()
	for _, failed := range []string{"create", "issue", "try", "switch/set/api", "switch/test/worker"} {
		t.Run(failed, func(t *testing.T) {
			t.Parallel()
			w, dir := issuedWorld(t)
			s := w.subject("r-1", commands.Compromised)
			before := w.services[0].text() + w.services[1].text()
			w.until(s, failed)
			steps, at := failAt(t, s, failed)
			for _, st := range rotate.Back(s, steps, at, false).Steps {
				w.do(s, st)
				w.do(s, st)
			}
			if after := w.services[0].text() + w.services[1].text(); after != before {
				t.Error("the files are not what they were")
			}
			w.register(dir, true, false)
		})
	}
}

// A person may ask to go back even when the old value has ended, for as long as it can
// be had again; then it says why not.
func TestReturn(t *testing.T) {
	t.Parallel()
	w, dir := issuedWorld(t)
	s := w.subject("r-1", commands.Routine)
	w.until(s, "prove")
	w.register(dir, false, true)
	steps := rotate.Plan(s)
	for i := range steps {
		if steps[i].State = ledger.StepDone; steps[i].Kind == rotate.KindProve {
			break
		}
	}
	way, err := rotate.Return(s, steps)
	must(t, err)
	for _, st := range way.Steps {
		w.do(s, st)
	}
	w.register(dir, true, false)
	if w.services[0].env()[variable] != oldValue || w.services[1].env()[variable] != oldValue {
		t.Error("the services are not back on the old value")
	}
	for i := range steps {
		steps[i].State = ledger.StepDone
	}
	var fault *rotate.Fault
	if _, err := rotate.Return(s, steps); !errors.As(err, &fault) || !strings.Contains(fault.Sentence, "forgotten") {
		t.Errorf("after the end: %v", err)
	}
	steps[len(steps)-1].State = ledger.StepFailed
	if _, err := rotate.Return(s, steps[:len(steps)-1]); !errors.As(err, &fault) || !strings.Contains(fault.Sentence, "removed") {
		t.Errorf("after it was removed: %v", err)
	}
}

// A value that a person brings is proven before it is kept, and none is taken twice.
//
// Guide: procedures/email-host-password/impact, procedures/email-host-password/new-password
func TestAProvidedValue(t *testing.T) {
	t.Parallel()
	w, dir := issuedWorld(t)
	w.cat.Secrets[0].Generator = secret.Supplied
	w.cat.Secrets[0].Places[0].Issuer.Commands.Create = nil
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "check")
	if res := w.do(s, step(t, s, "create")); res.Wait.IsZero() || !strings.Contains(res.Note, "rekey provide r-1") {
		t.Errorf("without a value it does not wait for one: %+v", res)
	}
	provide := func(v, says string) {
		t.Helper()
		err := w.rotator.Provide(t.Context(), s, secret.NewValue(v))
		var fault *rotate.Fault
		if says == "" && err != nil || says != "" && (!errors.As(err, &fault) || !strings.Contains(fault.Sentence, says)) {
			t.Errorf("providing: %v, want %q", err, says)
		}
	}
	const good, other = "brought-by-a-person-1b9d6bcd-2f0c-4f6e-9a3b-44e1", "brought-by-a-person-too-77aa01-0c4f-4f6e-9a3b-1"
	provide(oldValue, "present value")
	provide("a-value-nobody-knows", "does not work")
	if _, err := w.cfg.Stores[secret.Dotenv].Withdraw(t.Context(), store.Ref{Location: w.services[0].envFile(), Variable: variable}, "r-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a value that does not work was kept: %v", err)
	}
	let(dir, good, true)
	let(dir, other, true)
	provide(good, "")
	provide(good, "")
	provide(other, "Another value")
	let(dir, other, false)
	w.done["r-1"] = 1
	w.until(s, "")
	if w.onNew() != good {
		t.Error("the services are not on the value that was brought")
	}
	w.register(dir, false, true)
}

// An issuer that does not revoke leaves everybody served, and says that the old value
// lives.
func TestAnIssuerThatDoesNotRevoke(t *testing.T) {
	t.Parallel()
	w, dir := issuedWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.before(s, "retire/revoke")
	must(t, os.WriteFile(filepath.Join(dir, "broken-retire"), nil, 0o600))
	fault := w.fails(s, step(t, s, "retire/revoke"), "out of order")
	if !fault.Serving {
		t.Error("everybody is served, and the fault does not know")
	}
	steps, at := failAt(t, s, "retire/revoke")
	if way := rotate.Back(s, steps, at, fault.Serving); len(way.Steps) != 0 || !strings.Contains(way.Says, "not proven dead") {
		t.Errorf("it says %q and plans %d steps", way.Says, len(way.Steps))
	}
}

// Nothing is touched by telling what would be, and everything is named.
func TestDescribe(t *testing.T) {
	t.Parallel()
	w, dir := issuedWorld(t)
	s := w.subject("r-1", commands.Routine)
	before := w.sight(true)
	rows, err := w.rotator.Describe(t.Context(), s)
	must(t, err)
	if len(rows) != len(rotate.Plan(s)) {
		t.Errorf("%d rows for %d steps", len(rows), len(rotate.Plan(s)))
	}
	told := ""
	for _, r := range rows {
		told += r.Title + "\n" + strings.Join(r.Would, "\n") + "\n"
	}
	for _, word := range []string{w.services[0].envFile(), w.services[1].envFile(), "owner set " + dir, "owner retire " + dir, w.services[0].urls[0] + "/proof", "/health"} {
		if !strings.Contains(told, word) {
			t.Errorf("it does not tell of %s:\n%s", word, told)
		}
	}
	if strings.Contains(told, oldValue) {
		t.Error("it tells the value")
	}
	if w.sight(true) != before {
		t.Error("something was touched")
	}
	w.register(dir, true, false)
}

// A provider that knows one value alone has ended the old one when it made the new one:
// nobody is put back on what does not work.
func TestNoWayBackToADeadValue(t *testing.T) {
	t.Parallel()
	w, dir := issuedWorld(t)
	s := w.subject("r-1", commands.Compromised)
	w.until(s, "switch/test/api")
	let(dir, oldValue, false)
	steps, at := failAt(t, s, "switch/set/worker")
	way := rotate.Back(s, steps, at, false)
	steps = take(steps, way)
	first := len(steps) - len(way.Steps)
	if steps[first].Key != "unswitch/try" {
		t.Fatalf("the way back begins with %s", steps[first].Key)
	}
	w.fails(s, steps[first], "does not work any more")
	steps[first].State = ledger.StepFailed
	steps = take(steps, rotate.Back(s, steps, steps[first], false))
	for _, st := range steps {
		if st.State == ledger.StepPending {
			t.Errorf("%s would still be done", st.Key)
		}
	}
	if end := rotate.Outcome(steps); end != ledger.Failed {
		t.Errorf("the run ended %s", end)
	}
}

func take(steps []ledger.Step, way rotate.WayBack) []ledger.Step {
	for _, d := range way.Dropped {
		steps[d.Index] = d
	}
	return append(steps, way.Steps...)
}
