package command_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// TestMain lets the test program be the owner's commands: arguments decide, because a
// command gets next to nothing of the environment.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "owner":
			os.Exit(owner(os.Args[2], os.Args[3]))
		case "odd":
			os.Exit(odd(os.Args[2], os.Args[3:]))
		}
	}
	os.Exit(m.Run())
}

// self is this program with arguments.
func self(t testing.TB, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector keeps a process for a second after its end unless GORACE says
	// otherwise, and rekey hands its environment on to no command.
	return append([]string{"env", "GORACE=" + os.Getenv("GORACE"), exe}, args...)
}

// asked is the protocol as an owner would read it, written down once more on purpose.
type asked struct {
	Version     int    `json:"version"`
	Step        string `json:"step"`
	Run         string `json:"run"`
	Secret      string `json:"secret"`
	Environment string `json:"environment"`
	Compromised *bool  `json:"compromised"`
	Old         string `json:"old"`
	New         string `json:"new"`
	Value       string `json:"value"`
}

// register is a small provider of tokens: a file of what works.
type register struct {
	Works map[string]bool   `json:"works"` // false: retired
	Made  map[string]string `json:"made"`  // by run
}

// owner is a set of commands over a register, as a careful owner would write them.
func owner(step, path string) int {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		return complain(err.Error())
	}
	var q asked
	if err := json.Unmarshal(in, &q); err != nil || q.Version != 1 || q.Step != step || q.Run == "" || q.Secret == "" || q.Environment == "" || q.Compromised == nil {
		return complain("this is not the protocol")
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return complain(err.Error())
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return complain(err.Error())
	}
	r, err := readRegister(path)
	if err != nil {
		return complain(err.Error())
	}
	code := r.serve(q)
	if err := r.write(path); err != nil {
		return complain(err.Error())
	}
	return code
}

func (r *register) serve(q asked) int {
	switch q.Step {
	case "check":
		if !r.Works[q.Old] {
			return complain("the value in use does not work")
		}
		fmt.Println("the register can be reached")
	case "create":
		if r.Made[q.Run] == "" {
			r.Made[q.Run] = q.Run + "." + rand.Text()
		}
		fmt.Println(r.Made[q.Run])
	case "set":
		r.Works[q.New] = true
	case "test":
		if q.Value == "" {
			return complain("no value to try")
		}
		if !r.Works[q.Value] {
			return 3
		}
	case "retire":
		if _, ok := r.Works[q.Old]; ok {
			r.Works[q.Old] = false
		}
	case "revive":
		if _, ok := r.Works[q.Old]; !ok {
			return complain("it is gone for good")
		}
		r.Works[q.Old] = true
	case "finish":
		delete(r.Works, q.Old)
	case "rollback":
		delete(r.Works, r.Made[q.Run])
		delete(r.Works, q.New)
		delete(r.Made, q.Run)
	}
	return 0
}

func complain(why string) int {
	fmt.Fprintln(os.Stderr, why)
	return 1
}

func readRegister(path string) (*register, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &register{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *register) write(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// odd are commands with one trait each.
func odd(trait string, args []string) int {
	in, _ := io.ReadAll(os.Stdin)
	switch trait {
	case "say": // code, standard output, standard error; VALUE there is the new value
		var q asked
		_ = json.Unmarshal(in, &q)
		text := func(s string) string { return strings.ReplaceAll(s, "VALUE", q.New) }
		fmt.Print(text(args[1]))
		fmt.Fprint(os.Stderr, text(args[2]))
		code := 0
		_, _ = fmt.Sscan(args[0], &code)
		return code
	case "linger": // ready file, go file: has a child, and waits to be looked at
		child := exec.Command("sleep", "600")
		if err := child.Start(); err != nil {
			return complain(err.Error())
		}
		_ = os.WriteFile(args[0]+".new", in, 0o600)
		_ = os.Rename(args[0]+".new", args[0])
		for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(args[1]); err == nil {
				break
			}
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	case "hang":
		time.Sleep(time.Hour)
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	}
	return 0
}

// order asks own's commands about a made-up secret.
func order(own secret.CommandIssuer) issue.Order {
	s := secret.Secret{Name: "PARTNER_TOKEN", Procedure: secret.OwnCommands, Generator: secret.Hex32}
	p := secret.Place{Environment: "production", Issuer: secret.Issuer{Commands: &own}}
	return issue.Order{
		Run: "r1", Secret: s, Place: p, Environment: secret.Environment{Name: "production"},
		Old: secret.NewValue("canary-old-6b1f0c2d"), New: secret.NewValue("canary-new-93ae47b5"),
	}
}

// processes lists those of this machine.
func processes(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no processes can be seen in /proc (%v)", err)
	}
	for i, f := range folders {
		folders[i] = filepath.Base(f)
	}
	return folders
}

// seen reads what /proc shows of a process, "" of one that has ended.
func seen(t *testing.T, pid, what string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", pid, what))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
	return string(b)
}

// groupOf lists the processes of a group.
func groupOf(t *testing.T, group string) []string {
	t.Helper()
	var members []string
	for _, pid := range processes(t) {
		_, after, _ := strings.Cut(seen(t, pid, "stat"), ") ") // pid (name) state parent group
		if f := strings.Fields(after); len(f) > 2 && f[2] == group {
			members = append(members, pid)
		}
	}
	return members
}
