package notify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/notify"
	"rekey/commands/journal"
)

func (w *world) page(t *testing.T, run string) string {
	t.Helper()
	return w.want(t, run, journal.PageTrigger, "page-trigger", "")
}

func (w *world) resolve(t *testing.T, run string) string {
	t.Helper()
	return w.want(t, run, journal.PageResolve, "page-resolve", "")
}

// Guide: support/on-call, emergency/notify
func TestOnCallIsPagedAndThePageResolved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	deliver(t, n, run+"/board")
	deliver(t, n, w.page(t, run))
	i := w.pager.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET in production is compromised")
	if i.DedupKey != "rekey/r-1" || i.Severity != "critical" || i.Source != "leather-api" || len(i.Links) != 1 {
		t.Errorf("incident %+v", i)
	}
	deliver(t, n, w.resolve(t, run))
	w.pager.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")
	if diff := cmp.Diff([]string{"told.slack posted", "told.pagerduty triggered", "told.pagerduty resolved"}, w.acts(t, run)); diff != "" {
		t.Error(diff)
	}
	if es := w.pager.Errors(); len(es) > 0 {
		t.Errorf("the stand-in saw %q", es)
	}
}

func TestAPageDoesNotWaitForSlack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	w.slack.Down(true)
	deliver(t, n, w.page(t, run))
	if i := w.pager.ExpectIncident(t, bottest.Triggered, "REVALIDATE_SECRET"); len(i.Links) != 0 {
		t.Errorf("links %v", i.Links)
	}
}

func TestAResolveNeverOvertakesAPage(t *testing.T) {
	t.Parallel()
	for name, pageOf := range map[string]string{"of its own run": "r-2", "of the incident's first run": "r-1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			n := w.replica(t, "a")
			w.run(t, "r-1", func(r *ledger.Run) { r.State = ledger.RolledBack })
			run := w.run(t, "r-2", func(r *ledger.Run) { r.Incident = "r-1" })
			page, resolve := w.page(t, pageOf), w.resolve(t, run)
			var later notify.RetryAfter
			if err := n.Deliver(t.Context(), resolve); !errors.As(err, &later) || later.Class != "waiting for the page" {
				t.Fatalf("before the page: %v", err)
			}
			if is := w.pager.Incidents(); len(is) != 0 {
				t.Fatalf("incidents %+v", is)
			}
			deliver(t, n, page)
			deliver(t, n, resolve)
			if is := w.pager.Incidents(); len(is) != 1 || is[0].Status != bottest.Resolved || is[0].DedupKey != "rekey/r-1" {
				t.Errorf("incidents %+v", is)
			}
		})
	}
}

func TestPagerDutyInTroubleDelaysThePage(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		make  func(*bottest.PagerDuty)
		check func(error) bool
	}{
		"down":     {func(p *bottest.PagerDuty) { p.Down(true) }, failedAs("unreachable")},
		"an error": {func(p *bottest.PagerDuty) { p.Fail(500, 1) }, failedAs("HTTP 500")},
		"garbage":  {func(p *bottest.PagerDuty) { p.Garbage(1) }, failedAs("garbled answer")},
		"lost":     {func(p *bottest.PagerDuty) { p.LoseResponse(1) }, failedAs("unreachable")},
		"slow":     {func(p *bottest.PagerDuty) { p.Slow(time.Second) }, failedAs("timed out")},
		"limited": {func(p *bottest.PagerDuty) { p.RateLimit(1, 3*time.Second) }, func(err error) bool {
			var later notify.RetryAfter
			return errors.As(err, &later) && later.Delay == 3*time.Second && later.Class == "rate limited"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			n := w.replica(t, "a", within(300*time.Millisecond))
			run := w.run(t, "r-1", nil)
			page := w.page(t, run)
			trouble.make(w.pager)
			if err := n.Deliver(t.Context(), page); !trouble.check(err) {
				t.Errorf("in trouble: %v", err)
			}
			w.pager.Heal()
			w.pager.Down(false)
			deliver(t, n, page)
			if is := w.pager.Incidents(); len(is) != 1 || is[0].Status != bottest.Triggered {
				t.Errorf("incidents %+v", is)
			}
		})
	}
}

func failedAs(class string) func(error) bool {
	return func(err error) bool {
		var failed notify.Failed
		return errors.As(err, &failed) && failed.Class == class
	}
}

func TestAWrongRoutingKeyNeedsAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a", withRoutingKey("0123456789abcdef0123456789abcdef"))
	page := w.page(t, w.run(t, "r-1", nil))
	var mend notify.Permanent
	if err := n.Deliver(t.Context(), page); !errors.As(err, &mend) {
		t.Errorf("wrong routing key: %v", err)
	}
	if d := w.delivery(t, page); d.LastError != mend.Class || d.Holder != "" {
		t.Errorf("delivery %+v", d)
	}
}

func TestAVendorThatIsNotConfiguredKeepsItsDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	w.replica(t, "a")
	run := w.run(t, "r-1", nil)
	n := bare(t, w, "a")
	var mend notify.Permanent
	for _, id := range []string{run + "/board", w.page(t, run)} {
		if err := n.Deliver(t.Context(), id); !errors.As(err, &mend) {
			t.Errorf("%s: %v", id, err)
		}
		if d := w.delivery(t, id); d.Sent != 0 || d.Holder != "" {
			t.Errorf("delivery %+v", d)
		}
	}
}
