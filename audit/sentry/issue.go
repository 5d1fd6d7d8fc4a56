package sentry

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/audit"
)

// Found is what Sentry answered, not yet ranked: the addresses worth looking for
// are known only when the logs have been read, and both are read at once.
type Found []wireIssue

// Rank answers the issues, those that mention a term first. Titles and culprits are
// cleaned; Count is the number of events in the window.
func (f Found) Rank(terms Terms) []audit.Issue {
	issues := make([]audit.Issue, 0, len(f))
	for _, w := range f {
		issues = append(issues, w.issue(terms))
	}
	byRelevance(issues)
	return issues
}

// OwnTitle is the title of rekey's own test events, which make an issue like any other.
const OwnTitle = "rekey: test of a client key"

// WithoutOwn leaves out the issue of rekey's own test events. Whoever holds a client
// key could title an event so too; that hides nothing but that event.
func (f Found) WithoutOwn() Found {
	return slices.DeleteFunc(slices.Clone(f), func(w wireIssue) bool { return w.Title == OwnTitle })
}

// Terms are what makes an issue relevant.
type Terms struct {
	Endpoints []string // paths the secret guards
	Addresses []string // addresses of strangers found elsewhere
}

// signatureWords are how code speaks of a signature that does not fit.
var signatureWords = []string{"signature", "hmac", "compare_digest", "x-signature"}

// wireIssue is the part of Sentry's issue that is used. count is a string;
// userCount a number.
type wireIssue struct {
	ID        string          `json:"id"`
	ShortID   string          `json:"shortId"`
	Title     string          `json:"title"`
	Culprit   string          `json:"culprit"`
	Level     string          `json:"level"`
	Count     json.RawMessage `json:"count"`
	UserCount int64           `json:"userCount"`
	FirstSeen time.Time       `json:"firstSeen"`
	LastSeen  time.Time       `json:"lastSeen"`
	Permalink string          `json:"permalink"`
	Metadata  struct {
		Value    string `json:"value"`
		Function string `json:"function"`
		Filename string `json:"filename"`
	} `json:"metadata"`
}

const maxText = 300 // runes of a title or culprit

func (w wireIssue) issue(terms Terms) audit.Issue {
	i := audit.Issue{
		ID: audit.Clean(w.ID, 40), ShortID: audit.Clean(w.ShortID, 80),
		Title: audit.Clean(w.Title, maxText), Culprit: audit.Clean(w.Culprit, maxText), Level: audit.Clean(w.Level, 20),
		Users: w.UserCount, First: w.FirstSeen.UTC(), Last: w.LastSeen.UTC(),
	}
	// Unparsable counts as 0: the issue is there all the same.
	i.Count, _ = strconv.ParseInt(strings.Trim(string(w.Count), `"`), 10, 64)
	if strings.HasPrefix(w.Permalink, "https://") || strings.HasPrefix(w.Permalink, "http://") {
		i.Link = w.Permalink
	}
	i.Mentions, i.Relevance = mentions(w, terms)
	return i
}

// mentions finds the terms in an issue's words and weighs them: an endpoint says
// most, then the signature, then an address.
func mentions(w wireIssue, terms Terms) (found []string, weight int) {
	text := strings.ToLower(strings.Join([]string{w.Title, w.Culprit, w.Metadata.Value, w.Metadata.Function, w.Metadata.Filename}, "\n"))
	for _, path := range terms.Endpoints {
		if trimmed := strings.Trim(strings.ToLower(path), "/"); trimmed != "" && strings.Contains(text, trimmed) {
			found, weight = append(found, path), weight+4
		}
	}
	for _, word := range signatureWords {
		if strings.Contains(text, word) {
			found, weight = append(found, word), weight+2
			break // one word for one idea
		}
	}
	for _, addr := range terms.Addresses {
		if holdsAddress(text, strings.ToLower(addr)) {
			found, weight = append(found, addr), weight+1
		}
	}
	return found, weight
}

// holdsAddress finds addr as a whole: 203.0.113.6 is not in 203.0.113.66.
func holdsAddress(text, addr string) bool {
	part := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c == ':' || c == '.'
	}
	for from := 0; addr != ""; {
		i := strings.Index(text[from:], addr)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(addr)
		// A full stop or colon after it ends a sentence unless more follows.
		free := end == len(text) || !part(text[end]) ||
			(text[end] == '.' || text[end] == ':') && (end+1 == len(text) || !part(text[end+1]) || text[end] == ':' && !strings.Contains(addr, ":"))
		if (start == 0 || !part(text[start-1]) || text[start-1] == ':' && !strings.Contains(addr, ":")) && free {
			return true
		}
		from = start + 1
	}
	return false
}

// byRelevance sorts the most relevant first, then the most recent.
func byRelevance(issues []audit.Issue) {
	slices.SortStableFunc(issues, func(a, b audit.Issue) int {
		return cmp.Or(cmp.Compare(b.Relevance, a.Relevance), b.Last.Compare(a.Last), cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
	})
}
