package awsrotation

import (
	"fmt"
	"slices"
	"strings"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// target is what the catalogue says about an AWS secret.
type target struct {
	secret      secret.Secret
	place       secret.Place
	environment secret.Environment
	slots       []slot
	issuer      issue.Issuer // nil for a value that services hold against each other
}

// slot is where one consumer finds the value in the AWS secret.
type slot struct{ variable, previous string }

// find looks up the one secret of the catalogue that lives in an AWS secret.
func (h *Handler) find(arn, name string) (target, error) {
	var found []target
	for _, s := range h.cfg.Catalogue.Secrets {
		for _, p := range s.Places {
			if h.cfg.Secret != "" && h.cfg.Secret != s.Name || h.cfg.Environment != "" && h.cfg.Environment != p.Environment {
				continue
			}
			t := target{secret: s, place: p}
			t.environment, _ = h.cfg.Catalogue.Environment(p.Environment)
			elsewhere := h.slots(&t, arn, name)
			if len(t.slots) == 0 {
				continue
			}
			if elsewhere != "" {
				return target{}, fmt.Errorf("%s in %s is %w: %s", s.Name, p.Environment, ErrCatalogue, elsewhere)
			}
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return target{}, fmt.Errorf("%s is %w: no secret of the catalogue lives there", name, ErrCatalogue)
	case 1:
		return h.suited(found[0])
	}
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.secret.Name + " in " + t.place.Environment
	}
	return target{}, fmt.Errorf("%s is %w: several of the catalogue's secrets live there (%s); say which one this rotation is for", name, ErrCatalogue, strings.Join(names, ", "))
}

// slots collects where t's consumers find the value; elsewhere says who finds it
// somewhere else.
func (h *Handler) slots(t *target, arn, name string) (elsewhere string) {
	for _, u := range t.place.Uses {
		i := slices.IndexFunc(t.environment.Consumers, func(c secret.Consumer) bool { return c.Name == u.Consumer })
		if i < 0 {
			elsewhere = u.Consumer + " uses it and is not a consumer of the environment"
			continue
		}
		c := t.environment.Consumers[i]
		if !h.isAWS(c.Store) || !names(c.Location, arn, name) {
			elsewhere = fmt.Sprintf("%s reads it from %s; use \"rekey rotate %s\"", c.Name, c.Location, t.secret.Name)
			continue
		}
		if s := (slot{u.Variable, u.Previous}); !slices.Contains(t.slots, s) {
			t.slots = append(t.slots, s)
		}
	}
	return elsewhere
}

// isAWS reports whether a store of the catalogue is one of AWS's, and the one meant.
func (h *Handler) isAWS(name string) bool {
	return slices.ContainsFunc(h.cfg.Catalogue.Stores, func(s secret.Store) bool {
		return s.Name == name && s.Kind == secret.AWSSecretsManager && (h.cfg.Store == "" || h.cfg.Store == name)
	})
}

// names reports whether a location names the secret: by name, ARN, or ARN without
// the hyphen and the six characters AWS adds.
func names(location, arn, name string) bool {
	return location == name || location == arn || len(arn) > 7 && location == arn[:len(arn)-7]
}

// suited checks that AWS's contract can change t, and finds its issuer.
func (h *Handler) suited(t target) (target, error) {
	s := t.secret
	switch {
	case s.Procedure.Shared():
		return t, nil
	case !s.Procedure.Issued():
		return target{}, fmt.Errorf("%s is %w: people rotate it", s.Name, ErrCatalogue)
	case s.Generator == secret.Supplied && s.Procedure == secret.SMTPPassword:
		return target{}, fmt.Errorf("%s is %w: its provider makes the value and a person brings it; use \"rekey rotate %s\"", s.Name, ErrCatalogue, s.Name)
	}
	if t.issuer = h.cfg.Issuers[s.Procedure]; t.issuer == nil {
		return target{}, fmt.Errorf("%s is %w: this rekey has nobody who issues it (%s)", s.Name, ErrCatalogue, s.Procedure)
	}
	return t, nil
}
