package command_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/issue/command"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// TestTheExampleInTheProtocol rotates with the program that docs/protocol.md shows to
// owners, there and back.
func TestTheExampleInTheProtocol(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing; on Debian: apt-get install python3")
	}
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```python\n(# partner_token\\.py.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/protocol.md has no block that begins with # partner_token.py")
	}
	program := filepath.Join(t.TempDir(), "partner_token.py")
	if err := os.WriteFile(program, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	p := &partner{active: map[string]bool{inUse: true}, made: map[string]string{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	argv := []string{python, program, server.URL}
	i, o := command.New(), order(secret.CommandIssuer{
		Create: argv, Test: argv, Retire: argv, Revive: argv, Finish: argv, Rollback: argv, Timeout: time.Minute,
	})
	o.Old = secret.NewValue(inUse)
	create := func(run string) {
		o.Run, o.New = run, secret.Value{}
		v, _, err := i.Create(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		o.New = v
	}
	does := func(step func(context.Context, issue.Order) (string, error), older, newer verify.Answer) {
		t.Helper()
		if _, err := step(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if got := i.Test(t.Context(), o, o.Old); got.Answer != older {
			t.Errorf("the old value: %v, want %v", got, older)
		}
		if got := i.Test(t.Context(), o, o.New); got.Answer != newer {
			t.Errorf("the new value: %v, want %v", got, newer)
		}
	}
	create("r1")
	does(i.Set, verify.Accepted, verify.Accepted)
	does(i.Rollback, verify.Accepted, verify.Refused)
	create("r2")
	made := o.New
	create("r2")
	if !o.New.Equal(made) {
		t.Error("one run made two values")
	}
	does(i.Retire, verify.Refused, verify.Accepted)
	does(i.Revive, verify.Accepted, verify.Accepted)
	does(i.Finish, verify.Refused, verify.Accepted)
	does(i.Finish, verify.Refused, verify.Accepted)
	var fault *issue.Fault
	if _, err := i.Revive(t.Context(), o); !errors.As(err, &fault) || !strings.HasSuffix(fault.Sentence, "the partner's API answered 404") {
		t.Errorf("reviving what is gone: %v", err)
	}
	p.busy()
	var wait *issue.Wait
	if _, err := i.Retire(t.Context(), o); !errors.As(err, &wait) || wait.Sentence != "The partner's API asks for patience." {
		t.Errorf("a busy API: %v", err)
	}
}

// partner is an API that makes tokens.
type partner struct {
	mu      sync.Mutex
	active  map[string]bool   // by token
	made    map[string]string // token by run
	refuses bool
}

// busy makes it refuse everything for a while.
func (p *partner) busy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
}

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var in struct {
		Token  string
		Active bool
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	if p.refuses {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	run, named := strings.CutPrefix(r.URL.Path, "/tokens/")
	status, answer := http.StatusOK, map[string]string{}
	switch _, exists := p.active[in.Token]; {
	case named && r.Method == http.MethodPut:
		if p.made[run] == "" {
			p.made[run] = run + "." + rand.Text()
			p.active[p.made[run]] = true
		}
		answer["token"] = p.made[run]
	case named && r.Method == http.MethodDelete:
		delete(p.active, p.made[run])
		delete(p.made, run)
	case r.URL.Path == "/whoami":
		if !p.active[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
			status = http.StatusUnauthorized
		}
	case !exists:
		status = http.StatusNotFound
	case r.URL.Path == "/state":
		p.active[in.Token] = in.Active
	case r.URL.Path == "/delete":
		delete(p.active, in.Token)
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(http.ErrAbortHandler)
	}
}
