package secret_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	here := []secret.Place{{Environment: "production"}}
	cat := &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production"}, {Name: "staging"}},
		Secrets: []secret.Secret{
			{Name: "LOW", Risk: secret.Low, Places: here},
			{Name: "URL", Risk: secret.High, Places: here, After: []string{"KEY"}},
			{Name: "MID", Risk: secret.Medium, Places: here},
			{Name: "KEY", Risk: secret.Low, Places: here},
			{Name: "TOP", Risk: secret.High, Places: here},
			{Name: "ELSEWHERE", Risk: secret.High, Places: []secret.Place{{Environment: "staging"}}},
			{Name: "UNRATED", Places: here},
		},
		Groups: []secret.Group{{Name: "Web", Secrets: []string{"MID", "ELSEWHERE", "LOW", "URL", "KEY"}}},
	}
	for _, test := range []struct {
		group  string
		leaked bool
		want   []string
	}{
		{"all", true, []string{"KEY", "URL", "TOP", "UNRATED", "MID", "LOW"}},
		{"ALL", false, []string{"LOW", "KEY", "MID", "URL", "TOP", "UNRATED"}},
		{"Web", true, []string{"KEY", "URL", "MID", "LOW"}},
		{"web", false, []string{"LOW", "KEY", "MID", "URL"}},
	} {
		g, ok := cat.Group(test.group)
		if !ok {
			t.Fatalf("there is no group %s", test.group)
		}
		var got []string
		for _, s := range cat.Turns(g, "production", test.leaked) {
			got = append(got, s.Name)
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s, leaked %t (-want +got):\n%s", test.group, test.leaked, d)
		}
	}
	if _, ok := cat.Group("nothing"); ok {
		t.Error("a group was found that is not there")
	}
}
