package bottest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Limits of Block Kit in messages (docs.slack.dev/reference/block-kit).
const (
	maxBlocks = 50
	// maxBlocksText is not published; it is where apps have seen msg_blocks_too_long (slackapi/bolt-js#2509).
	maxBlocksText = 13_200
)

// checkBlocks validates a message's blocks as Slack does: everything wrong at once, each with a JSON pointer.
func checkBlocks(raw json.RawMessage) *apiError {
	var list any
	if err := json.Unmarshal(raw, &list); err != nil {
		return violation("invalid_blocks_format")
	}
	blocks, ok := list.([]any)
	if !ok {
		return violation("invalid_blocks_format")
	}
	c := &checker{seen: map[string]bool{}}
	if len(blocks) > maxBlocks {
		c.fail("/blocks", "no more than %d items allowed", maxBlocks)
	}
	for i, b := range blocks {
		block(c, fmt.Sprintf("/blocks/%d", i), b)
	}
	if len(c.wrong) > 0 {
		return invalid("invalid_blocks", c.wrong)
	}
	if c.text > maxBlocksText || c.markdown > maxMarkdownLength {
		return violation("msg_blocks_too_long")
	}
	return nil
}

// checker collects what is wrong with one message's blocks.
type checker struct {
	wrong    []string
	seen     map[string]bool // block_id and, per block, action_id
	text     int             // characters of all texts
	markdown int             // characters of all markdown blocks
	tables   int
}

func (c *checker) fail(at, format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

// rule judges one JSON value found at a JSON pointer.
type rule func(c *checker, at string, v any)

// shape is an object with a closed set of fields.
type shape struct {
	required []string
	fields   map[string]rule
}

func (s shape) check(c *checker, at string, v any) {
	object, ok := v.(map[string]any)
	if !ok {
		c.fail(at, "must provide an object")
		return
	}
	for _, name := range s.required {
		if _, ok := object[name]; !ok {
			c.fail(at, "missing required field: %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch field, ok := s.fields[name]; {
		case name == "type":
		case !ok:
			c.fail(at, "invalid additional property: %s", name)
		default:
			field(c, at+"/"+name, object[name])
		}
	}
}

// oneOf picks the shape by the object's type.
func oneOf(shapes map[string]shape) rule {
	return func(c *checker, at string, v any) {
		kind := typeOf(v)
		s, ok := shapes[kind]
		if !ok {
			c.fail(at, "unsupported type: %s", kind)
			return
		}
		s.check(c, at, v)
	}
}

func typeOf(v any) string {
	object, _ := v.(map[string]any)
	kind, _ := object["type"].(string)
	return kind
}

// str is a string of 1 to most characters.
func str(most int) rule {
	return func(c *checker, at string, v any) {
		s, ok := v.(string)
		if !ok {
			c.fail(at, "must be a string")
			return
		}
		n := utf8.RuneCountInString(s)
		c.text += n
		if n == 0 {
			c.fail(at, "must be more than 0 characters")
		}
		if n > most {
			c.fail(at, "must be less than %d characters", most+1)
		}
	}
}

func enum(allowed ...string) rule {
	return func(c *checker, at string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(allowed, s) {
			c.fail(at, "must be a valid enum value")
		}
	}
}

func boolean(c *checker, at string, v any) {
	if _, ok := v.(bool); !ok {
		c.fail(at, "must be a boolean")
	}
}

func number(least, most float64) rule {
	return func(c *checker, at string, v any) {
		if n, ok := v.(float64); !ok || n < least || n > most {
			c.fail(at, "must be a number from %v to %v", least, most)
		}
	}
}

func list(least, most int, item rule) rule {
	return func(c *checker, at string, v any) {
		items, ok := v.([]any)
		if !ok {
			c.fail(at, "must be an array")
			return
		}
		if len(items) < least {
			c.fail(at, "no fewer than %d items allowed", least)
		}
		if len(items) > most {
			c.fail(at, "no more than %d items allowed", most)
		}
		for i, x := range items {
			item(c, fmt.Sprintf("%s/%d", at, i), x)
		}
	}
}

// unique is a name that may occur once in its scope: a block_id in the message, an action_id in its block.
func unique(scope func(at string) string) rule {
	length := str(255)
	return func(c *checker, at string, v any) {
		length(c, at, v)
		key := fmt.Sprintf("%s %v", scope(at), v)
		if c.seen[key] {
			c.fail(at, "already exists: %v", v)
		}
		c.seen[key] = true
	}
}

// address is a URL a client could open.
func address(c *checker, at string, v any) {
	str(3000)(c, at, v)
	if s, _ := v.(string); !isWebAddress(s) {
		c.fail(at, "must be a valid URL")
	}
}
