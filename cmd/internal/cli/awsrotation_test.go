package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/cmd/internal/cli"
	"rekey/commands/store/aws/awstest"
)

// rotated is an AWS secret that AWS's own schedule rotates, and a catalogue that knows
// it.
type rotated struct {
	*testing.T
	srv     *awstest.Server
	arn     string
	catalog string
}

const (
	rotationToken = "11111111-2222-4333-8444-555555555555"
	canaryBefore  = "canary-before-6b1f0c"
)

func newRotated(t *testing.T) *rotated {
	t.Helper()
	w := &rotated{T: t, srv: awstest.New(awstest.Config{}), catalog: filepath.Join(t.TempDir(), "rekey.yaml")}
	t.Cleanup(w.srv.Close)
	w.arn = w.srv.Create("production/leather-api", `{"HOOK":"`+canaryBefore+`","other":1.0}`)
	w.srv.Rotate("production/leather-api", rotationToken)
	text := fmt.Sprintf(`version: 1
slack: {channel: C012AB3CD}
access: {responders: [U012AB3CD]}
stores:
  aws: {kind: aws-secrets-manager, region: %s, endpoint: %s}
environments:
  production:
    consumers:
      api: {store: aws, location: production/leather-api, reload: ["true"]}
secrets:
  HOOK:
    purpose: webhook
    owner: DevOps
    procedure: hmac-overlap
    in:
      production:
        consumers:
          api:
            variable: HOOK
            previous: HOOK_OLD
            role: both
            proof:
              request: {urls: ["http://127.0.0.1:1/hook"], body: '{}'}
              challenge: {urls: ["http://127.0.0.1:1/proof"]}
`, w.srv.Region(), w.srv.URL)
	if err := os.WriteFile(w.catalog, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs the verb with what comes in on standard input.
func (w *rotated) start(in string, environ ...string) (cmd *exec.Cmd, out *bytes.Buffer) {
	w.Helper()
	path, err := exec.LookPath("rekey") // TestMain put it there
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	w.Cleanup(cancel)
	cmd, out = exec.CommandContext(ctx, path, "--config", w.catalog, "aws-rotation-step"), &bytes.Buffer{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), out, out
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE00000000", "AWS_SECRET_ACCESS_KEY=none")
	cmd.Env = append(cmd.Env, environ...)
	return cmd, out
}

func (w *rotated) event(step string) string {
	text, _ := json.Marshal(map[string]string{"Step": step, "SecretId": w.arn, "ClientRequestToken": rotationToken})
	return string(text)
}

// fit checks that a rotation was performed, and that out shows nothing of it.
func (w *rotated) fit(out string) {
	w.Helper()
	var now map[string]any
	if err := json.Unmarshal([]byte(w.srv.Text("production/leather-api", "AWSCURRENT")), &now); err != nil {
		w.Fatal(err)
	}
	fresh, _ := now["HOOK"].(string)
	if fresh == canaryBefore || len(fresh) != 64 || now["HOOK_OLD"] != canaryBefore || now["other"] != 1.0 {
		w.Error("the secret is not as it should be after a rotation")
	}
	if strings.Contains(out, fresh) || strings.Contains(out, canaryBefore) {
		w.Error("a value was shown")
	}
}

// Guide: aws/lambda/handler
func TestAWSRotationByHand(t *testing.T) {
	t.Parallel()
	w := newRotated(t)
	said := ""
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret", "finishSecret"} {
		cmd, out := w.start(w.event(step))
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v: %s", step, err, out)
		}
		said += out.String()
	}
	w.fit(said)
	for in, code := range map[string]int{
		"":                                  cli.ExitUsage,
		"canary":                            cli.ExitUsage,
		`{"Step":"createSecret"}`:           cli.ExitUsage,
		w.event("dropSecret"):               cli.ExitRefused,
		strings.Repeat(w.event("a"), 1_000): cli.ExitUsage,
	} {
		cmd, out := w.start(in)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != code || strings.Contains(out.String(), "canary") {
			t.Errorf("%.60q: %v, want exit code %d: %s", in, err, code, out)
		}
	}
	w.srv.Close()
	if cmd, out := w.start(w.event("createSecret"), "AWS_MAX_ATTEMPTS=1"); cmd.Run() == nil || cmd.ProcessState.ExitCode() != cli.ExitInternal || !strings.Contains(out.String(), "could not be reached") {
		t.Errorf("with AWS away: %s", out)
	}
}

// runtime is the Runtime API by which AWS Lambda hands events to a function and takes
// what came of them.
type runtime struct {
	mu     sync.Mutex
	events []string
	came   []string // "response 1", "error 2: …"
	over   chan struct{}
}

func (l *runtime) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if path == "next" {
		n := len(l.came)
		if n == len(l.events) {
			close(l.over)
			l.mu.Unlock()
			<-r.Context().Done() // Lambda freezes a function that has nothing to do
			l.mu.Lock()
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint(n))
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(patience).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:rekey")
		_, _ = io.WriteString(w, l.events[n])
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, what, _ := strings.Cut(path, "/")
	l.came = append(l.came, what+" "+string(body))
	w.WriteHeader(http.StatusAccepted)
}

// Guide: aws/lambda/handler
func TestAWSRotationOnLambda(t *testing.T) {
	t.Parallel()
	w := newRotated(t)
	l := &runtime{over: make(chan struct{})}
	for _, step := range []string{"setSecret", "createSecret", "setSecret", "testSecret", "finishSecret"} {
		l.events = append(l.events, w.event(step))
	}
	api := httptest.NewServer(l)
	defer api.Close()
	cmd, out := w.start("", "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
	select {
	case <-l.over:
	case <-gone:
		t.Errorf("the function ended by itself: %s", out)
	case <-time.After(patience):
		t.Error("the function did not handle its events in time")
	}
	_ = cmd.Process.Kill()
	<-gone
	api.CloseClientConnections()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.came) != 5 || !strings.HasPrefix(l.came[0], "error") || !strings.Contains(l.came[0], "createSecret has kept no value") {
		t.Fatalf("came of it: %q, said: %s", l.came, out)
	}
	for _, came := range l.came[1:] {
		if !strings.HasPrefix(came, "response") {
			t.Errorf("came of it: %s", came)
		}
	}
	w.fit(out.String() + strings.Join(l.came, ""))
}
