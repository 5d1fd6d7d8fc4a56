package loki

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/audittest/lokitest"
	"rekey/audit/logs"
)

func TestCheckSelector(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`{app="leather-api"}`:                true,
		`{app="leather-api", env=~"prod.*"}`: true,
		"{app=~`a\"b`,x!=\"\"}":              true,
		`{ app = "quoted \" brace }" }`:      true,
		`{app=~"^a\\d+$"}`:                   true,
		``:                                   false,
		`{}`:                                 false,
		`app="x"`:                            false,
		`{app="x"`:                           false,
		`{app="x"} |= "y"`:                   false,
		`{app="x"} or {app="y"}`:             false,
		`{app="x",}`:                         false,
		`{app='x'}`:                          false,
		`{app="x" env="y"}`:                  false,
		`{app=~"("}`:                         false,
		`{app="\q"}`:                         false,
		`{app=~".*"}`:                        false,
		`{app!="x"}`:                         false,
		`{app=""}`:                           false,
		`count_over_time({app="x"}[5m])`:     false,
		"{app=\"x\"}\n# comment":             false,
	} {
		if err := CheckSelector(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzSelector: what passes the check is a selector and nothing more, so that the filters
// behind it are the ones written here, whatever quotes, braces and backticks it holds.
func FuzzSelector(f *testing.F) {
	f.Add(`{app="leather-api"}`, "/api/revalidate/")
	f.Add("{a=~`}|=\"`,b=\"\\\"} |= `x\"}", "/a`b\"c\\d")
	f.Add(`{a="\x7d\u007d"}`, "/a\x00")
	f.Fuzz(func(t *testing.T, text, path string) {
		if CheckSelector(text) != nil {
			return
		}
		q := logs.Query{Endpoints: []logs.Endpoint{{Path: path}}}
		got, err := lokitest.Filters(text + lineFilters(logs.Access, q))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(logs.Prefilter(logs.Access, q), got); diff != "" {
			t.Errorf("%q changed the filters: %s", text, diff)
		}
	})
}

// FuzzQuoted: any text is one string of LogQL.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "`", `"`, `\`, "\n", "\xff", "é", `" |= "`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := lokitest.Filters(`{a="b"} |= ` + quoted(s) + ` |= "end"`)
		if err != nil || len(got) != 2 || got[0] != s || got[1] != "end" {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	})
}
