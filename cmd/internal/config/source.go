package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// source reads where a credential of rekey's own is found: exactly one of an
// environment variable and a file. The value itself never stands in the catalogue.
func (d *document) source(o *object, name, example string) secret.Source {
	hint := fmt.Sprintf("write where rekey reads it: %s: {env: %s} or %s: {file: /etc/rekey/%s}", name, example, name, name)
	if !o.must(name, hint) {
		return secret.Source{}
	}
	at := o.blame(name)
	if _, ok := at.(*ast.MappingNode); !ok {
		if _, ok := at.(*ast.MappingValueNode); !ok {
			if s, _ := scalar(at); tokenKey(name) == "" && !matchesForm(s) { // else noTokens said it
				d.fault(at, fmt.Sprintf("%q of %s is %s, and values never stand in this file", name, o.where, kindOf(at)), hint)
			}
			return secret.Source{}
		}
	}
	where := fmt.Sprintf("%s of %s", name, o.where)
	s := o.object(name, where, "env", "file")
	switch {
	case s.has("env") && s.has("file"):
		d.fault(at, where+" names an environment variable and a file", "keep one of the two")
	case s.has("file"):
		path := s.path("file")
		if path != "" {
			d.sourceFile(path, s.blame("file"), where)
		}
		return secret.Source{File: path}
	case s.has("env"):
		return secret.Source{Env: d.variable(s, "env")}
	case !s.broken && len(s.entries) == 0:
		d.fault(at, where+" names nothing", hint)
	}
	return secret.Source{}
}
