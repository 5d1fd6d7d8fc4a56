package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reserved are the words that would never reach a secret of that name, because a
// command begins with them.
var reserved = []string{"help", "list", "status", "audit", "rotate", "routine", "compromised"}

// defaultOverlap is the guide's: "keep old secrets for 24 hours".
const defaultOverlap = 24 * time.Hour

func (d *document) secret(secrets *object, e entry, cat *secret.Catalogue) secret.Secret {
	where := "secret " + e.name
	d.name(e, "secret")
	if slices.Contains(reserved, strings.ToLower(e.name)) {
		d.fault(e.key, fmt.Sprintf("a secret cannot be called %s, which is a word of the commands", quoted(e.name)), "give it another name")
	}
	o := secrets.object(e.name, where, "purpose", "impact", "owner", "rotate_every", "last_rotated", "risk",
		"procedure", "instructions", "generator", "store", "overlap", "in")
	s := secret.Secret{
		Name: e.name, Purpose: o.text("purpose"), Impact: o.text("impact"), Owner: o.text("owner"),
		LastRotated:  o.date("last_rotated"),
		Risk:         choice(o, "risk", secret.Medium, secret.Low, secret.Medium, secret.High),
		Instructions: strings.Join(strings.Fields(o.text("instructions")), " "),
		Store:        choice(o, "store", "dotenv", "dotenv"),
	}
	s.RotateEvery, s.RotateMonths = o.period("rotate_every")
	o.must("purpose", "write what the secret is for, in a few words")
	o.must("owner", "write who answers for it")
	o.must("procedure", "write hmac-overlap where rekey rotates it, manual where people do")
	s.Procedure = choice(o, "procedure", secret.Manual, secret.HMACOverlap, secret.Manual)
	d.generator(o, where, &s)
	if s.Procedure == secret.HMACOverlap {
		s.Overlap = o.span("overlap", defaultOverlap, time.Second, 30*day)
	} else if o.has("overlap") {
		d.fault(o.blame("overlap"), fmt.Sprintf("%s is rotated by people, so rekey keeps no overlap", where), "take out overlap, or write procedure: hmac-overlap")
	}
	if !o.must("in", "write where it exists: in: {production: …}") {
		return s
	}
	in := o.object("in", "in of "+where)
	for _, p := range in.entries {
		env, ok := cat.Environment(p.name)
		if !ok || p.name != env.Name {
			d.nowhere(p.key, fmt.Sprintf("%s is in an environment that does not exist: %s", where, quoted(p.name)), p.name, cat.EnvironmentNames())
		}
		s.Places = append(s.Places, d.place(in, p, s, env))
	}
	return s
}

// generator checks that a new value of an HMAC secret will be strong enough.
func (d *document) generator(o *object, where string, s *secret.Secret) {
	fallback := secret.Supplied
	if s.Procedure == secret.HMACOverlap {
		fallback = secret.Hex32
	}
	s.Generator = choice(o, "generator", fallback, secret.Hex32, secret.Base6432, secret.Django, secret.Supplied)
	if s.Procedure != secret.HMACOverlap || s.Generator != secret.Supplied {
		return
	}
	d.fault(o.blame("generator"), fmt.Sprintf("%s is rotated by rekey, which cannot wait for a supplied value", where), "write hex32, base64 or django: each is at least as strong as 64 hex digits")
}

func (d *document) place(in *object, e entry, s secret.Secret, env secret.Environment) secret.Place {
	where := fmt.Sprintf("secret %s in %s", s.Name, e.name)
	o := in.object(e.name, where, "consumers", "endpoints")
	p := secret.Place{Environment: e.name}
	consumers := o.object("consumers", "consumers of "+where)
	accepts, signs := false, false
	for _, c := range consumers.entries {
		u := d.use(consumers, c, s, env, where)
		accepts = accepts || u.Role == secret.Accepts || u.Role == secret.Both
		signs = signs || u.Role == secret.Signs || u.Role == secret.Both
		p.Uses = append(p.Uses, u)
	}
	for _, n := range o.list("endpoints", "a list: - {path: /api/revalidate/, method: POST, callers: [10.0.0.5]}") {
		p.Endpoints = append(p.Endpoints, d.endpoint(n, where))
	}
	if s.Procedure != secret.HMACOverlap {
		return p
	}
	if !accepts {
		d.fault(e.key, where+" has no consumer that accepts it", "give the service that verifies signatures role: accepts (or both)")
	}
	if !signs {
		d.fault(e.key, where+" has no consumer that signs with it", "give the service that signs role: signs (or both)")
	}
	return p
}

func (d *document) use(consumers *object, e entry, s secret.Secret, env secret.Environment, place string) secret.Use {
	where := fmt.Sprintf("consumer %s of %s", e.name, place)
	o := consumers.object(e.name, where, "variable", "previous", "role", "proof")
	u := secret.Use{Consumer: e.name, Variable: d.variable(o, "variable"), Previous: d.variable(o, "previous")}
	o.must("variable", "write the name of the variable that holds the value")
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
	for _, v := range []struct{ key, name string }{{"variable", u.Variable}, {"previous", u.Previous}} {
		d.once(o.blame(v.key), consumer.EnvFile, v.name, where)
	}
	if s.Procedure != secret.HMACOverlap && !o.has("role") && !o.has("proof") {
		return u
	}
	o.must("role", "write accepts where it verifies with the value, signs where it signs, both where it does both")
	u.Role = choice(o, "role", "", secret.Accepts, secret.Signs, secret.Both)
	d.previous(o, where, u)
	u.Proof = d.proof(o, where, u.Role)
	return u
}

// previous checks that whoever verifies can accept two values, and nobody else.
func (d *document) previous(o *object, where string, u secret.Use) {
	switch {
	case (u.Role == secret.Accepts || u.Role == secret.Both) && u.Previous == "" && !o.has("previous"):
		d.fault(o.at, where+" accepts the value and has no \"previous\"", "write the variable under which it accepts a second value: previous: "+orName(u.Variable)+"_OLD")
	case u.Role == secret.Signs && o.has("previous"):
		d.fault(o.blame("previous"), where+" only signs, so it accepts no second value", "take out previous, or write role: both")
	}
}

func orName(s string) string {
	if s == "" {
		return "NAME"
	}
	return s
}

// once checks that no two uses write one variable of one file.
func (d *document) once(at ast.Node, file, variable, where string) {
	if file == "" || variable == "" {
		return
	}
	key := file + "\x00" + variable
	if other, ok := d.uses[key]; ok {
		d.fault(at, fmt.Sprintf("%s writes %s in %s, and so does %s", where, variable, shownPath(file), other), "give each its own variable or its own file")
		return
	}
	d.uses[key] = where
}

func (d *document) variable(o *object, name string) string {
	s := o.text(name)
	if s != "" && !variableName.MatchString(s) {
		d.fault(o.blame(name), fmt.Sprintf("%q of %s is no name of a variable: %s", name, o.where, quoted(s)), "use letters, digits and _, such as REVALIDATE_SECRET")
		return ""
	}
	return s
}

func (d *document) proof(o *object, where string, role secret.Role) secret.Proof {
	if !o.must("proof", "write how to ask it which value it runs on: proof: {request: …} or proof: {challenge: …}") {
		return secret.Proof{}
	}
	p := o.object("proof", "proof of "+where, "request", "challenge")
	verifies, signs := role != secret.Signs, role != secret.Accepts
	switch {
	case role == "": // told already
	case !verifies && p.has("request"):
		d.fault(p.blame("request"), where+" only signs, so it cannot refuse a signed request", "write challenge: {urls: […]} in its place")
	case !signs && p.has("challenge"):
		d.fault(p.blame("challenge"), where+" only verifies, and a challenge does not tell what it accepts", "write request: {urls: […], body: …} in its place")
	case verifies && !p.has("request"):
		d.fault(o.blame("proof"), "proof of "+where+" has no \"request\", and it verifies with the value", "write request: {urls: […], body: …}, a signed call to try values with")
	case signs && !p.has("challenge"):
		d.fault(o.blame("proof"), "proof of "+where+" has no \"challenge\", and it signs with the value", "write challenge: {urls: […]}, where it proves which value it runs on")
	}
	var proof secret.Proof
	if p.has("challenge") {
		proof.Challenge = &secret.Challenge{URLs: p.object("challenge", "challenge of "+where, "urls").urls("urls")}
	}
	if p.has("request") {
		proof.Request = d.signedRequest(p, where)
	}
	return proof
}

func (d *document) signedRequest(p *object, where string) *secret.SignedRequest {
	r := p.object("request", "request of "+where, "urls", "method", "body", "header", "content_type")
	q := &secret.SignedRequest{
		URLs: r.urls("urls"), Method: choice(r, "method", "POST", "POST", "PUT", "PATCH", "GET", "DELETE"),
		Body: r.text("body"), Header: r.text("header"), ContentType: r.text("content_type"),
	}
	r.must("body", `write the text that is signed and sent: body: '{"slugs":["test"]}'`)
	if q.Header == "" {
		q.Header = "X-Signature"
	} else if !headerName.MatchString(q.Header) {
		d.fault(r.blame("header"), fmt.Sprintf("%q of request of %s is no name of a header: %s", "header", where, quoted(q.Header)), "write the name alone: X-Signature")
	}
	if q.ContentType == "" {
		q.ContentType = "application/json"
	}
	return q
}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	methodName = regexp.MustCompile(`^[A-Z]+$`)
)

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
