package checklist_test

import (
	"testing"
	"time"

	"rekey/audit/audittest"
	"rekey/commands/checklist"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Guide: checklist/sentry
func TestSentry(t *testing.T) {
	t.Parallel()
	s, err := audittest.StartSentry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := start(t, checklist.Deps{SentryToken: s.Token})
	in := input(secret.HMACOverlap, secret.Check{Name: "No errors in Sentry", Kind: secret.CheckSentry, Within: soon, Every: often})
	in.Environment.Sentry = secret.Sentry{URL: s.URL(), Organization: s.Org, Project: s.Project}
	in.Place.Endpoints = []secret.Endpoint{{Path: "/api/revalidate/"}}

	// An issue that was there before and went on is not new.
	s.AddIssue(audittest.Issue{Title: "OldError", FirstSeen: in.Since.Add(-time.Hour), LastSeen: time.Now(), Count: 99})
	want(t, run(t, c, in), verify.Passed, "no new issue")

	s.AddIssue(audittest.Issue{Title: "TimeoutError: whatever", FirstSeen: in.Since.Add(20 * time.Minute), LastSeen: time.Now()})
	s.AddIssue(audittest.Issue{Title: "PermissionDenied with " + canary, Culprit: "/api/revalidate/", FirstSeen: in.Since.Add(time.Minute), LastSeen: in.Since.Add(time.Minute)})
	in.Place.Checks[0].Within = minute
	l := run(t, c, in)
	in.Place.Checks[0].Within = soon
	if l.Tries != 1 {
		t.Errorf("it took %d looks, but an issue does not go away", l.Tries)
	}
	want(t, l, verify.FailedCheck, "2 new issues since", `"PermissionDenied with [redacted]"), LEATHER-API-`)
	for _, title := range []string{"third", "fourth"} {
		s.AddIssue(audittest.Issue{Title: title})
	}
	want(t, run(t, c, in), verify.FailedCheck, "4 new issues", "1 more")

	s.Behave(audittest.Revoked)
	want(t, run(t, c, in), verify.UnknownCheck, "401")
	s.Behave(audittest.Garbage)
	want(t, run(t, c, in), verify.UnknownCheck, "not Sentry's API")
	want(t, run(t, start(t, checklist.Deps{}), in), verify.UnknownCheck, "token")
	in.Environment.Sentry.Project = ""
	want(t, run(t, c, in), verify.UnknownCheck, "incomplete")
	in.Environment.Sentry.URL = ""
	want(t, run(t, c, in), verify.UnknownCheck, "names no Sentry")
}

// TestSentryIsGivenTimeToSee: right after a change there is nothing to be seen yet.
func TestSentryIsGivenTimeToSee(t *testing.T) {
	t.Parallel()
	s, err := audittest.StartSentry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Now()
	looks := 0
	c := start(t, checklist.Deps{SentryToken: s.Token, Clock: func() time.Time {
		if looks++; looks%2 == 0 { // the client asks for the time as well
			return now
		}
		now = now.Add(3 * time.Second)
		return now
	}})
	in := input(secret.HMACOverlap, secret.Check{Kind: secret.CheckSentry, Within: minute, Every: often})
	in.Since = now
	in.Environment.Sentry = secret.Sentry{URL: s.URL(), Organization: s.Org, Project: s.Project}
	l := run(t, c, in)
	want(t, l, verify.Passed)
	if l.Tries < 2 {
		t.Errorf("it passed at the first look, %v after the change", now.Sub(in.Since))
	}
}
