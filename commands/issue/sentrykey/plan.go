package sentrykey

import (
	"fmt"

	"rekey/commands/issue"
)

// Plan names the calls of a step. Keys are named by their place in the rotation: a
// client key's id is the public half of the DSN.
func (i *Issuer) Plan(o issue.Order, step issue.Step) []string {
	at := o.Environment.Sentry
	project := fmt.Sprintf("%s/api/0/projects/%s/%s/", at.URL, at.Organization, at.Project)
	keys := project + "keys/"
	find := fmt.Sprintf("GET %s to find client key %q", keys, nameOf(o.Run))
	look := func(which string) string { return fmt.Sprintf("GET %s<the %s key>/", keys, which) }
	change := func(which string, on bool) string {
		return fmt.Sprintf("PUT %s<the %s key>/ with isActive %t", keys, which, on)
	}
	switch step {
	case issue.Check:
		return []string{"GET " + at.URL + "/api/0/ to see the token's scopes", "GET " + project, look("old"), find}
	case issue.Create:
		return []string{look("old"), find, fmt.Sprintf("POST %s with name %q, unless it is there", keys, nameOf(o.Run))}
	case issue.Set:
		return []string{look("new"), change("new", true) + ", if it is off", find + "; others of that name are deleted"}
	case issue.Test:
		return []string{
			"one test event, titled as rekey's own, to the address in the DSN, by Sentry's SDK",
			"GET " + project + "events/<the event>/ until it is there",
		}
	case issue.Retire:
		return []string{look("new"), look("old"), change("old", false)}
	case issue.Revive:
		return []string{look("old"), change("old", true)}
	case issue.Finish:
		return []string{look("new"), look("old"), "DELETE " + keys + "<the old key>/"}
	case issue.Rollback:
		return []string{find, "DELETE " + keys + "<the new key>/"}
	}
	return nil
}
