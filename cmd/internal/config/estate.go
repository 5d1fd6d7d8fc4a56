package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"rekey/commands/secret"
)

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// read reads the whole document.
func (d *document) read(data []byte) *secret.Catalogue {
	cat := &secret.Catalogue{}
	d.cat, d.claims, d.anchors = cat, map[string]claim{}, map[string]ast.Node{}
	body := d.parse(data)
	if body == nil {
		return cat
	}
	d.noTokens(body)
	top := d.object(d.resolve(body), body, "the file", "version", "slack", "pagerduty", "access", "contacts", "stores",
		"environments", "schedule", "secrets", "groups")
	d.version(top)
	d.slack(top)
	d.access(top)
	d.contacts(top)
	d.stores(top)
	d.environments(top)
	d.schedule(top)
	if top.must("secrets", "name the secrets rekey looks after: secrets: {REVALIDATE_SECRET: …}") {
		secrets := top.object("secrets", "secrets")
		var objects []*object
		for _, e := range secrets.entries {
			s, o := d.secret(secrets, e)
			cat.Secrets, objects = append(cat.Secrets, s), append(objects, o)
		}
		d.afters(objects)
	}
	d.groups(top) // names secrets, so it comes after them
	return cat
}

// parse answers the one document in data, nil when there is none to read.
func (d *document) parse(data []byte) ast.Node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var e yaml.Error
		f := Fault{File: d.shown, Message: "this is not YAML", Hint: "look for a missing colon, a wrong indent or an open quote in this line or the one above"}
		if errors.As(err, &e) {
			f.Message += " (" + e.GetMessage() + ")"
			if tk := e.GetToken(); tk != nil && tk.Position != nil {
				f.Line, f.Column = tk.Position.Line, tk.Position.Column
			}
		}
		d.faults = append(d.faults, f)
		return nil
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			docs = append(docs, doc.Body)
		}
	}
	switch len(docs) {
	case 0:
		d.faults = append(d.faults, Fault{File: d.shown, Line: 1, Message: "the file is empty", Hint: "begin with the example in deploy/examples/rekey.yaml"})
		return nil
	case 1:
	default:
		d.fault(docs[1], "the file holds a second document", "keep everything in one, without a line of ---")
	}
	ast.Walk(visitor(func(n ast.Node) {
		if a, ok := n.(*ast.AnchorNode); ok {
			d.anchors[a.Name.GetToken().Value] = a.Value
		}
	}), docs[0])
	return docs[0]
}

func (d *document) version(top *object) {
	if !top.must("version", "write version: 1 in the first line") {
		return
	}
	if n := top.count("version", 1<<30); n != 1 {
		d.fault(top.blame("version"), "this version of the file is not known to this rekey", "write version: 1")
	}
}

// reserved are the words that would never reach a secret or a group of that name,
// because a command begins with them or means something by them.
var reserved = []string{
	"help", "list", "status", "audit", "rotate", "routine", "compromised",
	"all", "rollback", "dry-run", "schedule", "digest", "provide", "hold", "kill",
}

// name checks a name of the writer's own that stands in commands.
func (d *document) name(e entry, what string) {
	d.plainName(e, what)
	if slices.Contains(reserved, strings.ToLower(e.name)) {
		d.fault(e.key, fmt.Sprintf("%s %s cannot be called %s, which is a word of the commands", article(what), what, quoted(e.name)), "give it another name")
	}
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an"
	}
	return "a"
}

// plainName checks a name of the writer's own.
func (d *document) plainName(e entry, what string) {
	if !plainName.MatchString(e.name) {
		d.fault(e.key, fmt.Sprintf("%s is no name for a %s", quoted(e.name), what), "use letters, digits, and _ . - inside, at most 64 in all")
	}
}
