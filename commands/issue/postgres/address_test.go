package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
)

// rewritten is what a run makes of a URL, and the role and password in it.
func rewritten(t interface{ Fatal(...any) }, u string) (text, role, password string, err error) {
	o := issue.Order{
		Run: "run-1", Secret: secret.Secret{Name: "DATABASE_URL"}, Environment: secret.Environment{Name: "production"},
		Place: secret.Place{Issuer: secret.Issuer{Postgres: &secret.PostgresIssuer{}}}, Old: secret.NewValue(u),
	}
	v, note, err := postgres.New(postgres.Config{}).Create(context.Background(), o)
	if err != nil {
		return "", "", "", err
	}
	role, _, ok := strings.Cut(strings.TrimPrefix(note, "The new URL is for the role "), ", database ")
	if !ok {
		t.Fatal("the note names no role: ", note)
	}
	text = v.Reveal()
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(":/?#&=@,[]", r) }) {
		if len(word) == 48 && !strings.Contains(word, "%") {
			password = word
		}
	}
	return text, role, password, nil
}

var reserved = rapid.StringOfN(rapid.RuneFrom([]rune(`aZ09-._~:/?#[]@!$&'()*+,;=% "\<>^{|}`+"`üß→")), 1, 20, -1)

// encoded writes s the way some program did: everything but letters and digits as %XX,
// in either case.
func encoded(t *rapid.T, s string) string {
	var b strings.Builder
	lower := rapid.Bool().Draw(t, "lower")
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case lower:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Whatever a URL looks like, only user and password change, and PostgreSQL's own Go
// driver reads the rest as before.
//
// Guide: procedures/database-url/set
func TestOnlyUserAndPasswordChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		user := reserved.Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "user")
		password := reserved.Draw(t, "password")
		hosts := rapid.SliceOfN(rapid.SampledFrom([]string{"db", "db.example.com:6432", "10.0.0.7", "[::1]", "[2001:db8::1]:5433", "h-2:1"}), 1, 3).Draw(t, "hosts")
		scheme := rapid.SampledFrom([]string{"postgres://", "postgresql://"}).Draw(t, "scheme")
		database := encoded(t, reserved.Draw(t, "database"))
		options := rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			"sslmode=disable", "application_name=a%20b", "options=-csearch_path%3Da%2Cb", "target_session_attrs=read-write", "connect_timeout=3", "search_path=%22x%22",
		}), rapid.ID[string]).Draw(t, "options")
		const u, p = "\x00u\x00", "\x00p\x00"
		template := scheme
		switch rapid.IntRange(0, 2).Draw(t, "where") {
		case 0:
			template += u + ":" + p + "@"
		case 1:
			template += u + "@"
			options = append(options, "password="+p)
		default:
			options = append(options, "user="+u, "password="+p)
		}
		options = rapid.Permutation(options).Draw(t, "order")
		template += strings.Join(hosts, ",") + "/" + database
		if len(options) > 0 {
			template += "?" + strings.Join(options, "&")
		}
		fill := func(user, password string) string { return strings.NewReplacer(u, user, p, password).Replace(template) }

		old := fill(encoded(t, user), encoded(t, password))
		got, role, made, err := rewritten(t, old)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if want := fill(strings.ReplaceAll(url.QueryEscape(role), "+", "%20"), made); strings.ReplaceAll(got, "~", "%7E") != strings.ReplaceAll(want, "~", "%7E") {
			t.Fatal("something else changed")
		}
		before, err := pgx.ParseConfig(old)
		if err != nil {
			t.Fatal("the driver does not read the old URL")
		}
		after, err := pgx.ParseConfig(got)
		if err != nil {
			t.Fatal("the driver does not read the new URL")
		}
		if before.User != user || before.Password != password || after.User != role || after.Password != made {
			t.Error("the driver reads another user or password")
		}
		ignore := cmp.Options{
			cmpopts.IgnoreFields(pgconn.Config{}, "User", "Password"), cmpopts.IgnoreUnexported(pgconn.Config{}),
			cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() != nil && p.Last().Type().Kind().String() == "func" }, cmp.Ignore()),
			cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "TLSConfig") }, cmp.Ignore()),
		}
		if diff := cmp.Diff(before.Config, after.Config, ignore); diff != "" {
			t.Errorf("the driver reads the rest differently: %s", diff)
		}
	})
}

// URLs as people and programs write them.
func TestURLs(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{
		"postgresql://app:secret@localhost:5432/shop":                 "postgresql://USER:PASS@localhost:5432/shop",
		"postgis://app:s@h/shop":                                      "postgis://USER:PASS@h/shop",
		"postgresql+psycopg2://app:s@h/shop":                          "postgresql+psycopg2://USER:PASS@h/shop",
		"postgres://app:p@ss@h/shop":                                  "postgres://USER:PASS@h/shop",
		"postgres://app:p?ss#x@h:1/shop?a=b":                          "postgres://USER:PASS@h:1/shop?a=b",
		"postgres://app:s@%2Frun%2Fpostgresql/shop":                   "postgres://USER:PASS@%2Frun%2Fpostgresql/shop",
		"postgres://app:s@/shop?host=/run/pg,/run/pg2&port=5432,5433": "postgres://USER:PASS@/shop?host=/run/pg,/run/pg2&port=5432,5433",
		"postgres:///shop?user=app&password=s&host=h":                 "postgres:///shop?user=USER&password=PASS&host=h",
		"postgres://app:s@h/shop?user=app":                            "postgres://USER:PASS@h/shop?user=USER",
		"postgres://app:s@h?dbname=shop":                              "postgres://USER:PASS@h?dbname=shop",
		"postgres://app:s@h/shop?%75ser=app":                          "postgres://USER:PASS@h/shop?%75ser=USER",
		"postgres://app:s@h:/shop?&&schema=public&":                   "postgres://USER:PASS@h:/shop?&&schema=public&",
		"postgres://app_rkabcdefgh:s@h/shop?conn_max_age=600":         "postgres://USER:PASS@h/shop?conn_max_age=600",
	} {
		got, role, password, err := rewritten(t, old)
		if err != nil {
			t.Errorf("%s: %v", old, err)
			continue
		}
		if !strings.HasPrefix(role, "app_rk") || len(role) != len("app_rk")+8 {
			t.Errorf("%s: the role is %s", old, role)
		}
		if got := strings.NewReplacer(role, "USER", password, "PASS").Replace(got); got != want {
			t.Errorf("%s becomes %s, want %s", old, got, want)
		}
	}
	for old, says := range map[string]string{
		"":                                    "not a postgres://",
		"mysql://app:Canary@h/shop":           "not a postgres://",
		"host=h user=app password=Canary":     "not a postgres://",
		"postgres://h/shop":                   "names no user",
		"postgres://:Canary@h/shop":           "names no user",
		"postgres://app@h/shop":               "no password",
		"postgres://app:@h/shop":              "no password",
		"postgres://app:Canary@h":             "names no database",
		"postgres://app:Canary@h/":            "names no database",
		"postgres://app:Canary%zz@h/shop":     "two hex digits",
		"postgres://app:Canary%0@h/shop":      "two hex digits",
		"postgres://app:Canary@h:port/shop":   "not a number",
		"postgres://app:Canary@[::1/shop":     "not a number",
		"postgres://app:12?Canary@h/shop":     "%3F",
		"postgres://app:Canary@h/shop#x":      "%23",
		"postgres://app:Canary@h/shop?user=b": "two different users",
		"postgres://a:Canary@h/d?password=b":  "two different passwords",
		"postgres://a:Canary@h/d?port=1,2":    "number of ports",
		"postgres://a:Canary@h/d?port=Canary": "not a number",
		"postgres://app:Canary/slash@h/shop":  "not a number",
		"postgres://app:Canary@h/shop?x=%4":   "two hex digits",
	} {
		_, _, _, err := rewritten(t, old)
		fault(t, err, says)
		if strings.Contains(err.Error(), "Canary") {
			t.Error("a value leaks")
		}
	}
}

// A name never grows past what PostgreSQL keeps of one, nor ends in half a letter.
func TestLongNames(t *testing.T) {
	t.Parallel()
	_, role, _, err := rewritten(t, "postgres://"+strings.Repeat("%C3%BC", 31)+":s@h/shop")
	must(t, err)
	if want := strings.Repeat("ü", 26) + "_rk"; !strings.HasPrefix(role, want) || len(role) != 63 {
		t.Errorf("the role is %s, of %d bytes", role, len(role))
	}
}

// PostgreSQL's own library connects with what rekey writes, however the server is named.
//
// Guide: procedures/database-url/set
func TestLibpqReadsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	psql := ledgertest.PostgresTool(t, "psql")
	userinfo := url.QueryEscape(w.app) + ":" + w.password + "@"
	socket := url.QueryEscape(w.dir)
	for _, u := range []string{
		"postgresql://" + userinfo + socket + "/" + w.name,
		"postgres://" + userinfo + socket + ":5432/" + w.name + "?connect_timeout=20",
		"postgres://" + userinfo + "/" + w.name + "?host=" + w.dir,
		"postgres://" + userinfo + "%2Fnowhere," + socket + "/" + w.name + "?target_session_attrs=read-write",
		"postgres:///" + w.name + "?host=" + socket + "&user=" + url.QueryEscape(w.app) + "&password=" + w.password,
	} {
		w.order.Old = secret.NewValue(u)
		i, o := w.begun()
		cmd := exec.CommandContext(t.Context(), psql, "-XAt", "-c", "SELECT session_user", o.New.Reveal())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), w.app+"_rk") {
			t.Errorf("%s: psql says %v", strings.ReplaceAll(u, w.password, "…"), err)
		}
		_, err = i.Rollback(t.Context(), o)
		must(t, err)
	}
}
