package document

import "encoding/json"

// scanner walks a text that is known to be valid JSON; so it looks for ends only.
type scanner struct {
	text string
	at   int
}

// object walks the object at p.at and answers its members.
func (p *scanner) object() []member {
	var members []member
	p.at++ // "{"
	for {
		m := member{lead: p.at}
		p.space()
		if p.text[p.at] == '}' {
			return members
		}
		m.key0 = p.at
		p.str()
		m.key1 = p.at
		_ = json.Unmarshal([]byte(p.text[m.key0:m.key1]), &m.key) // valid: all of the text is
		p.space()
		p.at++ // ":"
		p.space()
		m.value0 = p.at
		m.isString = p.text[p.at] == '"'
		p.value()
		m.value1 = p.at
		members = append(members, m)
		p.space()
		if p.text[p.at] == '}' {
			return members
		}
		p.at++ // ","
	}
}

// value walks any value.
func (p *scanner) value() {
	switch p.text[p.at] {
	case '"':
		p.str()
	case '{', '[':
		depth := 0
		for {
			switch p.text[p.at] {
			case '"':
				p.str()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			p.at++
			if depth == 0 {
				return
			}
		}
	default: // a number, true, false, null: up to what may follow a value
		for {
			switch p.text[p.at] {
			case ',', '}', ']', ' ', '\t', '\r', '\n':
				return
			}
			p.at++
		}
	}
}

// str walks a string.
func (p *scanner) str() {
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
}

func (p *scanner) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}
