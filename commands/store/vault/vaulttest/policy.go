package vaulttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Policy says which capabilities ("create", "read", "update", "delete", "list", "deny")
// a token has on which paths. A path may end in * and hold + for one segment; as in a
// real policy the most specific path counts, and it alone.
type Policy map[string][]string

// on answers the capabilities on path.
func (p Policy) on(path string) []string {
	if caps, ok := p[path]; ok {
		return caps
	}
	best := ""
	for rule := range p {
		if matches(rule, path) && (best == "" || moreSpecific(rule, best)) {
			best = rule
		}
	}
	if best == "" || slices.Contains(p[best], "deny") {
		return []string{"deny"}
	}
	return p[best]
}

func matches(rule, path string) bool {
	prefix, open := strings.CutSuffix(rule, "*")
	if !strings.Contains(prefix, "+") {
		return open && strings.HasPrefix(path, prefix) || prefix == path
	}
	want, got := strings.Split(prefix, "/"), strings.Split(path, "/")
	if len(got) < len(want) || !open && len(got) != len(want) {
		return false
	}
	for i, part := range want {
		last := open && i == len(want)-1
		if part != "+" && part != got[i] && !(last && strings.HasPrefix(got[i], part)) {
			return false
		}
	}
	return true
}

// moreSpecific follows the documented order: a later first wildcard, then no * at the
// end, then fewer +, then longer.
func moreSpecific(a, b string) bool {
	if x, y := firstWild(a), firstWild(b); x != y {
		return x > y
	}
	if x, y := strings.HasSuffix(a, "*"), strings.HasSuffix(b, "*"); x != y {
		return y
	}
	if x, y := strings.Count(a, "+"), strings.Count(b, "+"); x != y {
		return x < y
	}
	return len(a) > len(b)
}

func firstWild(rule string) int {
	if i := strings.IndexAny(rule, "+*"); i >= 0 {
		return i
	}
	return len(rule)
}

// allows reports that the token may do q, which on what exists is an update and on what
// does not a creation.
func (g grant) allows(q request, exists bool) bool {
	if g.root {
		return true
	}
	path := q.path
	var need string
	switch q.method {
	case http.MethodGet:
		need = "read"
	case "LIST":
		path, need = strings.TrimSuffix(path, "/")+"/", "list"
	case http.MethodDelete:
		need = "delete"
	case http.MethodPatch:
		need = "patch"
	default:
		need = "create"
		if exists {
			need = "update"
		}
	}
	return slices.Contains(g.policy.on(path), need)
}

// capabilities answers sys/capabilities-self, which every token with the policy
// "default" may ask.
func (g grant) capabilities(body []byte) (int, any) {
	var asked struct {
		Paths []string `json:"paths"`
	}
	if json.Unmarshal(body, &asked) != nil || len(asked.Paths) == 0 {
		return http.StatusBadRequest, refusal("paths must be supplied")
	}
	if !g.root && slices.Contains(g.policy.on("sys/capabilities-self"), "deny") && len(g.policy["sys/capabilities-self"]) > 0 {
		return http.StatusForbidden, refusal(denied)
	}
	data := map[string]any{}
	for _, path := range asked.Paths {
		caps := []string{"root"}
		if !g.root {
			caps = g.policy.on(path)
		}
		data[path], data["capabilities"] = caps, caps
	}
	return http.StatusOK, wrapped(data)
}
