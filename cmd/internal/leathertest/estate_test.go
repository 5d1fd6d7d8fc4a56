package leathertest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/cmd/internal/config"
	"rekey/cmd/internal/leathertest"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/dotenv"
	"rekey/commands/verify"
)

// One estate serves these tests, one after the other: it takes seconds to start.
//
// Guide: procedures/secret-key/clear-sessions, checklist/celery
func TestEstate(t *testing.T) {
	t.Parallel()
	e := start(t, leathertest.Config{})
	for _, part := range []struct {
		name string
		test func(*testing.T, *leathertest.Estate)
	}{
		{"serves", serves},
		{"its catalogue is taken", catalogueIsTaken},
		{"a webhook's secret changes under traffic", webhookChanges},
		{"a retired value trips the wire", retiredTrips},
		{"sessions and reset links survive a routine rotation", sessionsSurvive},
		{"sessions and reset links end with a compromised key", sessionsEnd},
		{"sessions are counted and ended", sessionsAreCounted},
		{"the worker comes back from a reload on the new value", celeryReloads},
		{"Sentry hears of failures", sentryHears},
		{"a service ends and comes back", serviceComesBack},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, e) }) {
			return // what follows would only fail of the same
		}
	}
}

func serves(t *testing.T, e *leathertest.Estate) {
	session, err := e.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	traffic := e.StartTraffic(t.Context(), leathertest.Load{Signed: 20, Pages: 5, Sessions: 5, Session: session})
	eventually(t, "40 requests were answered", func() bool { return traffic.Counts().Total().Accepted >= 40 })
	counts := traffic.Stop()
	for _, name := range []string{leathertest.Publish, leathertest.View, leathertest.Articles, leathertest.Account} {
		if c := counts[name]; c.Sent == 0 || c.Accepted != c.Sent || c.Lost() != 0 {
			t.Errorf("%s: %+v, want all accepted", name, c)
		}
	}
	status, err := e.CallSigned(t.Context(), "REVALIDATE_SECRET", verify.Wrong(), "203.0.113.66")
	if err != nil || status != 403 {
		t.Errorf("a made-up value was answered %d, %v, want 403", status, err)
	}
	eventually(t, "the security log names the address", func() bool {
		return strings.Contains(read(t, e.Log("security")), "Invalid signature from 203.0.113.66 on POST /api/revalidate/")
	})
	// gunicorn writes its line when the answer has gone out.
	eventually(t, "the access log names the clients behind the proxy", func() bool {
		access := read(t, e.Log("access"))
		return strings.Contains(access, "10.0.0.") && strings.Contains(access, "203.0.113.66")
	})
	if django := read(t, e.Log("django")); !strings.Contains(django, "Forbidden: /api/revalidate/") {
		t.Error("django.log has no line of django.request")
	}
}

func catalogueIsTaken(t *testing.T, e *leathertest.Estate) {
	file := filepath.Join(e.Dir(), "rekey.yaml")
	if err := os.WriteFile(file, []byte(e.Catalogue(leathertest.Extra{Top: "slack: {channel: C012AB3CD}\naccess: {responders: [U012AB3CD], cli: [root]}"})), 0o600); err != nil {
		t.Fatal(err)
	}
	catalogue, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(catalogue.Catalogue.Secrets) != len(leathertest.Secrets) {
		t.Errorf("it has %d secrets, want %d", len(catalogue.Catalogue.Secrets), len(leathertest.Secrets))
	}
}

// The right order: accept both everywhere, then sign with the new one, then drop the
// old one; each step after every worker was asked.
func webhookChanges(t *testing.T, e *leathertest.Estate) {
	const name = "REVALIDATE_SECRET"
	before, after := e.Values()[name], fresh(t, secret.Hex32)
	django, web := e.URL(leathertest.Django)+"/rekey/proof/"+name, e.URL(leathertest.Web)+"/rekey/proof/"+name
	traffic := e.Traffic(t.Context(), 20)

	set(t, e, leathertest.Django, name, after, before)
	hup(t, e, leathertest.Django)
	proven(t, django, after, 3)
	set(t, e, leathertest.Web, name, after, secret.Value{})
	hup(t, e, leathertest.Web)
	proven(t, web, after, 2)
	set(t, e, leathertest.Django, name, after, secret.Value{})
	hup(t, e, leathertest.Django)
	request := secret.SignedRequest{Method: "POST", Header: "X-Signature", ContentType: "application/json", Body: `{"slugs":["test"]}`}
	refused := verify.Agree(t.Context(), []verify.Prober{verify.NewSignedRequest(request, e.URL(leathertest.Django)+"/api/revalidate/", nil)},
		[]verify.Expectation{{Label: "new", Value: after, Want: verify.Accepted}, {Label: "old", Value: before, Want: verify.Refused}},
		verify.Options{Consumer: "django", Workers: 3, Within: time.Minute})
	if refused.Outcome != verify.Passed {
		t.Errorf("the old value is not refused everywhere: %s", refused.Detail)
	}

	counts := traffic.Stop()
	if all := counts.Total(); all.Lost() != 0 || all.Sent < 20 {
		t.Errorf("honest traffic met with %+v", counts)
	}
	if log := read(t, e.Log("rekey")); !strings.Contains(log, "verified_with=previous variable=REVALIDATE_SECRET client=10.0.0.") {
		t.Error("rekey.log does not say who still signed with the previous value")
	} else if strings.Contains(log, before.Reveal()) || strings.Contains(log, after.Reveal()) {
		t.Error("rekey.log holds a value")
	}
}

func retiredTrips(t *testing.T, e *leathertest.Estate) {
	before := e.Values()["REVALIDATE_SECRET"]
	const attacker = "203.0.113.99"
	eventually(t, "the use of the retired value is in the log", func() bool {
		status, err := e.CallSigned(t.Context(), "REVALIDATE_SECRET", before, attacker)
		if err != nil || status != 403 {
			t.Fatalf("the retired value was answered %d, %v, want 403", status, err)
		}
		return strings.Contains(read(t, e.Log("rekey")), "retired secret used: variable=REVALIDATE_SECRET client="+attacker+" POST /api/revalidate/")
	})
	if _, err := e.CallSigned(t.Context(), "REVALIDATE_SECRET", verify.Wrong(), "203.0.113.98"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(read(t, e.Log("rekey")), "203.0.113.98") {
		t.Error("a made-up value tripped the wire")
	}
	wire := filepath.Join(e.Dir(), "run", "tripwire.json")
	if info, err := os.Stat(wire); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the tripwire's file: %v, %v, want mode 0600", info, err)
	}
	if strings.Contains(read(t, wire), before.Reveal()) {
		t.Error("the tripwire's file holds the value")
	}
}

// keyProof is where Django says whether it takes a signature of its own making.
func keyProof(e *leathertest.Estate) string {
	return e.URL(leathertest.Django) + "/rekey/proof/SECRET_KEY"
}

func sessionsSurvive(t *testing.T, e *leathertest.Estate) {
	session, err := e.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := session.AskReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	link := resetLink(t, e)
	traffic := e.StartTraffic(t.Context(), leathertest.Load{Sessions: 10, Session: session})
	before, after := e.Values()["SECRET_KEY"], fresh(t, secret.Django)
	// No process may sign with a key that another one does not know yet.
	for _, stage := range []struct{ current, previous secret.Value }{{before, after}, {after, before}} {
		set(t, e, leathertest.Django, "SECRET_KEY", stage.current, stage.previous)
		hup(t, e, leathertest.Django)
		proven(t, keyProof(e), stage.current, 3)
	}
	if alive, err := session.Alive(t.Context()); err != nil || !alive {
		t.Fatalf("with the old key as a fallback the session is alive: %v, %v", alive, err)
	}
	if taken, err := session.Follow(t.Context(), link); err != nil || !taken {
		t.Errorf("with the old key as a fallback the reset link is taken: %v, %v", taken, err)
	}
	if c := traffic.Stop()[leathertest.Account]; c.Lost() != 0 || c.Sent == 0 {
		t.Errorf("somebody who was logged in met with %+v", c)
	}
	// Having been seen during the overlap, the session outlives it.
	set(t, e, leathertest.Django, "SECRET_KEY", after, secret.Value{})
	hup(t, e, leathertest.Django)
	oldKeyGone(t, e, after, before)
	if alive, err := session.Alive(t.Context()); err != nil || !alive {
		t.Errorf("after the overlap the session is alive: %v, %v", alive, err)
	}
}

func sessionsEnd(t *testing.T, e *leathertest.Estate) {
	session, err := e.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := session.AskReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	link := resetLink(t, e)
	stolen, after := current(t, e, "SECRET_KEY"), fresh(t, secret.Django)
	set(t, e, leathertest.Django, "SECRET_KEY", after, secret.Value{})
	hup(t, e, leathertest.Django)
	oldKeyGone(t, e, after, stolen)
	if alive, err := session.Alive(t.Context()); err != nil || alive {
		t.Errorf("a session of the stolen key is alive: %v, %v", alive, err)
	}
	if taken, err := session.Follow(t.Context(), link); err != nil || taken {
		t.Errorf("a reset link of the stolen key is taken: %v, %v", taken, err)
	}
}

func sessionsAreCounted(t *testing.T, e *leathertest.Estate) {
	count := func(verb string) map[string]int {
		t.Helper()
		out, err := e.RunManage(t.Context(), "", "rekey_sessions", verb)
		if err != nil {
			t.Fatal(err)
		}
		var said map[string]int
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("it printed %q: %v", out, err)
		}
		return said
	}
	session, err := e.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := session.AskReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	link := resetLink(t, e)
	if said := count("--count"); said["sessions"] < 1 || said["password reset links"] != 1 {
		t.Errorf("--count says %v, want sessions and one link", said)
	}
	if _, err := e.RunManage(t.Context(), "", "rekey_sessions", "--tidy"); err != nil {
		t.Error(err)
	}
	if alive, err := session.Alive(t.Context()); err != nil || !alive {
		t.Fatalf("after --tidy the session is alive: %v, %v", alive, err)
	}
	if said := count("--end"); said["sessions"] < 1 {
		t.Errorf("--end says %v", said)
	}
	if alive, err := session.Alive(t.Context()); err != nil || alive {
		t.Errorf("after --end the session is alive: %v, %v", alive, err)
	}
	if taken, err := session.Follow(t.Context(), link); err != nil || taken {
		t.Errorf("after --end the reset link is taken: %v, %v", taken, err)
	}
	if said := count("--count"); said["sessions"] != 0 || said["password reset links"] != 0 {
		t.Errorf("after --end --count says %v", said)
	}
}

func celeryReloads(t *testing.T, e *leathertest.Estate) {
	before, after := e.Values()["EMAIL_HOST_PASSWORD"], fresh(t, secret.Hex32)
	ask := verify.NewCommand(e.Manage("rekey_celery_proof", "--variable", "EMAIL_HOST_PASSWORD"), time.Minute)
	if try := ask.Try(t.Context(), before); try.Answer != verify.Accepted || try.Worker == "" {
		t.Fatalf("the worker proves its value: %+v", try)
	}
	e.Mail.Add(leathertest.MailUser, after)
	set(t, e, leathertest.Celery, "EMAIL_HOST_PASSWORD", after, secret.Value{})
	hup(t, e, leathertest.Celery)
	eventually(t, "the worker runs on the new value", func() bool { return ask.Try(t.Context(), after).Answer == verify.Accepted })
	e.Mail.Revoke(leathertest.MailUser, before, true)
	mails := len(e.Mail.Messages())
	if err := e.Subscribe(t.Context(), "reader@example.com"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the welcome mail came", func() bool { return len(e.Mail.Messages()) > mails })
	if !e.Running(leathertest.Celery) {
		t.Error("the worker ended with the reload")
	}
}

func sentryHears(t *testing.T, e *leathertest.Estate) {
	if err := e.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Debian's SDK still posts to the older of the two addresses.
	eventually(t, "Sentry was told", func() bool {
		return slices.ContainsFunc(e.Sentry.Requests(), func(r string) bool {
			return strings.Contains(r, "/store/") || strings.Contains(r, "/envelope/")
		})
	})
	for _, said := range e.Sentry.Traffic() {
		for name, v := range e.Values() {
			if name != "SENTRY_DSN" && bytes.Contains(said, []byte(v.Reveal())) {
				t.Errorf("what Sentry was told holds %s", name)
			}
		}
	}
}

func serviceComesBack(t *testing.T, e *leathertest.Estate) {
	if err := e.Restart(t.Context(), leathertest.Django); err != nil {
		t.Fatal(err)
	}
	status, err := e.CallSigned(t.Context(), "REVALIDATE_SECRET", current(t, e, "REVALIDATE_SECRET"), "10.0.0.5")
	if err != nil || status != 200 {
		t.Errorf("after the restart: %d, %v", status, err)
	}
}

// The traps: both reloads report success and change nothing, or too much.
//
// Guide: procedures/revalidate-secret/deploy
func TestTrapsAreReal(t *testing.T) {
	t.Parallel()
	e := start(t, leathertest.Config{Preload: true, CeleryModule: true, SessionEngine: "django.contrib.sessions.backends.signed_cookies"})
	after := fresh(t, secret.Hex32)
	set(t, e, leathertest.Django, "REVALIDATE_SECRET", after, e.Values()["REVALIDATE_SECRET"])
	hup(t, e, leathertest.Django)
	address := e.URL(leathertest.Django) + "/rekey/proof/REVALIDATE_SECRET"
	found := verify.Agree(t.Context(), []verify.Prober{verify.NewChallenge(address, nil)},
		[]verify.Expectation{{Label: "new", Value: after, Want: verify.Accepted}}, verify.Options{Consumer: "django", Workers: 3, Within: 5 * time.Second})
	if found.Outcome == verify.Passed {
		t.Error("with preload_app a reload changed the value, and facts say it does not")
	}
	hup(t, e, leathertest.Celery)
	eventually(t, "a worker started as a module ended", func() bool { return !e.Running(leathertest.Celery) })

	// Cookies hold these sessions, so nobody can list them.
	if _, err := e.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := e.RunManage(t.Context(), "", "rekey_sessions", "--count")
	if err != nil || strings.TrimSpace(out) != `{"users with a session, at most": 1, "password reset links": 0}` {
		t.Errorf("--count printed %q, %v", out, err)
	}
}

func proven(t *testing.T, address string, v secret.Value, workers int) {
	t.Helper()
	if r := agree(t, address, v, workers); r.Outcome != verify.Passed {
		t.Fatalf("not every worker runs on the new value: %s", r.Detail)
	}
}

// oldKeyGone waits until every worker refuses what the old key signed.
func oldKeyGone(t *testing.T, e *leathertest.Estate, current, old secret.Value) {
	t.Helper()
	request := secret.SignedRequest{Method: "POST", Header: "X-Signature", ContentType: "text/plain", Body: "rekey", Scheme: secret.DjangoSigning}
	r := verify.Agree(t.Context(), []verify.Prober{verify.NewSignedRequest(request, e.URL(leathertest.Django)+"/rekey/django", nil)},
		[]verify.Expectation{{Label: "new", Value: current, Want: verify.Accepted}, {Label: "old", Value: old, Want: verify.Refused}},
		verify.Options{Consumer: "django", Workers: 3, Within: time.Minute})
	if r.Outcome != verify.Passed {
		t.Fatalf("the old key still verifies: %s", r.Detail)
	}
}

func current(t *testing.T, e *leathertest.Estate, variable string) secret.Value {
	t.Helper()
	at, err := dotenv.New().Read(t.Context(), store.Ref{Location: e.EnvFile(leathertest.Django), Variable: variable})
	if err != nil {
		t.Fatal(err)
	}
	return at.Current
}

// resetLink waits for the newest reset link's mail.
func resetLink(t *testing.T, e *leathertest.Estate) string {
	t.Helper()
	var link string
	eventually(t, "the reset link came by mail", func() bool {
		messages := e.Mail.Messages()
		if len(messages) == 0 {
			return false
		}
		for _, line := range strings.Fields(messages[len(messages)-1].Body()) {
			if strings.HasPrefix(line, "http") {
				link = line
			}
		}
		return link != ""
	})
	return link
}
