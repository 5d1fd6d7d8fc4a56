package render

import (
	"cmp"
	"fmt"

	"github.com/slack-go/slack"
)

// Slack's limits (docs.slack.dev/reference/block-kit, chat.postMessage), a little
// below where counting could differ.
const (
	maxHeader  = 150
	maxSection = 2900 // of 3000
	maxBlocks  = 50
	maxText    = 900   // of 4000: it is a notification
	maxPage    = 11000 // all text of one message: the total Slack takes is not documented
)

// page collects blocks within Slack's limits. What no longer fits is left out from
// the end; callers put what matters first or bound what comes before it.
type page struct {
	blocks []slack.Block
	used   int
	most   int // instead of maxPage
}

func (p *page) room(n int) bool {
	return len(p.blocks) < maxBlocks && p.used+n <= cmp.Or(p.most, maxPage)
}

func (p *page) header(s string) {
	p.blocks = append(p.blocks, slack.NewHeaderBlock(
		slack.NewTextBlockObject(slack.PlainTextType, cut(s, maxHeader), false, false)))
	p.used += maxHeader
}

func (p *page) section(m mark) {
	if m == "" || !p.room(len(m)) {
		return
	}
	p.blocks = append(p.blocks, slack.NewSectionBlock(mrkdwn(m), nil, nil))
	p.used += width(string(m))
}

func (p *page) context(m mark) {
	if m == "" || !p.room(len(m)) {
		return
	}
	p.blocks = append(p.blocks, slack.NewContextBlock("", mrkdwn(m)))
	p.used += width(string(m))
}

func (p *page) divider() {
	if p.room(0) {
		p.blocks = append(p.blocks, slack.NewDividerBlock())
	}
}

// lines adds as many of ls as fit budget units, several to a section, and says how
// many more there are.
func (p *page) lines(title mark, ls []mark, budget int) {
	if len(ls) == 0 {
		return
	}
	chunk := title
	flush := func() {
		p.section(chunk)
		chunk = ""
	}
	used := 0
	for i, l := range ls {
		w := width(string(l)) + 1
		if used+w > budget {
			chunk = add(chunk, mark(fmt.Sprintf("… and %d more", len(ls)-i)))
			break
		}
		used += w
		if width(string(chunk))+w+20 > maxSection { // 20: room for the line above
			flush()
		}
		chunk = add(chunk, l)
	}
	flush()
}

func add(chunk, line mark) mark {
	if chunk == "" {
		return line
	}
	return chunk + "\n" + line
}

func (p *page) message(text string) Message {
	return Message{Text: fit(clean(text), maxText, escape), Blocks: p.blocks}
}

// mrkdwn is verbatim: Slack turns nothing in it into links or mentions by itself.
func mrkdwn(m mark) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, string(m), false, true)
}
