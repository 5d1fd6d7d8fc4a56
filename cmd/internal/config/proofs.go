package config

import (
	"fmt"
	"regexp"
	"time"

	"rekey/commands/secret"
)

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// longestCommand bounds how long a command of the owner's may take.
const longestCommand = 10 * time.Minute

func (d *document) proof(o *object, role secret.Role, procedure secret.Procedure) secret.Proof {
	if !o.must("proof", "write how to ask it which value it runs on: proof: {request: …} or proof: {challenge: …}") {
		return secret.Proof{}
	}
	p := o.object("proof", "proof of "+o.where, "request", "challenge")
	verifies, signs := role == secret.Accepts || role == secret.Both, role == secret.Signs || role == secret.Both
	switch {
	case role == "": // told already
	case role == secret.Uses && p.has("request"):
		d.fault(p.blame("request"), o.where+" verifies nothing with the value, so it cannot refuse a signed request", "write challenge: {urls: […]} in its place, or take out proof")
	case !verifies && p.has("request"):
		d.fault(p.blame("request"), o.where+" only signs, so it cannot refuse a signed request", "write challenge: {urls: […]} in its place")
	case role == secret.Accepts && p.has("challenge"):
		d.fault(p.blame("challenge"), o.where+" only verifies, and a challenge does not tell what it accepts", "write request: {urls: […], body: …} in its place")
	case verifies && !p.has("request"):
		d.fault(o.blame("proof"), p.where+" has no \"request\", and it verifies with the value", "write request: {urls: […], body: …}, a signed call to try values with")
	case signs && !p.has("challenge"):
		d.fault(o.blame("proof"), p.where+" has no \"challenge\", and it signs with the value", "write challenge: {urls: […]}, where it proves which value it runs on")
	}
	var proof secret.Proof
	if p.has("challenge") {
		proof.Challenge = d.challenge(p, o.where)
	}
	if p.has("request") {
		proof.Request = d.signedRequest(p, o.where, procedure)
	}
	return proof
}

// challenge asks an address, or a command for a service without one.
func (d *document) challenge(p *object, who string) *secret.Challenge {
	c := p.object("challenge", "challenge of "+who, "urls", "command", "timeout")
	if !c.has("command") {
		if c.has("timeout") {
			d.fault(c.blame("timeout"), c.where+` has a "timeout", which is a command's`, "take it out: an address is given 3 s for each answer")
		}
		return &secret.Challenge{URLs: c.urls("urls")}
	}
	if c.has("urls") {
		d.fault(c.blame("urls"), c.where+" asks addresses and a command", "keep urls, or command for a service without HTTP")
	}
	return &secret.Challenge{
		Command: d.argv(c, "command", "[docker, exec, worker, ./manage.py, rekey_celery_proof]"),
		Timeout: c.span("timeout", 0, time.Second, longestCommand),
	}
}

func (d *document) signedRequest(p *object, who string, procedure secret.Procedure) *secret.SignedRequest {
	r := p.object("request", "request of "+who, "urls", "method", "body", "header", "content_type", "scheme")
	q := &secret.SignedRequest{
		URLs: r.urls("urls"), Method: choice(r, "method", "POST", "POST", "PUT", "PATCH", "GET", "DELETE"),
		Body: r.text("body"), Header: r.text("header"), ContentType: r.text("content_type"),
	}
	r.must("body", `write the text that is signed and sent: body: '{"slugs":["test"]}'`)
	if q.Header == "" {
		q.Header = "X-Signature"
	} else if !headerName.MatchString(q.Header) {
		d.fault(r.blame("header"), fmt.Sprintf("%q of request of %s is no name of a header: %s", "header", who, quoted(q.Header)), "write the name alone: X-Signature")
	}
	if q.ContentType == "" {
		q.ContentType = "application/json"
	}
	usual := secret.HMACHex
	if procedure == secret.DjangoKey {
		usual = secret.DjangoSigning
	}
	q.Scheme = choice(r, "scheme", usual, secret.HMACHex, secret.DjangoSigning)
	return q
}
