package bottest

import (
	"regexp"
	"strings"
)

// span is a piece of a message's text with one look.
type span struct {
	look look
	text string
	link string // target of a link
}

type look int

const (
	normal look = iota
	bold
	italic
	strike
	code
	preformatted
	link
	mention
)

// The marks of docs.slack.dev, "Formatting message text". A mark needs something other than a word beside it, so that
// snake_case and 2*3*4 stay what they are.
var (
	markPattern = regexp.MustCompile("(?s)```(.+?)```|`([^`\n]+)`|<([^<>\n]+)>" +
		`|(?:^|[^\w*])\*([^*\n]+)\*|(?:^|\W)_([^_\n]+)_|(?:^|[^\w~])~([^~\n]+)~`)
	emojiPattern = regexp.MustCompile(`:[a-z0-9_+-]+:`)
	unescape     = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// emphasis is the look of the pattern's groups for emphasis.
var emphasis = map[int]look{4: bold, 5: italic, 6: strike}

// emoji are the short codes the bot's messages use; others are shown as they are written.
var emoji = map[string]string{
	":white_check_mark:": "✅", ":x:": "❌", ":warning:": "⚠️", ":rotating_light:": "🚨", ":hourglass_flowing_sand:": "⏳",
	":hourglass:": "⌛", ":lock:": "🔒", ":key:": "🔑", ":closed_lock_with_key:": "🔐", ":mag:": "🔍", ":bell:": "🔔",
	":pager:": "📟", ":arrows_counterclockwise:": "🔄", ":rewind:": "⏪", ":no_entry:": "⛔", ":grey_question:": "❔",
	":large_green_circle:": "🟢", ":red_circle:": "🔴", ":large_yellow_circle:": "🟡", ":black_circle:": "⚫",
	":white_circle:": "⚪", ":heavy_check_mark:": "✔️", ":information_source:": "ℹ️", ":shield:": "🛡️", ":skull:": "💀",
	":fast_forward:": "⏩", ":page_facing_up:": "📄", ":link:": "🔗", ":clipboard:": "📋", ":stopwatch:": "⏱️",
	":white_large_square:": "⬜", ":double_vertical_bar:": "⏸️", ":leftwards_arrow_with_hook:": "↩️", ":eyes:": "👀",
	":ballot_box_with_check:": "☑️", ":heavy_minus_sign:": "➖", ":grey_exclamation:": "❕", ":octagonal_sign:": "🛑",
}

// marked splits mrkdwn text into spans. names turns the id of a person or channel into what is shown.
func marked(text string, names func(id string) string) []span {
	var out []span
	for text != "" {
		at := markPattern.FindStringSubmatchIndex(text)
		if at == nil {
			return append(out, span{text: shown(text)})
		}
		group := 1
		for at[2*group] < 0 {
			group++
		}
		inner := text[at[2*group]:at[2*group+1]]
		// The text before the mark may include the one character the pattern looked at on its left.
		start := at[2*group] - len([]string{"", "```", "`", "<", "*", "_", "~"}[group])
		if start > 0 {
			out = append(out, span{text: shown(text[:start])})
		}
		switch group {
		case 1:
			out = append(out, span{look: preformatted, text: unescape.Replace(strings.Trim(inner, "\n"))})
		case 2:
			out = append(out, span{look: code, text: unescape.Replace(inner)})
		case 3:
			out = append(out, reference(inner, names))
		default:
			for _, x := range marked(inner, names) {
				if x.look == normal {
					x.look = emphasis[group]
				}
				out = append(out, x)
			}
		}
		text = text[at[1]:]
	}
	return out
}

// reference reads what stands between < and >.
func reference(inner string, names func(id string) string) span {
	target, label, labelled := strings.Cut(inner, "|")
	switch {
	case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
		return span{look: mention, text: target[:1] + names(target[1:])}
	case strings.HasPrefix(target, "!date^"):
		return span{text: shown(label)}
	case strings.HasPrefix(target, "!"):
		name, _, _ := strings.Cut(target[1:], "^")
		return span{look: mention, text: "@" + name}
	case labelled:
		return span{look: link, text: shown(label), link: unescape.Replace(target)}
	}
	return span{look: link, text: unescape.Replace(target), link: unescape.Replace(target)}
}

func shown(text string) string {
	return unescape.Replace(emojiPattern.ReplaceAllStringFunc(text, func(name string) string {
		if sign, ok := emoji[name]; ok {
			return sign
		}
		return name
	}))
}
