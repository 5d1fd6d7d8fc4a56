package rotate_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
	"rekey/commands/verify"
)

const (
	variable = "REVALIDATE_SECRET"
	previous = "REVALIDATE_SECRET_OLD"
	webhook  = `{"slugs":["test"]}`
)

// oldValue is the value that everybody runs on in the beginning.
var oldValue = sign("old", "value")

// service is a consumer: an env file, a reload command that copies it to what the
// service runs on, and HTTP servers that check signatures with that.
type service struct {
	t    *testing.T
	name string
	role secret.Role
	dir  string
	urls []string
	// said, when set, is what the service answers to everything instead of working.
	said atomic.Pointer[http.HandlerFunc]
	// stuck is the number of an instance, from 1, that no reload reaches.
	stuck int
}

func newService(t *testing.T, name string, role secret.Role, instances int, env string) *service {
	t.Helper()
	s := &service{t: t, name: name, role: role, dir: t.TempDir()}
	if err := os.Chmod(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(env)
	for n := range instances {
		copied, err := os.ReadFile(s.envFile())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.live(n+1), copied, 0o600); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(s.handler(n + 1))
		t.Cleanup(srv.Close)
		s.urls = append(s.urls, srv.URL)
	}
	return s
}

func (s *service) envFile() string     { return filepath.Join(s.dir, ".env") }
func (s *service) live(n int) string   { return filepath.Join(s.dir, fmt.Sprintf("live-%d", n)) }
func (s *service) reloadsFile() string { return filepath.Join(s.dir, "reloads") }

func (s *service) write(env string) {
	s.t.Helper()
	if err := os.WriteFile(s.envFile(), []byte(env), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// edit is what a person does to the env file: replace text, keep the rest.
func (s *service) edit(from, to string) {
	text := s.text()
	if !strings.Contains(text, from) {
		s.t.Errorf("%s's env file does not hold what was to be edited", s.name)
	}
	s.write(strings.Replace(text, from, to, 1))
}

func (s *service) text() string {
	raw, err := os.ReadFile(s.envFile())
	if err != nil {
		s.t.Error(err)
	}
	return string(raw)
}

// load reads NAME=value lines; it is not the code that writes them.
func load(file string) (map[string]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if n := len(value); n > 1 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		env[strings.TrimPrefix(name, "export ")] = value
	}
	return env, nil
}

func (s *service) env() map[string]string {
	s.t.Helper()
	env, err := load(s.envFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return env
}

// reload makes every instance, but a stuck one, run on what the env file holds, and
// counts how often that was asked for.
func (s *service) reload() []string {
	script := "echo >> reloads"
	for n := range s.urls {
		if n+1 != s.stuck {
			script += fmt.Sprintf(" && cp .env live-%d", n+1)
		}
	}
	return []string{"sh", "-c", `cd "$1" && ` + script, "reload", s.dir}
}

func (s *service) reloads() int {
	raw, err := os.ReadFile(s.reloadsFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return len(raw)
}

func sign(key, message string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return hex.EncodeToString(m.Sum(nil))
}

func (s *service) handler(instance int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := s.said.Load(); h != nil {
			(*h)(w, r)
			return
		}
		env, err := load(s.live(instance))
		if err != nil {
			http.Error(w, "no settings", http.StatusInternalServerError)
			return
		}
		w.Header().Set(verify.WorkerHeader, fmt.Sprintf("%s-%d", s.name, instance))
		switch r.URL.Path {
		case "/health":
		case "/proof":
			_ = json.NewEncoder(w).Encode(map[string]string{"proof": sign(env[variable], "rekey-proof-v1\n"+r.URL.Query().Get("nonce"))})
		case "/hook":
			body, _ := io.ReadAll(r.Body)
			got := r.Header.Get("X-Signature")
			ok := env[variable] != "" && got == sign(env[variable], string(body)) ||
				env[previous] != "" && got == sign(env[previous], string(body))
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

// answers makes the service say one thing to everything.
func (s *service) answers(h http.HandlerFunc) { s.said.Store(&h) }

func (s *service) at(path string) []string {
	var urls []string
	for _, u := range s.urls {
		urls = append(urls, u+path)
	}
	return urls
}

func (s *service) consumer() secret.Consumer {
	return secret.Consumer{Name: s.name, Store: secret.Dotenv, Location: s.envFile(), Reload: s.reload(), Health: s.urls[0] + "/health", Workers: 1}
}

func (s *service) use() secret.Use {
	u := secret.Use{Consumer: s.name, Variable: variable, Role: s.role}
	if s.role == secret.Accepts || s.role == secret.Both {
		u.Previous = previous
		u.Proof.Request = &secret.SignedRequest{URLs: s.at("/hook"), Method: http.MethodPost, Body: webhook, Header: "X-Signature"}
	}
	if s.role != secret.Accepts {
		u.Proof.Challenge = &secret.Challenge{URLs: s.at("/proof")}
	}
	return u
}

// world is a secret in an environment of services, and a rotator.
type world struct {
	t        *testing.T
	services []*service
	cat      *secret.Catalogue
	guard    *secret.Guard
	cfg      rotate.Config
	rotator  *rotate.Rotator
	still    store.Fence
	ended    []string
	done     map[string]int // steps performed by until, by run
	now      time.Time
}

// newWorld has an accepting service api and a signing service web, unless told others.
func newWorld(t *testing.T, services ...*service) *world {
	t.Helper()
	if len(services) == 0 {
		services = []*service{
			newService(t, "api", secret.Accepts, 1, "# api\nDEBUG=0\n"+variable+"="+oldValue+"\nOTHER=kept\n"),
			newService(t, "web", secret.Signs, 1, "export "+variable+"=\""+oldValue+"\"\nPORT=3000\n"),
		}
	}
	w := &world{t: t, services: services, done: map[string]int{}, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	w.still = func(context.Context) error { return nil }
	key, err := secret.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.guard = secret.NewGuard(key)
	env, place := secret.Environment{Name: "production"}, secret.Place{Environment: "production"}
	for _, s := range services {
		env.Consumers = append(env.Consumers, s.consumer())
		place.Uses = append(place.Uses, s.use())
	}
	w.cat = &secret.Catalogue{Environments: []secret.Environment{env}, Secrets: []secret.Secret{{
		Name: variable, Procedure: secret.HMACOverlap, Generator: secret.Hex32, Overlap: time.Hour, Places: []secret.Place{place},
	}}}
	w.cfg = rotate.Config{
		Stores: map[string]store.Store{"dotenv": dotenv.New()}, Guard: w.guard, Key: key,
		Within: 400 * time.Millisecond, Pause: 10 * time.Millisecond, Now: func() time.Time { return w.now },
	}
	w.build()
	return w
}

func (w *world) build() {
	w.t.Helper()
	var err error
	if w.rotator, err = rotate.New(w.cfg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) service(name string) *service {
	w.t.Helper()
	i := slices.IndexFunc(w.services, func(s *service) bool { return s.name == name })
	if i < 0 {
		w.t.Fatalf("there is no service %s", name)
	}
	return w.services[i]
}

// subject is what a run of that id rotates.
func (w *world) subject(run string, mode commands.Mode) rotate.Subject {
	w.t.Helper()
	r := ledger.Run{ID: run, Kind: ledger.KindRotate, Secret: variable, Environment: "production", Mode: string(mode), Holder: "here", Fence: 1}
	s, err := rotate.NewSubject(w.cat, r, func(ctx context.Context) error { return w.still(ctx) })
	if err != nil {
		w.t.Fatal(err)
	}
	s.Ended = w.ended
	return s
}

// until performs the steps of a plan up to and with the one of that key, going on
// where it stopped for this run; "" is all.
func (w *world) until(s rotate.Subject, key string) {
	w.t.Helper()
	plan := rotate.Plan(s)
	for w.done[s.Run.ID] < len(plan) {
		step := plan[w.done[s.Run.ID]]
		step.Started = w.now
		if step.Kind == rotate.KindOverlap {
			w.now = w.now.Add(s.Secret.Overlap)
		}
		w.do(s, step)
		w.done[s.Run.ID]++
		if step.Key == key {
			return
		}
	}
	if key != "" {
		w.t.Fatalf("%s is no step to come", key)
	}
}

// before performs the steps that come before the one of that key.
func (w *world) before(s rotate.Subject, key string) {
	w.t.Helper()
	plan := rotate.Plan(s)
	i := slices.IndexFunc(plan, func(st ledger.Step) bool { return st.Key == key })
	if i < 1 {
		w.t.Fatalf("nothing comes before %s", key)
	}
	w.until(s, plan[i-1].Key)
}

func step(t *testing.T, s rotate.Subject, key string) ledger.Step {
	t.Helper()
	for _, st := range rotate.Plan(s) {
		if st.Key == key {
			return st
		}
	}
	t.Fatalf("the plan has no step %s", key)
	return ledger.Step{}
}

// do performs a step that must succeed.
func (w *world) do(s rotate.Subject, st ledger.Step) rotate.Result {
	w.t.Helper()
	res, err := w.rotator.Do(w.t.Context(), s, st)
	if err != nil {
		w.t.Fatalf("%s: %v", st.Key, err)
	}
	return res
}

// fails performs a step that must fail with a fault that says each of words.
func (w *world) fails(s rotate.Subject, st ledger.Step, words ...string) *rotate.Fault {
	w.t.Helper()
	_, err := w.rotator.Do(w.t.Context(), s, st)
	var fault *rotate.Fault
	if !errors.As(err, &fault) {
		w.t.Fatalf("%s: error %v, want a fault", st.Key, err)
	}
	for _, word := range words {
		if !strings.Contains(fault.Sentence, word) {
			w.t.Errorf("%s: the fault does not say %q: %s", st.Key, word, fault.Sentence)
		}
	}
	return fault
}

// escrow answers what is kept for a run, and whether anything is.
func (w *world) escrow(s rotate.Subject) (store.Escrow, bool) {
	w.t.Helper()
	for _, svc := range w.services {
		if svc.role == secret.Signs {
			continue
		}
		e, err := w.cfg.Stores["dotenv"].Withdraw(w.t.Context(), store.Ref{Location: svc.envFile(), Variable: variable, Previous: previous}, s.Run.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			w.t.Fatal(err)
		}
		return e, err == nil
	}
	return store.Escrow{}, false
}

// sight is all that a step could touch: names, inodes, times, bytes and reloads.
func (w *world) sight(reloads bool) string {
	w.t.Helper()
	var b strings.Builder
	for _, s := range w.services {
		files, err := os.ReadDir(s.dir)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), "live-") || f.Name() == "reloads" {
				continue
			}
			info, err := f.Info()
			if err != nil {
				w.t.Fatal(err)
			}
			raw, err := os.ReadFile(filepath.Join(s.dir, f.Name()))
			if err != nil {
				w.t.Fatal(err)
			}
			sum := sha256.Sum256(raw)
			fmt.Fprintf(&b, "%s/%s inode %d mode %v time %v sum %x\n", s.name, f.Name(), info.Sys().(*syscall.Stat_t).Ino, info.Mode(), info.ModTime(), sum[:6])
		}
		if reloads {
			fmt.Fprintf(&b, "%s reloaded %d times\n", s.name, s.reloads())
		}
	}
	return b.String()
}
