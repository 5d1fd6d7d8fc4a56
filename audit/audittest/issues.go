package audittest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listIssues answers GET /api/0/organizations/{org}/issues/ as documented: numbers
// for projects, is:unresolved unless a query is given (even an empty one), ISO 8601
// for start and end (both or none), at most 100 a page, a cursor in the Link header.
func (s *Sentry) listIssues(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for _, project := range query["project"] {
		switch {
		case strings.Trim(project, "0123456789") != "" && project != "-1":
			detail(w, http.StatusBadRequest, "Invalid project parameter. Values must be numbers.")
			return
		case project != s.ProjectID && project != "-1":
			detail(w, http.StatusForbidden, "You do not have permission to perform this action.")
			return
		}
	}
	since, until, err := period(query)
	if err != nil {
		detail(w, http.StatusBadRequest, err.Error())
		return
	}
	limit := 100
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 100 {
			detail(w, http.StatusBadRequest, "Invalid value for limit: must be between 1 and 100.")
			return
		}
	}
	offset, err := cursor(query.Get("cursor"))
	if err != nil {
		detail(w, http.StatusBadRequest, "Invalid cursor parameter.")
		return
	}

	unresolvedOnly := !query.Has("query") || strings.Contains(query.Get("query"), "is:unresolved")
	s.mu.Lock()
	var found []numbered
	for n, i := range s.issues {
		inWindow := !i.LastSeen.Before(since) && i.FirstSeen.Before(until)
		if inWindow && !(unresolvedOnly && i.Resolved) {
			found = append(found, numbered{Issue: i, id: firstIssueID + n})
		}
	}
	s.mu.Unlock()
	slices.SortStableFunc(found, func(a, b numbered) int { return b.LastSeen.Compare(a.LastSeen) })

	from, to := min(offset, len(found)), min(offset+limit, len(found))
	w.Header().Set("Link", s.links(r.URL, offset, limit, len(found)))
	page := make([]map[string]any, 0, to-from)
	for _, i := range found[from:to] {
		page = append(page, s.wire(i))
	}
	answer(w, page)
}

type numbered struct {
	Issue
	id int
}

// wire is an issue as the API writes it. count is a string; userCount is not.
func (s *Sentry) wire(i numbered) map[string]any {
	status := "unresolved"
	if i.Resolved {
		status = "resolved"
	}
	id := strconv.Itoa(i.id)
	return map[string]any{
		"id": id, "shortId": strings.ToUpper(s.Project) + "-" + strconv.FormatInt(int64(i.id), 36),
		"title": i.Title, "culprit": i.Culprit, "level": i.Level, "status": status, "type": "error",
		"count": strconv.FormatInt(i.Count, 10), "userCount": i.Users,
		"firstSeen": i.FirstSeen.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"lastSeen":  i.LastSeen.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"permalink": s.URL() + "/organizations/" + s.Org + "/issues/" + id + "/",
		"metadata":  map[string]string{"type": "Error", "value": i.Value},
		"project":   map[string]string{"id": s.ProjectID, "slug": s.Project, "name": s.Project},
	}
}

// period reads statsPeriod, or start and end.
func period(query url.Values) (since, until time.Time, err error) {
	now := time.Now()
	if text := query.Get("statsPeriod"); text != "" {
		n, err := strconv.Atoi(text[:len(text)-1])
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[len(text)-1]]
		if err != nil || unit == 0 {
			return since, until, fmt.Errorf("Invalid statsPeriod: %q", text) //nolint:staticcheck // Sentry's wording
		}
		return now.Add(-time.Duration(n) * unit), now, nil
	}
	if !query.Has("start") && !query.Has("end") {
		return now.Add(-90 * 24 * time.Hour), now, nil
	}
	if !query.Has("start") || !query.Has("end") {
		return since, until, fmt.Errorf("start and end are both required") //nolint:staticcheck // Sentry's wording
	}
	if since, err = isoTime(query.Get("start")); err != nil {
		return since, until, err
	}
	if until, err = isoTime(query.Get("end")); err != nil {
		return since, until, err
	}
	if !since.Before(until) {
		return since, until, fmt.Errorf("start must be before end")
	}
	return since, until, nil
}

func isoTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a valid ISO8601 date query", text)
}

// cursor reads "0:100:0": an identifier, the row offset, and whether it leads back.
func cursor(text string) (offset int, err error) {
	if text == "" {
		return 0, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return 0, fmt.Errorf("bad cursor %q", text)
	}
	offset, err = strconv.Atoi(parts[1])
	if err != nil || offset < 0 {
		return 0, fmt.Errorf("bad cursor %q", text)
	}
	return offset, nil
}

// links is the Link header: both directions always, results saying whether to go.
func (s *Sentry) links(u *url.URL, offset, limit, total int) string {
	link := func(rel string, offset, back int, results bool) string {
		query := u.Query()
		cursor := fmt.Sprintf("0:%d:%d", offset, back)
		query.Set("cursor", cursor)
		return fmt.Sprintf(`<%s%s?%s>; rel="%s"; results="%t"; cursor="%s"`, s.URL(), u.Path, query.Encode(), rel, results, cursor)
	}
	return link("previous", max(0, offset-limit), 1, offset > 0) + ", " + link("next", offset+limit, 0, offset+limit < total)
}
