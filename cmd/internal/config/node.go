package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// document is one reading of a file. Its methods never stop at a fault: they note
// it and answer a zero value, so that the rest is read too.
type document struct {
	file    string
	shown   string // the file's name in faults
	files   files
	faults  []Fault
	anchors map[string]ast.Node
	cat     *secret.Catalogue // what was read so far
	claims  map[string]claim  // place and variable → who uses it
}

func (d *document) fault(at ast.Node, message, hint string) {
	f := Fault{File: d.shown, Message: message, Hint: hint}
	if at != nil {
		if tk := at.GetToken(); tk != nil && tk.Position != nil {
			f.Line, f.Column = tk.Position.Line, tk.Position.Column
		}
	}
	d.faults = append(d.faults, f)
}

// resolve follows anchors, aliases and tags to what they stand for.
func (d *document) resolve(n ast.Node) ast.Node {
	for range 100 {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		case *ast.AliasNode:
			n = d.anchors[t.Value.GetToken().Value]
		default:
			return n
		}
	}
	return nil // an alias of itself
}

// entry is one key of an object with its value.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node // resolved; nil when empty
}

// object is a mapping.
type object struct {
	d       *document
	at      ast.Node // for what is missing
	where   string   // "consumer django", for people
	entries []entry
	broken  bool // no mapping at all, which was said
}

// object reads n as a mapping. known are the keys it may have, nil when the keys
// are names of the writer's own. at is blamed when n is not there.
func (d *document) object(n, at ast.Node, where string, known ...string) *object {
	o := &object{d: d, at: at, where: where}
	var values []*ast.MappingValueNode
	switch t := n.(type) {
	case nil:
		return o
	case *ast.MappingNode:
		values = t.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{t}
	default:
		o.broken = true
		d.fault(n, where+" is "+kindOf(n)+" where keys with values belong", `write one "key: value" a line`)
		return o
	}
	for _, v := range values {
		o.add(v, known)
	}
	return o
}

func (o *object) add(v *ast.MappingValueNode, known []string) {
	if _, ok := v.Key.(*ast.MergeKeyNode); ok {
		o.d.fault(v.Key, "merge keys (<<) are not read in "+o.where, "write the keys out")
		return
	}
	name := keyText(v.Key)
	value := o.d.resolve(v.Value)
	if _, ok := value.(*ast.NullNode); ok {
		value = nil
	}
	e := entry{name: name, key: v.Key, value: value}
	if before, ok := o.find(name); ok {
		o.d.fault(v.Key, fmt.Sprintf("%s is written twice in %s, first in line %d", quoted(name), o.where, before.key.GetToken().Position.Line), "keep one of the two")
		return
	}
	if known == nil {
		for _, before := range o.entries {
			if strings.EqualFold(before.name, name) {
				o.d.fault(v.Key, fmt.Sprintf("%s differs from %s in %s in case alone", quoted(name), quoted(before.name), o.where), "give it a name of its own")
			}
		}
	}
	if known != nil && !slices.Contains(known, name) {
		o.unknown(v, name, known)
		return
	}
	o.entries = append(o.entries, e)
}

// gone are keys of earlier versions, and what took their place.
var gone = map[string]string{
	"secret store": "take it out; where a value lives is said of its consumers: env_file, or store and location",
}

func (o *object) unknown(v *ast.MappingValueNode, name string, known []string) {
	if o.d.tokenEntry(v) {
		return // noTokens says it better
	}
	hint := "the keys here are " + strings.Join(known, ", ")
	if kind, _, _ := strings.Cut(o.where, " "); gone[kind+" "+name] != "" {
		o.d.fault(v.Key, fmt.Sprintf("%s has a %s, which is no longer its own", o.where, quoted(name)), gone[kind+" "+name])
		return
	}
	if near := secret.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("write %q", near)
	}
	o.d.fault(v.Key, fmt.Sprintf("unknown key %s in %s", quoted(name), o.where), hint)
}

func (o *object) find(name string) (entry, bool) {
	for _, e := range o.entries {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// has reports whether the key is written with a value.
func (o *object) has(name string) bool {
	e, ok := o.find(name)
	return ok && e.value != nil
}

// at answers the key's value, or the object itself, to blame.
func (o *object) blame(name string) ast.Node {
	if e, ok := o.find(name); ok {
		if e.value != nil {
			return e.value
		}
		return e.key
	}
	return o.at
}

// must notes a fault unless the key is there with a value.
func (o *object) must(name, hint string) bool {
	e, ok := o.find(name)
	switch {
	case o.broken:
	case !ok:
		o.d.fault(o.at, fmt.Sprintf("%s has no %q", o.where, name), hint)
	case e.value == nil:
		o.d.fault(e.key, fmt.Sprintf("%q of %s is empty", name, o.where), hint)
	}
	return ok && e.value != nil
}

// object answers the mapping under a key, empty where there is none.
func (o *object) object(name, where string, known ...string) *object {
	e, _ := o.find(name)
	at := e.key
	if at == nil {
		at = o.at
	}
	return o.d.object(e.value, at, where, known...)
}

// text answers the string under a key, "" where there is none.
func (o *object) text(name string) string {
	e, _ := o.find(name)
	if e.value == nil {
		return ""
	}
	s, ok := scalar(e.value)
	if !ok {
		o.d.fault(e.value, fmt.Sprintf("%q of %s is %s where a text belongs", name, o.where, kindOf(e.value)), `put the text in "quotes"`)
	}
	return s
}

// item is one element of a list.
type item struct {
	text string
	node ast.Node
}

// texts answers the list of strings under a key.
func (o *object) texts(name string) []item {
	var out []item
	for _, n := range o.list(name, "a list: [one, two]") {
		s, ok := scalar(n)
		if !ok || s == "" {
			o.d.fault(n, fmt.Sprintf("an element of %q of %s is %s where a text belongs", name, o.where, kindOf(n)), "write each element as a text")
			continue
		}
		out = append(out, item{s, n})
	}
	return out
}

// list answers the elements under a key.
func (o *object) list(name, hint string) []ast.Node {
	e, _ := o.find(name)
	if e.value == nil {
		return nil
	}
	s, ok := e.value.(*ast.SequenceNode)
	if !ok {
		o.d.fault(e.value, fmt.Sprintf("%q of %s is %s where a list belongs", name, o.where, kindOf(e.value)), "write "+hint)
		return nil
	}
	out := make([]ast.Node, 0, len(s.Values))
	for _, n := range s.Values {
		if r := o.d.resolve(n); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// boolean answers true or false under a key, false where there is none.
func (o *object) boolean(name string) bool {
	e, _ := o.find(name)
	switch t := e.value.(type) {
	case nil:
	case *ast.BoolNode:
		return t.Value
	default:
		o.d.fault(e.value, fmt.Sprintf("%q of %s is %s", name, o.where, kindOf(e.value)), "write true or false")
	}
	return false
}

// count answers a whole number from 0 to most under a key, 0 where there is none.
func (o *object) count(name string, most int) int {
	e, _ := o.find(name)
	if e.value == nil {
		return 0
	}
	if t, ok := e.value.(*ast.IntegerNode); ok {
		if n, err := strconv.Atoi(t.Token.Value); err == nil && n >= 0 && n <= most {
			return n
		}
	}
	o.d.fault(e.value, fmt.Sprintf("%q of %s is no whole number from 0 to %d", name, o.where, most), "write for example "+name+": 4")
	return 0
}

// choice answers a word of a closed set under a key, fallback where there is none.
func choice[T ~string](o *object, name string, fallback T, known ...T) T {
	if !o.has(name) {
		return fallback
	}
	s := o.text(name)
	if slices.Contains(known, T(s)) {
		return T(s)
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = string(k)
	}
	hint := "write one of " + strings.Join(words, ", ")
	if len(words) == 1 {
		hint = "write " + words[0]
	}
	if near := secret.Nearest(s, words); near != "" {
		hint = fmt.Sprintf("write %q", near)
	}
	o.d.fault(o.blame(name), fmt.Sprintf("%q of %s cannot be %s", name, o.where, quoted(s)), hint)
	return fallback
}
