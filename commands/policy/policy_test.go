package policy

import (
	"strings"
	"testing"

	"rekey/commands"
	"rekey/commands/secret"
)

func catalogue() *secret.Catalogue {
	return &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production"}, {Name: "staging"}},
		Secrets: []secret.Secret{
			{Name: "REVALIDATE_SECRET", Procedure: secret.HMACOverlap, Places: []secret.Place{{Environment: "production"}, {Environment: "staging"}}},
			{Name: "ANALYTICS_SECRET", Procedure: secret.HMACOverlap, Automatic: true, Places: []secret.Place{{Environment: "production"}}},
			{
				Name: "DATABASE_URL", Procedure: secret.Manual, Owner: "DBA", Instructions: "Create a second user.",
				Places: []secret.Place{{Environment: "production"}},
			},
		},
		Access: secret.Access{
			Responders: []string{"URESP"}, Readers: []string{"UREAD"}, Channels: []string{"CALERTS", "COTHER"}, CLI: []string{"root"},
		},
		Contacts: []secret.Contact{{Name: "DevOps", Slack: "#devops-alerts"}},
	}
}

func slack(id string) commands.Actor { return commands.Actor{Via: "slack", ID: id, Channel: "CALERTS"} }

// Guide: support/slack
func TestDecide(t *testing.T) {
	t.Parallel()
	rotate := func(a commands.Actor, name string) commands.Request {
		return commands.Request{Actor: a, Verb: commands.Rotate, Secret: name, Mode: commands.Compromised}
	}
	audit := func(a commands.Actor, name string) commands.Request {
		return commands.Request{Actor: a, Verb: commands.Audit, Secret: name}
	}
	with := func(r commands.Request, change func(*commands.Request)) commands.Request { change(&r); return r }
	resp, read, stranger := slack("URESP"), slack("UREAD"), slack("UEVIL")
	cli := commands.Actor{Via: "cli", ID: "root"}
	in := func(a commands.Actor, channel string) commands.Actor { a.Channel = channel; return a }

	for _, test := range []struct {
		name   string
		req    commands.Request
		code   Code
		usable bool
		says   string // part of the reason
	}{
		{"a responder rotates", rotate(resp, "REVALIDATE_SECRET"), Allowed, true, ""},
		{"in any case of letters", rotate(resp, "revalidate_secret"), Allowed, true, ""},
		{"a responder audits", audit(resp, "REVALIDATE_SECRET"), Allowed, true, ""},
		{"a responder rotates elsewhere", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Environment = "Staging" }), Allowed, true, ""},
		{"the command line rotates", rotate(cli, "REVALIDATE_SECRET"), Allowed, true, ""},
		{"the command line knows no channel", rotate(in(cli, "CNONE"), "REVALIDATE_SECRET"), Allowed, true, ""},
		{"a reader audits", audit(read, "REVALIDATE_SECRET"), Allowed, true, ""},
		{"a reader audits what people rotate", audit(read, "DATABASE_URL"), Allowed, true, ""},
		{"a reader lists", commands.Request{Actor: read, Verb: commands.List}, Allowed, true, ""},
		{"a reader asks for the digest", commands.Request{Actor: read, Verb: commands.Digest}, Allowed, true, ""},
		{"a stranger asks for the digest", commands.Request{Actor: stranger, Verb: commands.Digest}, Stranger, false, ""},
		{"a reader asks for status", commands.Request{Actor: read, Verb: commands.Status}, Allowed, true, ""},
		{"anybody asks for help", commands.Request{Actor: in(stranger, "CNONE"), Verb: commands.Help}, Allowed, true, ""},

		{"a reader rotates", rotate(read, "REVALIDATE_SECRET"), ReadOnly, false, "but not rotate them"},
		{"a stranger rotates", rotate(stranger, "REVALIDATE_SECRET"), Stranger, false, "#devops-alerts"},
		{"a stranger lists", commands.Request{Actor: stranger, Verb: commands.List}, Stranger, false, ""},
		{"a stranger asks for status", commands.Request{Actor: stranger, Verb: commands.Status}, Stranger, false, ""},
		{"nobody", rotate(commands.Actor{Via: "slack", Channel: "CALERTS"}, "REVALIDATE_SECRET"), Stranger, false, ""},
		{"a Slack id on the command line", rotate(commands.Actor{Via: "cli", ID: "URESP"}, "REVALIDATE_SECRET"), Stranger, false, "access: cli"},
		{"a system user in Slack", rotate(slack("root"), "REVALIDATE_SECRET"), Stranger, false, ""},
		{"a name that poses as an id", rotate(commands.Actor{Via: "slack", ID: "UEVIL", Name: "URESP", Channel: "CALERTS"}, "REVALIDATE_SECRET"), Stranger, false, ""},
		{"an unknown way", rotate(commands.Actor{Via: "http", ID: "URESP", Channel: "CALERTS"}, "REVALIDATE_SECRET"), Stranger, false, ""},
		{"no way", rotate(commands.Actor{ID: "URESP"}, "REVALIDATE_SECRET"), Stranger, false, ""},
		{"rekey itself, of what is automatic", with(rotate(commands.Actor{Via: "rekey"}, "ANALYTICS_SECRET"), func(r *commands.Request) { r.Mode = commands.Routine }), Allowed, true, ""},
		{"rekey itself, as an emergency", rotate(commands.Actor{Via: "rekey"}, "ANALYTICS_SECRET"), Stranger, false, ""},
		{"rekey itself reads the schedule", commands.Request{Actor: commands.Actor{Via: "rekey"}, Verb: commands.Schedule}, Allowed, true, ""},
		{"a reader rolls back", commands.Request{Actor: read, Verb: commands.Rollback, Run: "r-1"}, ReadOnly, false, ""},
		{"a reader ends an old value", commands.Request{Actor: read, Verb: commands.Kill, Run: "r-1"}, ReadOnly, false, ""},
		{"a reader puts it off", commands.Request{Actor: read, Verb: commands.Hold, Run: "r-1"}, ReadOnly, false, ""},
		{"a responder ends an old value", commands.Request{Actor: resp, Verb: commands.Kill, Run: "r-1"}, Allowed, true, ""},
		{"a responder puts it off", commands.Request{Actor: resp, Verb: commands.Hold, Run: "r-1"}, Allowed, true, ""},
		{"a responder rolls back", commands.Request{Actor: resp, Verb: commands.Rollback, Run: "r-1"}, Allowed, true, ""},
		{"rekey itself", rotate(commands.Actor{Via: "rekey"}, "REVALIDATE_SECRET"), Stranger, false, ""},
		{"the wrong channel", rotate(in(resp, "CNONE"), "REVALIDATE_SECRET"), WrongChannel, false, "<#CALERTS> or <#COTHER>"},
		{"a direct message", rotate(in(resp, "D123"), "REVALIDATE_SECRET"), WrongChannel, false, ""},
		{"no channel", rotate(in(resp, ""), "REVALIDATE_SECRET"), WrongChannel, false, ""},

		{"a misspelt name", rotate(resp, "REVALIDATE_SECERT"), UnknownSecret, true, "Did you mean REVALIDATE_SECRET? Type: /rotate REVALIDATE_SECRET compromised"},
		{"a misspelt name to audit", audit(resp, "ANALYTIC_SECRET"), UnknownSecret, true, "Type: /audit-secret ANALYTICS_SECRET"},
		{"the beginning of a name", rotate(resp, "revalidate"), UnknownSecret, true, "Did you mean REVALIDATE_SECRET?"},
		{"a name of nothing", rotate(resp, "zebra"), UnknownSecret, true, "The catalogue has REVALIDATE_SECRET, ANALYTICS_SECRET and DATABASE_URL."},
		{"a misspelt environment", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Environment = "prodductoin" }), UnknownEnvironment, true, "Did you mean production?"},
		{"an environment of nothing", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Environment = "CI" }), UnknownEnvironment, true, "because in"},
		{"not in that environment", with(rotate(resp, "ANALYTICS_SECRET"), func(r *commands.Request) { r.Environment = "staging" }), NotThere, true, "only in production"},
		{"an environment as the reason", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Reason = "staging, found it" }), Unclear, true, "in staging"},
		{"an environment typed from habit", with(rotate(cli, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Reason = "in staging found it" }), Unclear, true, "rekey rotate REVALIDATE_SECRET compromised --env staging"},
		{"punctuation as the reason", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Reason = "... found it" }), Allowed, true, ""},
		{"the default environment as the reason", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Reason = "production broke" }), Allowed, true, ""},
		{"no mode", with(rotate(resp, "REVALIDATE_SECRET"), func(r *commands.Request) { r.Mode = "" }), Unclear, true, "compromised or this is routine"},
		{"what people rotate", rotate(resp, "DATABASE_URL"), ByHand, true, "How: Create a second user. Its owner is DBA. To look for misuse meanwhile: /audit-secret DATABASE_URL in production"},
		{"an unknown verb", commands.Request{Actor: resp, Verb: "drop"}, UnknownVerb, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := Decide(catalogue(), test.req)
			if d.Code != test.code || d.Allowed != (test.code == Allowed) || d.Usable() != test.usable {
				t.Errorf("got %+v, usable %v", d, d.Usable())
			}
			if d.Allowed != (d.Reason == "") || !strings.Contains(d.Reason, test.says) {
				t.Errorf("the reason is %q", d.Reason)
			}
		})
	}
}

// TestStrangersLearnNothing asks for what exists and for what does not.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	for _, actor := range []commands.Actor{slack("UEVIL"), {Via: "cli", ID: "nobody"}, {Via: "slack", ID: "URESP", Channel: "CNONE"}} {
		var first Decision
		for i, name := range []string{"REVALIDATE_SECRET", "REVALIDATE_SECERT", "DATABASE_URL", "zebra", ""} {
			d := Decide(catalogue(), commands.Request{Actor: actor, Verb: commands.Rotate, Secret: name, Mode: commands.Compromised, Environment: "staging"})
			if i == 0 {
				first = d
			}
			if d != first || d.Allowed {
				t.Errorf("%s learns something about %q", actor, name)
			}
		}
	}
}

func TestChannels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allowed []string
		channel string
		want    bool
	}{
		{nil, "CANY", true},
		{nil, "D1", true},
		{[]string{"C1"}, "C1", true},
		{[]string{"C1"}, "C2", false},
		{[]string{"C1"}, "D1", false},
		{[]string{"C1", Direct}, "D1", true},
		{[]string{"C1", Direct}, "C2", false},
		{[]string{"C1", Direct}, "", false},
	} {
		if got := place(test.allowed, test.channel); got != test.want {
			t.Errorf("%v, %s: %v", test.allowed, test.channel, got)
		}
	}
}

func TestPastedValueIsNotRepeated(t *testing.T) {
	t.Parallel()
	const value = "6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c"
	for _, change := range []func(*commands.Request){
		func(r *commands.Request) { r.Secret = value },
		func(r *commands.Request) { r.Secret = value[:36] },
		func(r *commands.Request) { r.Environment = value },
	} {
		r := commands.Request{Actor: slack("URESP"), Verb: commands.Rotate, Secret: "REVALIDATE_SECRET", Mode: commands.Routine}
		change(&r)
		if d := Decide(catalogue(), r); d.Allowed || strings.Contains(d.Reason, value[:16]) {
			t.Errorf("%s: the value is repeated", d.Code)
		}
	}
}

func TestEmptyCatalogueAllowsNobody(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"slack", "cli", "rekey", ""} {
		for _, id := range []string{"", "root", "U1"} {
			d := Decide(&secret.Catalogue{}, commands.Request{Actor: commands.Actor{Via: via, ID: id}, Verb: commands.List})
			if d.Allowed || d.Reason == "" {
				t.Errorf("%s:%s may list", via, id)
			}
		}
	}
}
