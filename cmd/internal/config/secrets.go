package config

import (
	"fmt"
	"strings"
	"time"

	"rekey/commands/secret"
)

// defaultOverlap is the guide's: "keep old secrets for 24 hours".
const defaultOverlap = 24 * time.Hour

// procedures are the words under procedure.
var procedures = []secret.Procedure{
	secret.HMACOverlap, secret.DjangoKey, secret.SMTPPassword, secret.PostgresRole, secret.SentryKey, secret.OwnCommands, secret.Manual,
}

// secret reads a row of the catalogue, and answers the object it was read from, which
// has more to say once every secret is known.
func (d *document) secret(secrets *object, e entry) (secret.Secret, *object) {
	where := "secret " + e.name
	d.name(e, "secret")
	o := secrets.object(e.name, where, "purpose", "impact", "owner", "rotate_every", "last_rotated", "risk",
		"procedure", "instructions", "generator", "overlap", "confirm", "automatic", "after", "in")
	s := secret.Secret{
		Name: e.name, Purpose: o.text("purpose"), Impact: o.text("impact"), Owner: o.text("owner"),
		LastRotated:  o.date("last_rotated"),
		Risk:         choice(o, "risk", secret.Medium, secret.Low, secret.Medium, secret.High),
		Instructions: strings.Join(strings.Fields(o.text("instructions")), " "),
		Confirm:      o.boolean("confirm"), Automatic: o.boolean("automatic"),
	}
	s.RotateEvery, s.RotateMonths = o.period("rotate_every")
	o.must("purpose", "write what the secret is for, in a few words")
	o.must("owner", "write who answers for it")
	o.must("procedure", "write how it is rotated, such as hmac-overlap, postgres-role or manual")
	s.Procedure = choice(o, "procedure", "", procedures...)
	d.generator(o, &s)
	d.overlap(o, &s)
	d.automatic(o, s)
	if s.Procedure == secret.Manual && s.Confirm {
		d.fault(o.blame("confirm"), where+" is rotated by people, so there is nothing to confirm", "take out confirm")
	}
	if !o.must("in", "write where it exists: in: {production: …}") {
		return s, o
	}
	in := o.object("in", "in of "+where)
	for _, p := range in.entries {
		env, ok := d.cat.Environment(p.name)
		if !ok || p.name != env.Name {
			d.nowhere(p.key, fmt.Sprintf("%s is in an environment that does not exist: %s", where, quoted(p.name)), p.name, d.cat.EnvironmentNames())
		}
		s.Places = append(s.Places, d.place(in, p, s, env))
	}
	return s, o
}

// generator checks that a new value comes from who makes it, and is strong enough.
func (d *document) generator(o *object, s *secret.Secret) {
	fallback := secret.Supplied
	switch s.Procedure {
	case secret.HMACOverlap, secret.OwnCommands:
		fallback = secret.Hex32
	case secret.DjangoKey:
		fallback = secret.Django
	}
	s.Generator = choice(o, "generator", fallback, secret.Hex32, secret.Base6432, secret.Django, secret.Supplied)
	at := o.blame("generator")
	switch {
	case s.Procedure == secret.HMACOverlap && s.Generator == secret.Supplied:
		d.fault(at, o.where+" is rotated by rekey, which cannot wait for a supplied value", "write hex32, base64 or django: each is at least as strong as 64 hex digits")
	case s.Procedure == secret.DjangoKey && s.Generator != secret.Django:
		d.fault(at, o.where+" is Django's own key, and follows Django's own rules", "write django, or take out generator")
	case s.Procedure.Issued() && s.Procedure != secret.OwnCommands && s.Generator != secret.Supplied:
		d.fault(at, o.where+" is made by its issuer, so nothing is generated", "write supplied, or take out generator")
	}
}

func (d *document) overlap(o *object, s *secret.Secret) {
	switch {
	case s.Procedure != secret.Manual:
		s.Overlap = o.span("overlap", defaultOverlap, time.Second, 30*day)
	case o.has("overlap"):
		d.fault(o.blame("overlap"), o.where+" is rotated by people, so rekey keeps no overlap", "take out overlap, or write a procedure that rekey does, such as hmac-overlap")
	}
}

// automatic checks that a rotation that starts by itself can also go on by itself.
func (d *document) automatic(o *object, s secret.Secret) {
	if !s.Automatic {
		return
	}
	at := o.blame("automatic")
	fault := func(why, hint string) {
		d.fault(at, o.where+" is rotated automatically, and "+why, hint)
	}
	if len(d.cat.Schedule.Windows) == 0 {
		fault("the schedule has no window to do it in", `write schedule: {windows: [{days: [tue], from: "10:00", to: "12:00"}]}`)
	}
	if s.Confirm {
		fault("asks for a second click, which nobody gives by then", "take out automatic or confirm")
	}
	if s.Procedure == secret.Manual {
		fault("people rotate it", "take out automatic")
	} else if s.Procedure == secret.SMTPPassword || s.Procedure == secret.OwnCommands && s.Generator == secret.Supplied {
		fault("a person has to bring its new value", "take out automatic")
	}
	if s.RotateEvery == 0 && s.RotateMonths == 0 {
		fault("it is never due", "write rotate_every: quarterly, or a span such as 90d")
	}
}
