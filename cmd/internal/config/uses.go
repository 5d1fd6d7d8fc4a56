package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	methodName   = regexp.MustCompile(`^[A-Z]+$`)
)

func (d *document) place(in *object, e entry, s secret.Secret, env secret.Environment) secret.Place {
	where := fmt.Sprintf("secret %s in %s", s.Name, e.name)
	o := in.object(e.name, where, "consumers", "issuer", "checks", "usage", "tripwire", "sessions", "endpoints")
	p := secret.Place{Environment: e.name}
	consumers := o.object("consumers", "consumers of "+where)
	for _, c := range consumers.entries {
		p.Uses = append(p.Uses, d.use(consumers, c, s, env, where))
	}
	for _, n := range o.list("endpoints", "a list: - {path: /api/revalidate/, method: POST, callers: [10.0.0.5]}") {
		p.Endpoints = append(p.Endpoints, d.endpoint(n, where))
	}
	if s.Procedure == secret.Manual {
		for _, key := range []string{"issuer", "checks", "usage", "tripwire", "sessions"} {
			if o.has(key) {
				d.fault(o.blame(key), fmt.Sprintf("%s is rotated by people, so rekey has no need of its %s", where, key), "take it out, or write a procedure that rekey does")
			}
		}
		return p
	}
	p.Issuer = d.issuer(o, s, env)
	p.Checks = d.checks(o, s, p, env)
	p.Usage, p.Tripwire = d.usage(o, "usage"), d.usage(o, "tripwire")
	p.Sessions = d.sessions(o)
	d.roles(e.key, where, s, p)
	return p
}

// roles checks that somebody is on each side of the value.
func (d *document) roles(at ast.Node, where string, s secret.Secret, p secret.Place) {
	if s.Procedure.Issued() && len(p.Uses) == 0 {
		d.fault(at, where+" has no consumer that uses it", "name the service that shows it to its issuer, under consumers")
	}
	if !s.Procedure.Shared() {
		return
	}
	accepts, signs := false, false
	for _, u := range p.Uses {
		accepts = accepts || u.Role == secret.Accepts || u.Role == secret.Both
		signs = signs || u.Role == secret.Signs || u.Role == secret.Both
	}
	if !accepts {
		d.fault(at, where+" has no consumer that accepts it", "give the service that verifies signatures role: accepts (or both)")
	}
	if !signs {
		d.fault(at, where+" has no consumer that signs with it", "give the service that signs role: signs (or both)")
	}
}

func (d *document) use(consumers *object, e entry, s secret.Secret, env secret.Environment, place string) secret.Use {
	where := fmt.Sprintf("consumer %s of %s", e.name, place)
	o := consumers.object(e.name, where, "variable", "previous", "role", "proof")
	consumer, known := secret.Consumer{}, false
	names := make([]string, len(env.Consumers))
	for i, c := range env.Consumers {
		names[i] = c.Name
		if c.Name == e.name {
			consumer, known = c, true
		}
	}
	if !known && env.Name != "" {
		d.nowhere(e.key, fmt.Sprintf("%s uses a consumer that does not exist in %s: %s", place, env.Name, quoted(e.name)), e.name, names)
	}
	u := secret.Use{Consumer: e.name}
	d.names(o, &u, consumer)
	defer func() { d.claim(o, consumer, s, u) }()
	if !o.has("role") && !o.has("proof") && !s.Procedure.Shared() {
		if s.Procedure.Issued() {
			u.Role = secret.Uses
			d.previous(o, s, u)
		}
		return u
	}
	d.role(o, s, &u)
	d.previous(o, s, u)
	if s.Procedure.Issued() && !o.has("proof") {
		return u
	}
	u.Proof = d.proof(o, u.Role, s.Procedure)
	return u
}

// names reads under which names a consumer finds the values.
func (d *document) names(o *object, u *secret.Use, c secret.Consumer) {
	kind, known := d.storeKind(c.Store)
	if c.Name == "" {
		kind, known = secret.Dotenv, true // a consumer that is not there: most read files
	}
	read := d.variable
	if kind != secret.Dotenv || !known {
		read = d.storeKey
	}
	u.Variable, u.Previous = read(o, "variable"), read(o, "previous")
	switch {
	case !known || kind == "": // said already
	case kind != secret.AWSSecretsManager:
		o.must("variable", "write the name of the variable that holds the value")
	case u.Variable == "" && u.Previous != "":
		d.fault(o.blame("previous"), o.where+" has a \"previous\" and no \"variable\", so the whole AWS secret is the value", "write the key of each in the JSON of the AWS secret, or take out previous")
	}
}

func (d *document) role(o *object, s secret.Secret, u *secret.Use) {
	if s.Procedure.Issued() {
		u.Role = choice(o, "role", secret.Uses, secret.Uses)
		return
	}
	o.must("role", "write accepts where it verifies with the value, signs where it signs, both where it does both")
	u.Role = choice(o, "role", "", secret.Accepts, secret.Signs, secret.Both)
}

// previous checks that whoever verifies can accept two values, and nobody else. What
// Django signed may also be let go at once, so that there it is a choice.
func (d *document) previous(o *object, s secret.Secret, u secret.Use) {
	switch {
	case u.Role == secret.Uses && o.has("previous"):
		d.fault(o.blame("previous"), o.where+" uses one value at a time", "take out previous: it is the issuer that knows two")
	case (u.Role == secret.Accepts || u.Role == secret.Both) && u.Previous == "" && !o.has("previous") && s.Procedure != secret.DjangoKey:
		d.fault(o.at, o.where+" accepts the value and has no \"previous\"", "write the variable under which it accepts a second value: previous: "+orName(u.Variable)+"_OLD")
	case u.Role == secret.Signs && o.has("previous"):
		d.fault(o.blame("previous"), o.where+" only signs, so it accepts no second value", "take out previous, or write role: both")
	}
}

func orName(s string) string {
	if s == "" {
		return "NAME"
	}
	return s
}

func (d *document) variable(o *object, name string) string {
	s := o.text(name)
	if s != "" && !variableName.MatchString(s) {
		d.fault(o.blame(name), fmt.Sprintf("%q of %s is no name of a variable: %s", name, o.where, quoted(s)), "use letters, digits and _, such as REVALIDATE_SECRET")
		return ""
	}
	return s
}

// storeKey is a key inside a secret of a store, which may be any text.
func (d *document) storeKey(o *object, name string) string {
	s := o.text(name)
	if len(s) > 128 || strings.ContainsFunc(s, unicode.IsControl) {
		d.fault(o.blame(name), fmt.Sprintf("%q of %s is no key of a secret", name, o.where), "write the key that holds the value, such as REVALIDATE_SECRET")
		return ""
	}
	return s
}

func (d *document) endpoint(n ast.Node, place string) secret.Endpoint {
	o := d.object(n, n, "an endpoint of "+place, "path", "method", "callers")
	e := secret.Endpoint{Path: o.text("path"), Method: o.text("method"), Callers: o.prefixes("callers")}
	if o.must("path", "write the path it guards: /api/revalidate/") && e.Path != "" && !strings.HasPrefix(e.Path, "/") {
		d.fault(o.blame("path"), fmt.Sprintf("\"path\" of an endpoint of %s does not begin with /: %s", place, quoted(e.Path)), "write the path as it stands in the access log: /api/revalidate/")
	}
	if e.Method != "" && !methodName.MatchString(e.Method) {
		d.fault(o.blame("method"), fmt.Sprintf("\"method\" of an endpoint of %s is no method: %s", place, quoted(e.Method)), "write it in capitals: POST")
	}
	return e
}

// nowhere reports a reference to nothing.
func (d *document) nowhere(at ast.Node, message, name string, known []string) {
	hint := "define it first"
	if near := secret.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("write %q", near)
	} else if len(known) > 0 {
		hint = "write one of " + strings.Join(known, ", ") + ", or define it first"
	}
	d.fault(at, message, hint)
}
