package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// argv reads an argument list under a key, nil where there is none. A shell string is
// refused because quoting and substitution would run with rekey's rights.
func (d *document) argv(o *object, name, example string) []string {
	if !o.has(name) {
		return nil
	}
	at := o.blame(name)
	if s, ok := scalar(at); ok {
		d.fault(at, fmt.Sprintf("%q of %s is a shell string, and rekey uses no shell", name, o.where), "write the list: "+name+": ["+strings.Join(strings.Fields(s), ", ")+"]")
		return nil
	}
	var argv []string
	items := o.texts(name)
	for _, i := range items {
		argv = append(argv, i.text)
	}
	switch {
	case len(argv) == 0:
		if _, ok := at.(*ast.SequenceNode); ok {
			d.fault(at, fmt.Sprintf("%q of %s is an empty list", name, o.where), "write the command and its arguments: "+example)
		}
	case len(argv) == 1 && len(strings.Fields(argv[0])) > 1 && !strings.HasPrefix(argv[0], "/"):
		d.fault(items[0].node, fmt.Sprintf("%q of %s is one text with spaces, which is the name of no program", name, o.where), "write each word as an element: ["+strings.Join(strings.Fields(argv[0]), ", ")+"]")
	case strings.HasPrefix(argv[0], "/"):
		d.command(argv[0], items[0].node, name, o.where)
	case strings.Contains(argv[0], "/"):
		d.fault(items[0].node, fmt.Sprintf("the %s command of %s is a relative path: %s", name, o.where, quoted(argv[0])), "write the whole path from /, or the bare name of a program")
	}
	return argv
}
