package checklist

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/sentry"
)

// ingestion is how long Sentry may take to show an event.
const ingestion = 10 * time.Second

// sentry asks for issues that were first seen since the change.
func (c *Checklist) sentry(ctx context.Context, in Input) finding {
	where := in.Environment.Sentry
	if where.URL == "" {
		return settled("the catalogue names no Sentry for %s", in.Environment.Name)
	}
	client, err := sentry.New(sentry.Config{
		URL: where.URL, Organization: where.Organization, Project: where.Project,
		Token: c.deps.SentryToken, HTTPClient: c.deps.SentryClient, Now: c.deps.Clock,
	})
	if err != nil {
		return settled("the catalogue's Sentry entry is incomplete; it needs url, organization and project")
	}
	now := c.deps.Clock()
	since := in.Since.Truncate(time.Second)
	found, gaps := client.Issues(ctx, audit.Window{Since: since, Until: now.Add(time.Second)})
	var fresh []audit.Issue
	for _, issue := range found.Rank(sentry.Terms{Endpoints: paths(in)}) {
		if !issue.First.Before(since) {
			fresh = append(fresh, issue)
		}
	}
	switch {
	case len(fresh) > 0:
		f := failed("%s since %s UTC: %s", audit.Count(len(fresh), "new issue"), since.UTC().Format(time.TimeOnly), c.titles(fresh))
		f.settled = true // an issue does not go away by waiting
		return f
	case len(gaps) > 0:
		return unknown("%s", strings.TrimSuffix(gaps[0].Why, "."))
	}
	f := passed("no new issue in %s since %s UTC", where.Project, since.UTC().Format(time.TimeOnly))
	f.early = now.Sub(in.Since) < ingestion
	return f
}

const (
	maxTitles  = 3
	titleRunes = 80
)

// titles names the first issues, those about the secret's endpoints in front. They are
// scrubbed before they are cut: half a value would not be known.
func (c *Checklist) titles(list []audit.Issue) string {
	var parts []string
	for _, i := range list[:min(maxTitles, len(list))] {
		title := []rune(c.deps.Guard.ScrubString(i.Title))
		if len(title) > titleRunes {
			title = append(title[:titleRunes-1], '…')
		}
		parts = append(parts, fmt.Sprintf("%s (%q)", i.ShortID, string(title)))
	}
	if more := len(list) - maxTitles; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// paths are the endpoints the secret guards.
func paths(in Input) []string {
	var list []string
	for _, e := range in.Place.Endpoints {
		list = append(list, e.Path)
	}
	return list
}
