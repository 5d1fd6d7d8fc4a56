package config

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// scalar answers a text as written; numbers are texts where a text is wanted.
func scalar(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "a text"
}

// quoted shows a text of the file unless it might be a secret.
func quoted(s string) string {
	if len(s) > 80 || secret.MaskTokens(s) != s {
		return "what is written here"
	}
	return strconv.Quote(s)
}

// shownPath shows a path unless it is no path at all: file names are long and random
// enough to look like tokens.
func shownPath(p string) string {
	if len(p) > 1024 || !strings.Contains(p, "/") || matchesForm(p) {
		return quoted(p)
	}
	return strconv.Quote(p)
}
