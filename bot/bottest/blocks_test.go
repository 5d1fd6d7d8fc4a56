package bottest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/bot/bottest"
)

func TestBlocksThatSlackWouldRefuseAreRefused(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("é", n) }
	repeat := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	section := func(text string) string {
		return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, text)
	}
	button := func(fields string) string {
		return `{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Go"}` + fields + `}]}`
	}
	tests := map[string]struct {
		blocks string
		want   string // the error code, then what its list must hold
	}{
		"not JSON":                     {`[{`, "invalid_blocks_format"},
		"not a list":                   {`{"type":"divider"}`, "invalid_blocks_format"},
		"51 blocks":                    {"[" + repeat(51, `{"type":"divider"}`) + "]", "no more than 50 items allowed [json-pointer:/blocks]"},
		"unknown block":                {`[{"type":"marquee"}]`, "unsupported type: marquee [json-pointer:/blocks/0]"},
		"modal-only block":             {`[{"type":"alert","text":{"type":"plain_text","text":"x"}}]`, "unsupported type: alert"},
		"unknown field":                {`[{"type":"divider","colour":"red"}]`, "invalid additional property: colour [json-pointer:/blocks/0]"},
		"block that is no object":      {`["divider"]`, "unsupported type"},
		"section text too long":        {"[" + section(long(3001)) + "]", "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		"section text empty":           {"[" + section("") + "]", "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		"section with nothing":         {`[{"type":"section"}]`, "missing required field: text [json-pointer:/blocks/0]"},
		"section text a bare string":   {`[{"type":"section","text":"hello"}]`, "[json-pointer:/blocks/0/text]"},
		"11 fields":                    {`[{"type":"section","fields":[` + repeat(11, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		"field too long":               {`[{"type":"section","fields":[{"type":"mrkdwn","text":"` + long(2001) + `"}]}]`, "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"},
		"emoji on mrkdwn":              {`[{"type":"section","text":{"type":"mrkdwn","text":"x","emoji":true}}]`, "invalid additional property: emoji"},
		"verbatim on plain_text":       {`[{"type":"section","text":{"type":"plain_text","text":"x","verbatim":true}}]`, "invalid additional property: verbatim"},
		"unknown text type":            {`[{"type":"section","text":{"type":"html","text":"x"}}]`, "unsupported type: html"},
		"header of mrkdwn":             {`[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`, "unsupported type: mrkdwn"},
		"header too long":              {`[{"type":"header","text":{"type":"plain_text","text":"` + long(151) + `"}}]`, "must be less than 151 characters"},
		"header without text":          {`[{"type":"header"}]`, "missing required field: text"},
		"context of 11":                {`[{"type":"context","elements":[` + repeat(11, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "no more than 10 items allowed"},
		"context empty":                {`[{"type":"context","elements":[]}]`, "no fewer than 1 items allowed"},
		"button in a context":          {`[{"type":"context","elements":[{"type":"button","text":{"type":"plain_text","text":"x"}}]}]`, "unsupported type: button"},
		"actions of 26":                {`[{"type":"actions","elements":[` + repeat(26, `{"type":"button","text":{"type":"plain_text","text":"x"}}`) + `]}]`, "no more than 25 items allowed"},
		"text in actions":              {`[{"type":"actions","elements":[{"type":"mrkdwn","text":"x"}]}]`, "unsupported type: mrkdwn"},
		"button text too long":         {`[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"` + long(76) + `"}}]}]`, "must be less than 76 characters"},
		"button text in mrkdwn":        {`[{"type":"actions","elements":[{"type":"button","text":{"type":"mrkdwn","text":"x"}}]}]`, "unsupported type: mrkdwn"},
		"button value too long":        {"[" + button(`,"value":"`+long(2001)+`"`) + "]", "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
		"button url too long":          {"[" + button(`,"url":"https://x/`+long(3001)+`"`) + "]", "must be less than 3001 characters"},
		"button url not a URL":         {"[" + button(`,"url":"javascript:alert(1)"`) + "]", "must be a valid URL"},
		"button style":                 {"[" + button(`,"style":"warning"`) + "]", "must be a valid enum value"},
		"action_id too long":           {"[" + button(`,"action_id":"`+long(256)+`"`) + "]", "must be less than 256 characters"},
		"confirm without deny":         {"[" + button(`,"confirm":{"title":{"type":"plain_text","text":"x"},"text":{"type":"mrkdwn","text":"x"},"confirm":{"type":"plain_text","text":"x"}}`) + "]", "missing required field: deny"},
		"action_id twice in a block":   {`[{"type":"actions","elements":[` + repeat(2, `{"type":"button","action_id":"a","text":{"type":"plain_text","text":"x"}}`) + `]}]`, "already exists: a [json-pointer:/blocks/0/elements/1/action_id]"},
		"block_id twice":               {`[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`, "already exists: a [json-pointer:/blocks/1/block_id]"},
		"block_id too long":            {`[{"type":"divider","block_id":"` + long(256) + `"}]`, "must be less than 256 characters"},
		"image without alt_text":       {`[{"type":"image","image_url":"https://example.com/a.png"}]`, "missing required field: alt_text"},
		"image from a file":            {`[{"type":"image","image_url":"file:///etc/passwd","alt_text":"x"}]`, "must be a valid URL"},
		"rich text without elements":   {`[{"type":"rich_text"}]`, "missing required field: elements"},
		"rich text of unknown parts":   {`[{"type":"rich_text","elements":[{"type":"rich_text_poem","elements":[]}]}]`, "unsupported type: rich_text_poem"},
		"rich text with unknown run":   {`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"song"}]}]}]`, "unsupported type: song"},
		"rich text list style":         {`[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"stars","elements":[{"type":"rich_text_section","elements":[]}]}]}]`, "must be a valid enum value"},
		"two tables":                   {"[" + repeat(2, `{"type":"table","rows":[[{"type":"raw_text","text":"x"}]]}`) + "]", "only one table"},
		"table of 21 columns":          {`[{"type":"table","rows":[[` + repeat(21, `{"type":"raw_text","text":"x"}`) + `]]}]`, "no more than 20 items allowed"},
		"markdown blocks too long":     {`[{"type":"markdown","text":"` + long(7000) + `"},{"type":"markdown","text":"` + long(5001) + `"}]`, "msg_blocks_too_long"},
		"all blocks together too long": {"[" + repeat(5, section(long(2700))) + "]", "msg_blocks_too_long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, bottest.SlackConfig{})
			answer := call(t, s, "chat.postMessage", s.BotToken(), map[string]any{
				"channel": "devops-alerts", "text": "fallback", "blocks": tt.blocks,
			})
			said := []string{fmt.Sprint(answer["error"])}
			if list, ok := answer["errors"].([]any); ok {
				for _, x := range list {
					said = append(said, fmt.Sprint(x))
				}
			}
			if answer["ok"] != false || !slices.ContainsFunc(said, func(x string) bool { return strings.Contains(x, tt.want) }) {
				t.Errorf("answer = %v, want a refusal with %q", answer, tt.want)
			}
			if len(s.Channel("devops-alerts").All()) != 0 || len(s.Errors()) != 1 {
				t.Errorf("posted %v, errors %q", s.Channel("devops-alerts").All(), s.Errors())
			}
		})
	}
}

func TestBlocksAtTheirLimitsAreAccepted(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("é", n) }
	blocks := []any{
		map[string]any{"type": "header", "text": map[string]any{"type": "plain_text", "text": long(150), "emoji": true}},
		map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": long(3000), "verbatim": false}},
		map[string]any{"type": "section", "fields": []any{map[string]any{"type": "mrkdwn", "text": long(2000)}}},
		map[string]any{"type": "actions", "block_id": long(255), "elements": []any{
			map[string]any{
				"type": "button", "action_id": "same", "style": "danger", "value": long(2000), "url": "https://example.com/?q=1",
				"text": map[string]any{"type": "plain_text", "text": long(75)},
			},
		}},
		map[string]any{"type": "section", "text": map[string]any{"type": "plain_text", "text": "x"}, "accessory": map[string]any{
			"type": "button", "action_id": "same", "text": map[string]any{"type": "plain_text", "text": "Same id, other block"},
		}},
		map[string]any{"type": "context", "elements": []any{
			map[string]any{"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
			map[string]any{"type": "mrkdwn", "text": "x"},
		}},
	}
	for len(blocks) < 50 {
		blocks = append(blocks, map[string]any{"type": "divider"})
	}
	s := start(t, bottest.SlackConfig{})
	answer := call(t, s, "chat.postMessage", s.BotToken(), map[string]any{
		"channel": "devops-alerts", "text": "fallback", "blocks": blocks,
	})
	if answer["ok"] != true {
		t.Fatalf("answer = %v", answer)
	}
	noErrors(t, s)
	var kept []any
	if err := json.Unmarshal(s.Channel("devops-alerts").Messages()[0].Blocks, &kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(len(blocks), len(kept)); diff != "" {
		t.Errorf("blocks kept (-want +got):\n%s", diff)
	}
}
