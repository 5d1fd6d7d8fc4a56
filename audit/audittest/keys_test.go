package audittest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	sentrygo "github.com/getsentry/sentry-go"

	"rekey/audit/audittest"
)

// ask makes one API call with the token and answers status and body.
func ask(t *testing.T, s *audittest.Sentry, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/api/0/projects/leather/leather-api/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// What each scope may do, as Sentry documents it for each endpoint.
func TestKeysNeedScopes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, path, body string
		want               map[string]int // by scope
	}{
		{"GET", "keys/", "", map[string]int{"project:read": 200, "project:write": 200, "project:admin": 200, "event:read": 403}},
		{"POST", "keys/", `{"name":"new"}`, map[string]int{"project:read": 403, "project:write": 201, "project:admin": 201}},
		{"GET", "keys/KEY/", "", map[string]int{"project:read": 200, "event:read": 403}},
		{"PUT", "keys/KEY/", `{"isActive":false}`, map[string]int{"project:read": 403, "project:write": 200, "project:admin": 200}},
		{"GET", "keys/KEY/stats/", "", map[string]int{"project:read": 200, "event:read": 403}},
		{"DELETE", "keys/KEY/", "", map[string]int{"project:read": 403, "project:write": 403, "project:admin": 204}},
		{"GET", "events/" + strings.Repeat("0a", 16) + "/", "", map[string]int{"project:admin": 403, "event:read": 404}},
	} {
		for scope, want := range tt.want {
			s := start(t)
			s.Grant(scope)
			if got, _ := ask(t, s, tt.method, strings.Replace(tt.path, "KEY", s.Keys()[0].Public, 1), tt.body); got != want {
				t.Errorf("%s %s with %s: %d, want %d", tt.method, tt.path, scope, got, want)
			}
		}
	}
}

func TestKeyRules(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Grant("project:admin")
	key := "keys/" + s.Keys()[0].Public + "/"
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"a name that is too long", "POST", "keys/", `{"name":"` + strings.Repeat("x", 65) + `"}`, 400},
		{"the longest name", "POST", "keys/", `{"name":"` + strings.Repeat("ü", 64) + `"}`, 201},
		{"no name", "POST", "keys/", `{}`, 201},
		{"no JSON", "POST", "keys/", `name=x`, 400},
		{"an unknown key", "PUT", "keys/" + strings.Repeat("0a", 16) + "/", `{}`, 404},
		{"a resolution that Sentry has not", "GET", key + "stats/?resolution=10s", "", 400},
		{"a start that is no number", "GET", key + "stats/?since=yesterday", "", 400},
		{"a start after the end", "GET", key + "stats/?since=10&until=5", "", 400},
		{"hours", "GET", key + "stats/?resolution=1h", "", 200},
	} {
		if got, text := ask(t, s, tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s: %d (%s), want %d", tt.name, got, text, tt.want)
		}
	}
}

// As in Sentry, a change that does not name the loader's version sets it back.
func TestAChangeSetsTheLoaderBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Grant("project:write")
	public := s.Keys()[0].Public
	s.ChangeKey(public, func(k *audittest.ClientKey) {
		k.Loader, k.Limit = "7.x", &audittest.KeyLimit{Window: 60, Count: 10}
	})
	if got, _ := ask(t, s, "PUT", "keys/"+public+"/", `{"isActive":false,"browserSdkVersion":"7.x"}`); got != 200 {
		t.Fatal(got)
	}
	if k := s.Keys()[0]; k.Active || k.Loader != "7.x" || k.Limit == nil {
		t.Errorf("%v %s %v: want it off and otherwise as it was", k.Active, k.Loader, k.Limit)
	}
	if got, _ := ask(t, s, "PUT", "keys/"+public+"/", `{"isActive":true,"rateLimit":null}`); got != 200 {
		t.Fatal(got)
	}
	if k := s.Keys()[0]; !k.Active || k.Loader == "7.x" || k.Limit != nil {
		t.Errorf("%v %s %v: want it on, with the default loader and no limit", k.Active, k.Loader, k.Limit)
	}
}

// send sends one message with the vendor's SDK.
func send(t *testing.T, dsn, message string) string {
	t.Helper()
	client, err := sentrygo.NewClient(sentrygo.ClientOptions{Dsn: dsn, Transport: sentrygo.NewHTTPSyncTransport()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	id := sentrygo.NewHub(client, sentrygo.NewScope()).CaptureMessage(message)
	if id == nil {
		t.Fatal("the SDK took no event")
	}
	return string(*id)
}

// An event is counted for its key, found by its id once it is through the queue, and
// part of an issue; one with a key that is off is none of these.
func TestEventsArrive(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Grant("event:read", "project:read")
	spare := s.AddKey("spare")
	s.DelayEvents(1)
	id := send(t, s.DSNOf(spare, true), "something happened")
	for _, want := range []int{404, 200} {
		if got, _ := ask(t, s, "GET", "events/"+id+"/", ""); got != want {
			t.Errorf("looking for the event: %d, want %d", got, want)
		}
	}
	count := func() (n int64) {
		since := strconv.FormatInt(time.Now().Add(-2*time.Hour).Unix(), 10)
		_, text := ask(t, s, "GET", "keys/"+spare.Public+"/stats/?resolution=1h&since="+since+"&until="+strconv.FormatInt(time.Now().Unix()+1, 10), "")
		var points []struct {
			Total int64 `json:"total"`
		}
		if err := json.Unmarshal([]byte(text), &points); err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			n += p.Total
		}
		return n
	}
	s.ChangeKey(spare.Public, func(k *audittest.ClientKey) { k.Active = false })
	off := send(t, s.DSNOf(spare, false), "something else happened")
	if got, _ := ask(t, s, "GET", "events/"+off+"/", ""); got != 404 {
		t.Errorf("an event with a key that is off: %d, want 404", got)
	}
	s.Lag(1)
	s.ChangeKey(spare.Public, func(k *audittest.ClientKey) { k.Active = true })
	send(t, s.DSNOf(spare, false), "while ingestion does not know yet")
	s.LimitIngestion(1, time.Minute)
	send(t, s.DSNOf(spare, false), "beyond the quota")
	if n := len(s.Envelopes()); n != 1 || count() != 1 {
		t.Errorf("%d envelopes and %d counted, want 1 and 1", n, count())
	}
}
