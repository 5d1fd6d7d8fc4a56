package bottest

import (
	"net/url"
	"strings"
)

// The shapes below are docs.slack.dev/reference/block-kit, as far as messages may hold them: one entry per block,
// element and composition object. A type that is not here is refused, so a new one has to be read up before it is used.

func block(c *checker, at string, v any) {
	switch typeOf(v) {
	case "section":
		object, _ := v.(map[string]any)
		if object["text"] == nil && object["fields"] == nil {
			c.fail(at, "missing required field: text")
		}
	case "markdown":
		object, _ := v.(map[string]any)
		text, _ := object["text"].(string)
		c.markdown += len([]rune(text))
	case "table":
		if c.tables++; c.tables > 1 {
			c.fail(at, "only one table is allowed in a message")
		}
	}
	oneOf(blockShapes())(c, at, v)
}

func blockShapes() map[string]shape {
	id := unique(func(string) string { return "block_id" })
	shapes := map[string]shape{
		"section": {fields: map[string]rule{
			"text": text(3000), "fields": list(1, 10, text(2000)), "accessory": element("accessory"), "expand": boolean,
		}},
		"header":  {required: []string{"text"}, fields: map[string]rule{"text": plain(150), "level": number(1, 4)}},
		"divider": {fields: map[string]rule{}},
		"context": {required: []string{"elements"}, fields: map[string]rule{
			"elements": list(1, 10, element("context")),
		}},
		"actions": {required: []string{"elements"}, fields: map[string]rule{
			"elements": list(1, 25, element("actions")),
		}},
		"image": {required: []string{"image_url", "alt_text"}, fields: map[string]rule{
			"image_url": address, "alt_text": str(2000), "title": plain(2000),
		}},
		"markdown": {required: []string{"text"}, fields: map[string]rule{"text": str(maxMarkdownLength)}},
		"rich_text": {required: []string{"elements"}, fields: map[string]rule{
			"elements": list(1, 1000, oneOf(richTextShapes())),
		}},
		"table": {required: []string{"rows"}, fields: map[string]rule{
			"rows": list(1, 100, list(1, 20, cell)),
			"column_settings": list(0, 20, shape{fields: map[string]rule{
				"align": enum("left", "center", "right"), "is_wrapped": boolean,
			}}.orNull),
		}},
	}
	for _, s := range shapes {
		s.fields["block_id"] = id
	}
	return shapes
}

// orNull accepts null as well: a table's column settings may skip a column.
func (s shape) orNull(c *checker, at string, v any) {
	if v != nil {
		s.check(c, at, v)
	}
}

func cell(c *checker, at string, v any) {
	oneOf(map[string]shape{
		"raw_text": {required: []string{"text"}, fields: map[string]rule{"text": str(3000)}},
		"rich_text": {required: []string{"elements"}, fields: map[string]rule{
			"elements": list(1, 1000, oneOf(richTextShapes())),
		}},
	})(c, at, v)
}

// element is an interactive or visual element; place says which may stand there.
func element(place string) rule {
	image := shape{required: []string{"image_url", "alt_text"}, fields: map[string]rule{
		"image_url": address, "alt_text": str(2000),
	}}
	if place == "context" {
		texts := textShapes(3000)
		texts["image"] = image
		return oneOf(texts)
	}
	// An action_id is unique within its block: the pointer's first two parts, /blocks/N.
	action := unique(func(at string) string { return strings.Join(strings.SplitN(at, "/", 4)[:3], "/") })
	shapes := map[string]shape{
		"button": {required: []string{"text"}, fields: map[string]rule{
			"text": plain(75), "action_id": action, "url": address, "value": str(2000),
			"style": enum("primary", "danger"), "confirm": confirm, "accessibility_label": str(75),
		}},
		"static_select": {required: []string{"options"}, fields: map[string]rule{
			"placeholder": plain(150), "action_id": action, "options": list(1, 100, option),
			"initial_option": option, "confirm": confirm, "focus_on_load": boolean,
		}},
		"overflow": {required: []string{"options"}, fields: map[string]rule{
			"action_id": action, "options": list(1, 5, option), "confirm": confirm,
		}},
	}
	if place == "accessory" {
		shapes["image"] = image
	}
	return oneOf(shapes)
}

func option(c *checker, at string, v any) {
	shape{required: []string{"text", "value"}, fields: map[string]rule{
		"text": text(75), "value": str(150), "description": plain(75), "url": address,
	}}.check(c, at, v)
}

func confirm(c *checker, at string, v any) {
	shape{required: []string{"title", "text", "confirm", "deny"}, fields: map[string]rule{
		"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30), "style": enum("primary", "danger"),
	}}.check(c, at, v)
}

func textShapes(most int) map[string]shape {
	return map[string]shape{
		"plain_text": {required: []string{"text"}, fields: map[string]rule{"text": str(most), "emoji": boolean}},
		"mrkdwn":     {required: []string{"text"}, fields: map[string]rule{"text": str(most), "verbatim": boolean}},
	}
}

func text(most int) rule { return oneOf(textShapes(most)) }

func plain(most int) rule {
	return oneOf(map[string]shape{"plain_text": textShapes(most)["plain_text"]})
}

// richTextShapes are the four objects a rich_text block is made of.
func richTextShapes() map[string]shape {
	inline := list(0, 1000, oneOf(inlineShapes()))
	section := shape{required: []string{"elements"}, fields: map[string]rule{"elements": inline}}
	return map[string]shape{
		"rich_text_section": section,
		"rich_text_quote": {required: []string{"elements"}, fields: map[string]rule{
			"elements": inline, "border": number(0, 1),
		}},
		"rich_text_preformatted": {required: []string{"elements"}, fields: map[string]rule{
			"elements": inline, "border": number(0, 1), "language": str(100),
		}},
		"rich_text_list": {required: []string{"elements", "style"}, fields: map[string]rule{
			"elements": list(1, 1000, oneOf(map[string]shape{"rich_text_section": section})),
			"style":    enum("bullet", "ordered"), "indent": number(0, 8), "offset": number(0, 1e6), "border": number(0, 1),
		}},
	}
}

func inlineShapes() map[string]shape {
	style := shape{fields: map[string]rule{
		"bold": boolean, "italic": boolean, "strike": boolean, "code": boolean, "underline": boolean,
	}}.check
	shapes := map[string]shape{
		"text":      {required: []string{"text"}, fields: map[string]rule{"text": str(12_000)}},
		"link":      {required: []string{"url"}, fields: map[string]rule{"url": address, "text": str(3000), "unsafe": boolean}},
		"emoji":     {required: []string{"name"}, fields: map[string]rule{"name": str(255), "unicode": str(255)}},
		"user":      {required: []string{"user_id"}, fields: map[string]rule{"user_id": str(255)}},
		"channel":   {required: []string{"channel_id"}, fields: map[string]rule{"channel_id": str(255)}},
		"broadcast": {required: []string{"range"}, fields: map[string]rule{"range": enum("here", "channel", "everyone")}},
		"date": {required: []string{"timestamp", "format"}, fields: map[string]rule{
			"timestamp": number(0, 1e12), "format": str(255), "url": address, "fallback": str(255),
		}},
	}
	for _, s := range shapes {
		s.fields["style"] = style
	}
	return shapes
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "mailto") &&
		(u.Host != "" || u.Opaque != "")
}
