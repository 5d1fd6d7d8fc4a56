package usage

import (
	"bufio"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"
)

// series names one line of a page of metrics.
//
// Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
type series struct {
	name   string
	labels map[string]string
}

// parseSeries reads name{label="value",…}.
func parseSeries(text string) (series, error) {
	s, rest, err := cutSeries(strings.TrimSpace(text))
	if err != nil || rest != "" || s.name == "" {
		return series{}, errSeries
	}
	return s, nil
}

// cutSeries reads a series from the front of text. The order of labels means nothing.
func cutSeries(text string) (s series, rest string, err error) {
	end := strings.IndexAny(text, "{ \t")
	if end < 0 {
		return series{name: text}, "", nil
	}
	s.name, text = text[:end], strings.TrimLeft(text[end:], " \t")
	if text, found := strings.CutPrefix(text, "{"); found {
		s.labels, rest, err = cutLabels(text)
		return s, rest, err
	}
	return s, text, nil
}

// cutLabels reads labels up to and with the closing brace.
func cutLabels(text string) (labels map[string]string, rest string, err error) {
	labels = map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t,")
		if rest, ok := strings.CutPrefix(text, "}"); ok {
			return labels, rest, nil
		}
		name, after, ok := strings.Cut(text, "=")
		after = strings.TrimLeft(after, " \t")
		if !ok || !strings.HasPrefix(after, `"`) {
			return nil, "", errSeries
		}
		value, after, ok := cutQuoted(after[1:])
		if !ok {
			return nil, "", errSeries
		}
		labels[strings.TrimSpace(name)], text = value, after
	}
}

// cutQuoted reads a label's value up to its closing quote. Escapes are \\, \" and \n.
func cutQuoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			if i++; text[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// find reads a page for a series' value.
func find(page io.Reader, wanted series) (value float64, found bool, err error) {
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, wanted.name) {
			continue
		}
		s, rest, err := cutSeries(line)
		if err != nil || s.name != wanted.name || !maps.Equal(s.labels, wanted.labels) {
			continue
		}
		fields := strings.Fields(rest) // a timestamp or an exemplar may follow
		if len(fields) == 0 {
			return 0, false, errSeries
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			return 0, false, errSeries
		}
		return value, true, nil
	}
	return 0, false, lines.Err()
}
