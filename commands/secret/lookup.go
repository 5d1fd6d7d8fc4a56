package secret

import (
	"strings"
	"time"
)

// Secret finds a secret by name: as written, or else in any case.
func (c *Catalogue) Secret(name string) (Secret, bool) {
	return find(c.Secrets, name, func(s Secret) string { return s.Name })
}

// Environment finds an environment by name: as written, or else in any case. ""
// is the default environment, the first of the catalogue.
func (c *Catalogue) Environment(name string) (Environment, bool) {
	if name == "" && len(c.Environments) > 0 {
		return c.Environments[0], true
	}
	return find(c.Environments, name, func(e Environment) string { return e.Name })
}

// Place finds a secret's place in an environment ("" is the default one).
func (c *Catalogue) Place(secret, environment string) (Place, bool) {
	s, ok := c.Secret(secret)
	if !ok {
		return Place{}, false
	}
	e, ok := c.Environment(environment)
	if !ok {
		return Place{}, false
	}
	return find(s.Places, e.Name, func(p Place) string { return p.Environment })
}

// Consumer finds a consumer of an environment ("" is the default one).
func (c *Catalogue) Consumer(environment, name string) (Consumer, bool) {
	e, ok := c.Environment(environment)
	if !ok {
		return Consumer{}, false
	}
	return find(e.Consumers, name, func(s Consumer) string { return s.Name })
}

// Names lists the secrets' names in the order of the catalogue.
func (c *Catalogue) Names() []string {
	names := make([]string, len(c.Secrets))
	for i, s := range c.Secrets {
		names[i] = s.Name
	}
	return names
}

// EnvironmentNames lists the environments' names in the order of the catalogue.
func (c *Catalogue) EnvironmentNames() []string {
	names := make([]string, len(c.Environments))
	for i, e := range c.Environments {
		names[i] = e.Name
	}
	return names
}

// Nearest answers the secret whose name is nearest to name, "" when none is near.
func (c *Catalogue) Nearest(name string) string { return Nearest(name, c.Names()) }

// find prefers the exact spelling, so that names that differ in case alone stay
// apart wherever they exist.
func find[T any](all []T, name string, of func(T) string) (T, bool) {
	for _, t := range all {
		if of(t) == name {
			return t, true
		}
	}
	for _, t := range all {
		if strings.EqualFold(of(t), name) {
			return t, true
		}
	}
	var none T
	return none, false
}

// NextDue answers when s is to be rotated next after last: zero when it is rotated
// as needed or last is zero. A day a month does not have becomes its last one.
func (s Secret) NextDue(last time.Time) time.Time {
	switch {
	case last.IsZero(), s.RotateEvery == 0 && s.RotateMonths == 0:
		return time.Time{}
	case s.RotateMonths == 0:
		return last.Add(s.RotateEvery)
	}
	due := last.AddDate(0, s.RotateMonths, 0)
	if due.Day() != last.Day() { // ran over into the month after
		due = due.AddDate(0, 0, -due.Day())
	}
	return due
}
