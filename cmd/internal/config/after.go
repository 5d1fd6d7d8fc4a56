package config

import (
	"fmt"
	"slices"
	"strings"

	"rekey/commands/secret"
)

// afters reads which secrets are rotated before which, once all of them are known.
// objects are the secrets' own, in the catalogue's order.
func (d *document) afters(objects []*object) {
	for i, o := range objects {
		s := &d.cat.Secrets[i]
		for _, item := range o.texts("after") {
			other, ok := d.cat.Secret(item.text)
			switch {
			case !ok || other.Name != item.text:
				d.nowhere(item.node, fmt.Sprintf("secret %s comes after one that does not exist: %s", s.Name, quoted(item.text)), item.text, d.cat.Names())
			case item.text == s.Name:
				d.fault(item.node, fmt.Sprintf("secret %s cannot come after itself", s.Name), "take it out")
			case slices.Contains(s.After, item.text):
				d.fault(item.node, fmt.Sprintf("secret %s names %s twice", s.Name, quoted(item.text)), "take one out")
			default:
				s.After = append(s.After, item.text)
			}
		}
		if found := circle(d.cat.Secrets, s.Name); found != "" {
			d.fault(o.blame("after"), "secrets come after each other in a circle: "+found, "take one after out, so that there is a first one")
			s.After = nil
		}
	}
}

// circle tells how after leads from name back to name, "" when it does not.
func circle(all []secret.Secret, name string) string {
	after := map[string][]string{}
	for _, s := range all {
		after[s.Name] = s.After
	}
	seen := map[string]bool{}
	var walk func(at string, way []string) string
	walk = func(at string, way []string) string {
		for _, next := range after[at] {
			if next == name {
				return strings.Join(append(way, name), " after ")
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if found := walk(next, append(way, next)); found != "" {
				return found
			}
		}
		return ""
	}
	return walk(name, []string{name})
}
