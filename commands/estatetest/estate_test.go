package estatetest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

func TestMain(m *testing.M) {
	estatetest.Main()
	os.Exit(m.Run())
}

func start(t *testing.T, cfg estatetest.Config) *estatetest.Estate {
	t.Helper()
	cfg.Dir = t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	e, err := estatetest.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func quick() estatetest.Config {
	return estatetest.Config{SpreadFrom: time.Millisecond, SpreadTo: 20 * time.Millisecond}
}

func mac(key, message string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return hex.EncodeToString(m.Sum(nil))
}

// post answers the status and the worker.
func post(t *testing.T, url, body string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("X-Rekey-Worker")
}

// runsOn answers what share of workers says that value is theirs.
func runsOn(t *testing.T, e *estatetest.Estate, service, variable string, value secret.Value) (yes, no int) {
	t.Helper()
	seen := map[string]bool{}
	for range 60 {
		res, err := http.Get(e.URL(service) + "/rekey/proof?variable=" + variable + "&nonce=n1")
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Proof, Worker string }
		err = json.NewDecoder(res.Body).Decode(&said)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		seen[said.Worker] = said.Proof == mac(value.Reveal(), "rekey-proof-v1\nn1")
	}
	for _, ok := range seen {
		if ok {
			yes++
		} else {
			no++
		}
	}
	return yes, no
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within 20 s: %s", what)
		}
	}
}

// exchange replaces a value in a .env file, wherever it stands.
func exchange(t *testing.T, e *estatetest.Estate, service string, old, fresh string) {
	t.Helper()
	text, err := os.ReadFile(e.EnvFile(service))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("the .env file of %s does not hold the value to be exchanged", service)
	}
	if err := os.WriteFile(e.EnvFile(service), bytes.ReplaceAll(text, []byte(old), []byte(fresh)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func reload(t *testing.T, e *estatetest.Estate, service string) {
	t.Helper()
	argv := e.Reload(service)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{} // as little as rekey gives
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("reloading %s: %v: %s", service, err, out)
	}
}

func TestSignaturesAreChecked(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	key := e.Values()["REVALIDATE_SECRET"].Reveal()
	url, body := e.URL(estatetest.API)+"/api/revalidate/", `{"slugs":["test"]}`
	from := map[string]string{"X-Forwarded-For": "198.51.100.9, 203.0.113.7", "User-Agent": `say "403"`}
	for _, c := range []struct {
		signature string
		want      int
	}{{mac(key, body), 200}, {mac("wrong", body), 403}, {"", 401}, {strings.ToUpper(mac(key, body)), 403}} {
		delete(from, "X-Signature")
		if c.signature != "" {
			from["X-Signature"] = c.signature
		}
		if got, worker := post(t, url, body, from); got != c.want || !strings.HasPrefix(worker, "api-") {
			t.Errorf("got %d from worker %q, want %d", got, worker, c.want)
		}
	}
	if got, _ := post(t, e.URL(estatetest.API)+"/api/401/", "", nil); got != 404 {
		t.Errorf("an unknown path answers %d", got)
	}
	for _, path := range []string{"/publish", "/view"} {
		if got, worker := post(t, e.URL(estatetest.Web)+path, "", nil); got != 200 || !strings.HasPrefix(worker, "web-") {
			t.Errorf("%s answers %d from %q", path, got, worker)
		}
	}
	for name, want := range map[string][]string{
		"security": {"views_seo Invalid signature from 203.0.113.7 on POST /api/revalidate/\n"},
		"django":   {" Unauthorized: /api/revalidate/\n", " Forbidden: /api/revalidate/\n", " Not Found: /api/401/\n"},
		"access":   {"203.0.113.7 - - [", `] "POST /api/revalidate/ HTTP/1.1" 403 29 "-" "say \"403\""`, `" 401 `, `"POST /api/track-view/ HTTP/1.1" 200 `},
	} {
		// A line is written after its answer was sent.
		eventually(t, name+".log has its lines", func() bool {
			text, _ := os.ReadFile(e.Log(name))
			for _, w := range want {
				if !strings.Contains(string(text), w) {
					return false
				}
			}
			return true
		})
	}
}

func TestReloadIsStaggeredAndComplete(t *testing.T) {
	t.Parallel()
	e := start(t, estatetest.Config{SpreadFrom: 100 * time.Millisecond, SpreadTo: 2 * time.Second})
	old := e.Values()["REVALIDATE_SECRET"]
	fresh := secret.NewValue("a-fresh-value")
	if yes, no := runsOn(t, e, estatetest.API, "REVALIDATE_SECRET", old); yes != 4 || no != 0 {
		t.Fatalf("%d workers run on the first value and %d do not", yes, no)
	}
	exchange(t, e, estatetest.API, old.Reveal(), fresh.Reveal())
	reload(t, e, estatetest.API)
	mixed := false
	eventually(t, "all workers run on the new value", func() bool {
		yes, no := runsOn(t, e, estatetest.API, "REVALIDATE_SECRET", fresh)
		mixed = mixed || yes > 0 && no > 0
		return yes == 4 && no == 0
	})
	if !mixed {
		t.Error("all workers changed at once; real ones do not")
	}
	if v, err := e.InFile(estatetest.API, "REVALIDATE_SECRET"); err != nil || !v.Equal(fresh) {
		t.Errorf("the file is read as something else (%v)", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	first := e.Values()["REVALIDATE_SECRET"]
	fault := func(service string, f estatetest.Faults) {
		if err := e.SetFaults(service, f); err != nil {
			t.Fatal(err)
		}
	}
	revalidate := func() int {
		got, _ := post(t, e.URL(estatetest.API)+"/api/revalidate/", "{}", nil)
		return got
	}
	fault(estatetest.API, estatetest.Faults{AcceptAnything: true})
	if got := revalidate(); got != 200 {
		t.Errorf("a service that accepts anything answers %d", got)
	}
	fault(estatetest.API, estatetest.Faults{Answer500: true})
	if got := revalidate(); got != 500 {
		t.Errorf("a service with a fault answers %d", got)
	}
	fault(estatetest.API, estatetest.Faults{StuckWorker: 2})
	exchange(t, e, estatetest.API, first.Reveal(), "second")
	reload(t, e, estatetest.API)
	eventually(t, "all workers but one run on the second value", func() bool {
		yes, no := runsOn(t, e, estatetest.API, "REVALIDATE_SECRET", secret.NewValue("second"))
		return yes == 3 && no == 1
	})
	fault(estatetest.Web, estatetest.Faults{IgnoreReload: true})
	exchange(t, e, estatetest.Web, first.Reveal(), "second")
	reload(t, e, estatetest.Web)
	time.Sleep(100 * time.Millisecond) // nothing is to happen; longer would only be surer
	if yes, no := runsOn(t, e, estatetest.Web, "REVALIDATE_SECRET", first); yes != 2 || no != 0 {
		t.Errorf("%d workers ignored the reload and %d did not", yes, no)
	}
	fault(estatetest.Web, estatetest.Faults{})
	reload(t, e, estatetest.Web)
	eventually(t, "web has reloaded", func() bool {
		yes, no := runsOn(t, e, estatetest.Web, "REVALIDATE_SECRET", secret.NewValue("second"))
		return yes == 2 && no == 0
	})
	fault(estatetest.Web, estatetest.Faults{DieOnReload: true})
	reload(t, e, estatetest.Web)
	eventually(t, "web is gone", func() bool {
		res, err := http.Get(e.URL(estatetest.Web) + "/api/healthcheck/")
		return err != nil || res.Body.Close() != nil
	})
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	before := e.URL(estatetest.API)
	if err := e.Kill(estatetest.API); err != nil {
		t.Fatal(err)
	}
	if res, err := http.Get(before + "/api/healthcheck/"); err == nil {
		_ = res.Body.Close()
		t.Fatal("a killed service answers")
	}
	argv := e.Reload(estatetest.API)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err == nil || !strings.Contains(string(out), "api is not running") {
		t.Errorf("reloading a killed service: %v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 { // once from death, once gracefully
		if err := e.Restart(ctx, estatetest.API); err != nil {
			t.Fatal(err)
		}
		if e.URL(estatetest.API) != before {
			t.Error("the address changed")
		}
		if got, _ := post(t, e.URL(estatetest.Web)+"/publish", "", nil); got != 200 {
			t.Errorf("publishing answers %d after a restart", got)
		}
	}
}

func TestHiddenWorkers(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.HideWorkers = true
	e := start(t, cfg)
	res, err := http.Get(e.URL(estatetest.Web) + "/rekey/proof?variable=REVALIDATE_SECRET&nonce=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || bytes.Contains(body, []byte("worker")) || res.Header.Get("X-Rekey-Worker") != "" {
		t.Errorf("the worker shows: %s, %v (%v)", body, res.Header, err)
	}
}

func TestTrafficIsCounted(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	traffic := e.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 100, Attack: 50, Probe: 50})
	eventually(t, "everybody has met with answers", func() bool {
		c := traffic.Counts()
		return c.Honest.Accepted > 10 && c.Attacker.Accepted > 5 && c.Prober.Refused[401] > 2 && c.Prober.Refused[403] > 2
	})
	if c := traffic.Counts().Attacker; c.Refusals() != 0 || c.LastAccepted.IsZero() {
		t.Errorf("the thief is refused before anything was done: %+v", c)
	}
	old := e.Values()["REVALIDATE_SECRET"].Reveal()
	exchange(t, e, estatetest.API, old, "another")
	reload(t, e, estatetest.API)
	eventually(t, "the thief and the editors are refused", func() bool {
		c := traffic.Counts()
		return c.Attacker.Refused[403] > 5 && c.Honest.Refused[403] > 5
	})
	c := traffic.Stop()
	for _, k := range []estatetest.Count{c.Honest, c.Attacker, c.Prober} {
		if k.Sent != k.Accepted+k.Refusals()+k.Errors || k.Errors != 0 {
			t.Errorf("the figures do not add up: %+v", k)
		}
	}
	planted := c.Attacker.Refused[403] + c.Honest.Refused[403] + c.Prober.Refused[403]
	eventually(t, "every refused signature is in security.log", func() bool {
		text, _ := os.ReadFile(e.Log("security"))
		return strings.Count(string(text), "Invalid signature") == planted
	})
}

func TestLoaderReadsAsPythonDoes(t *testing.T) {
	t.Parallel()
	e := start(t, quick())
	text := "A=1\nexport B = two # c\nC='x # y' # c\nD=\"a\nREVALIDATE_SECRET=no\n\"\nE=\"q\\\"\\n\"\nREVALIDATE_SECRET=a\nREVALIDATE_SECRET = 'b'\r\nF=a#b"
	if err := os.WriteFile(e.EnvFile(estatetest.API), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"A": "1", "B": "two", "C": "x # y", "D": "a\nREVALIDATE_SECRET=no\n", "E": "q\"\n", "REVALIDATE_SECRET": "b", "F": "a#b", "G": "",
	} {
		if got, err := e.InFile(estatetest.API, name); err != nil || got.Reveal() != want {
			t.Errorf("%s is read as %q (%v), want %q", name, got.Reveal(), err, want)
		}
	}
}
