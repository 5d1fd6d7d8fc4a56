// Package policy decides who may ask for what, and where. It is pure: the catalogue
// and the request in, the decision out. It exists apart from the parser and the
// engine so that Slack and the command line obey one table, and so that a person
// who may not ask learns nothing from the answer: authority is settled before any
// name is looked up.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"rekey/commands"
	"rekey/commands/secret"
)

// Code is a decision's class, kept in the security log.
type Code string

// The codes.
const (
	Allowed            Code = "allowed"
	Stranger           Code = "stranger"            // not on any list
	ReadOnly           Code = "read_only"           // may look, may not rotate
	WrongChannel       Code = "wrong_channel"       // the right person in the wrong place
	UnknownVerb        Code = "unknown_verb"        // nothing rekey does
	UnknownSecret      Code = "unknown_secret"      // not in the catalogue
	UnknownEnvironment Code = "unknown_environment" // not in the catalogue
	NotThere           Code = "not_there"           // the secret does not exist in that environment
	Unclear            Code = "unclear"             // mode or environment would have to be guessed
	ByHand             Code = "by_hand"             // rotated by people, not by rekey
)

// Direct in Access.Channels stands for every direct message.
const Direct = "direct"

// Decision is the answer. Reason is for the person, "" when allowed.
type Decision struct {
	Allowed bool
	Code    Code
	Reason  string
}

// Usable reports that the person was entitled to ask and the request alone was at
// fault. A refusal that is not usable is one of authority.
func (d Decision) Usable() bool {
	switch d.Code {
	case Stranger, ReadOnly, WrongChannel:
		return false
	}
	return true
}

// Decide says whether req may be carried out.
//
// Responders and the command line's users may do everything; readers may audit,
// list and ask for status; help is everybody's. Where Access.Channels is not empty,
// everything but help must be typed in one of them; a direct message counts as
// one only where the list holds Direct. A request by any other way than Slack or
// the command line is refused.
func Decide(cat *secret.Catalogue, req commands.Request) Decision {
	if req.Verb == commands.Help {
		return Decision{Allowed: true, Code: Allowed}
	}
	if d := authority(cat, req); !d.Allowed {
		return d
	}
	switch req.Verb {
	case commands.List, commands.Status, commands.Schedule, commands.Digest, commands.Rollback, commands.Kill, commands.Hold:
		return Decision{Allowed: true, Code: Allowed}
	case commands.Rotate, commands.Audit:
		return subject(cat, req)
	case commands.Help: // answered above
	}
	return refuse(UnknownVerb, "rekey does not know that command; type /rotate help.")
}

// authority settles who and where, and looks nothing up.
func authority(cat *secret.Catalogue, req commands.Request) Decision {
	a := cat.Access
	responder, reader := false, false
	switch req.Actor.Via {
	case "slack":
		responder = listed(a.Responders, req.Actor.ID)
		reader = listed(a.Readers, req.Actor.ID)
	case "cli":
		responder = listed(a.CLI, req.Actor.ID)
	case "rekey": // by itself it reads the schedule and starts what is due, never more
		if req.Verb == commands.Schedule || req.Verb == commands.Rotate && req.Mode == commands.Routine && automatic(cat, req) {
			return Decision{Allowed: true, Code: Allowed}
		}
	}
	switch {
	case !responder && !reader && req.Actor.Via == "cli":
		return refuse(Stranger, "This user may not use rekey on the command line. Somebody who looks after rekey.yaml can add the user under access: cli. This refusal is in the security log.")
	case !responder && !reader:
		return refuse(Stranger, "You are not on the list of people who may use rekey, so nothing was done. "+
			"If a secret has leaked, tell "+who(cat)+" now. This refusal is in the security log.")
	case changes(req.Verb) && !responder:
		return refuse(ReadOnly, "You may audit secrets, list them and ask for status, but not rotate them. "+
			"If a secret has leaked, tell "+who(cat)+" now. This refusal is in the security log.")
	}
	if req.Actor.Via == "slack" && !place(a.Channels, req.Actor.Channel) {
		return refuse(WrongChannel, "rekey takes commands in "+channels(a.Channels)+" only: type it there, where others see it. Nothing was done.")
	}
	return Decision{Allowed: true, Code: Allowed}
}

// changes reports that a verb does more than look.
func changes(v commands.Verb) bool {
	return v == commands.Rotate || v == commands.Rollback || v == commands.Kill || v == commands.Hold
}

// automatic reports that the catalogue lets a secret's rotation start by itself.
func automatic(cat *secret.Catalogue, req commands.Request) bool {
	s, ok := cat.Secret(req.Secret)
	return ok && s.Automatic
}

// listed never matches an empty id, whatever the list holds.
func listed(ids []string, id string) bool { return id != "" && slices.Contains(ids, id) }

func place(allowed []string, channel string) bool {
	if len(allowed) == 0 || slices.Contains(allowed, channel) {
		return true
	}
	return strings.HasPrefix(channel, "D") && slices.Contains(allowed, Direct)
}

func channels(ids []string) string {
	var out []string
	for _, id := range ids {
		if id == Direct {
			out = append(out, "a direct message")
			continue
		}
		out = append(out, "<#"+id+">")
	}
	return either(out)
}

// who names whom to turn to.
func who(cat *secret.Catalogue) string {
	for _, c := range cat.Contacts {
		switch {
		case c.Slack != "":
			return c.Slack
		case c.Email != "":
			return c.Email
		case c.Phone != "":
			return c.Phone
		}
	}
	return "a responder"
}

func refuse(code Code, reason string) Decision { return Decision{Code: code, Reason: reason} }

// subject settles what is asked for; whoever asks may know the catalogue.
func subject(cat *secret.Catalogue, req commands.Request) Decision {
	sec, ok := cat.Secret(req.Secret)
	if !ok {
		if g, ok := cat.Group(req.Secret); ok && req.Verb == commands.Rotate {
			return group(cat, req, g)
		}
		return unknownSecret(cat, req)
	}
	env, ok := cat.Environment(req.Environment)
	if !ok {
		return unknownEnvironment(cat, req)
	}
	if d := unclear(cat, req, sec, env); !d.Allowed {
		return d
	}
	if _, ok := cat.Place(sec.Name, env.Name); !ok {
		return refuse(NotThere, fmt.Sprintf("%s does not exist in %s, only in %s.", sec.Name, env.Name, either(places(sec))))
	}
	if req.Verb == commands.Rotate && sec.Procedure == secret.Manual {
		return byHand(sec, env)
	}
	return Decision{Allowed: true, Code: Allowed}
}

// unclear asks where a guess could rotate the wrong thing in the wrong way.
func unclear(cat *secret.Catalogue, req commands.Request, sec secret.Secret, env secret.Environment) Decision {
	if req.Verb != commands.Rotate {
		return Decision{Allowed: true}
	}
	if req.Mode != commands.Routine && req.Mode != commands.Compromised {
		return refuse(Unclear, fmt.Sprintf("Say whether %s is compromised or this is routine: /rotate %s compromised", sec.Name, sec.Name))
	}
	// The command line has no "in ENV" between its words, so that one typed from
	// habit arrives as the beginning of the reason.
	words := strings.Fields(req.Reason)
	if len(words) > 1 && strings.EqualFold(words[0], "in") {
		words = words[1:]
	}
	if req.Environment != "" || len(words) == 0 {
		return Decision{Allowed: true}
	}
	other, ok := cat.Environment(strings.Trim(words[0], ".,:;"))
	if ok && other.Name != "" && other.Name != env.Name {
		return refuse(Unclear, fmt.Sprintf("Is %s to be rotated in %s or in %s? %s", sec.Name, env.Name, other.Name, inOther(req, sec, other)))
	}
	return Decision{Allowed: true}
}

// inOther is the whole command for the environment that the reason names.
func inOther(req commands.Request, sec secret.Secret, other secret.Environment) string {
	if req.Actor.Via == "cli" {
		return fmt.Sprintf("Type: rekey rotate %s %s --env %s", sec.Name, req.Mode, other.Name)
	}
	return fmt.Sprintf("Type: /rotate %s %s in %s", sec.Name, req.Mode, other.Name)
}

func unknownSecret(cat *secret.Catalogue, req commands.Request) Decision {
	typed := typed(req.Secret)
	if near := cat.Nearest(req.Secret); near != "" {
		command := "/rotate " + near + " " + string(req.Mode)
		if req.Verb == commands.Audit {
			command = "/audit-secret " + near
		}
		return refuse(UnknownSecret, fmt.Sprintf("There is no secret %s. Did you mean %s? Type: %s", typed, near, strings.TrimSpace(command)))
	}
	return refuse(UnknownSecret, fmt.Sprintf("There is no secret %s. The catalogue has %s.", typed, all(cat.Names())))
}

func unknownEnvironment(cat *secret.Catalogue, req commands.Request) Decision {
	typed := typed(req.Environment)
	if near := secret.Nearest(req.Environment, cat.EnvironmentNames()); near != "" {
		return refuse(UnknownEnvironment, fmt.Sprintf("There is no environment %s. Did you mean %s? Type it again with: in %s", typed, near, near))
	}
	return refuse(UnknownEnvironment, fmt.Sprintf("There is no environment %s; the catalogue has %s. If it belongs to the reason, write: because in …",
		typed, all(cat.EnvironmentNames())))
}

func byHand(sec secret.Secret, env secret.Environment) Decision {
	reason := fmt.Sprintf("%s is rotated by people, not by rekey; nothing was done.", sec.Name)
	if sec.Instructions != "" {
		reason += " How: " + strings.TrimRight(sec.Instructions, ".") + "."
	}
	if sec.Owner != "" {
		reason += " Its owner is " + sec.Owner + "."
	}
	return refuse(ByHand, reason+fmt.Sprintf(" To look for misuse meanwhile: /audit-secret %s in %s", sec.Name, env.Name))
}

// typed quotes what a person typed in the place of a name. People paste values
// there: what looks like one, or is longer than any name, is not repeated.
func typed(s string) string {
	if len(s) > 40 || secret.MaskTokens(s) != s {
		return "of that name (was a value pasted? if so, treat it as leaked)"
	}
	return `"` + s + `"`
}

func places(sec secret.Secret) []string {
	var out []string
	for _, p := range sec.Places {
		out = append(out, p.Environment)
	}
	return out
}

func all(names []string) string { return join(names, "and") }

func either(names []string) string { return join(names, "or") }

func join(names []string, word string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + word + " " + names[len(names)-1]
}
