package rehearsal_test

import (
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// After the rotation the attacker goes on with the stolen value: on-call is woken once,
// with the address, and the channel is told below the rotation's own message.
//
// Guide: practices/monitor
func TestTheOldValueIsWatchedAfterItsDeath(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		s.raise(func(c *app.Config) { c.WatchEvery = time.Second })
		s.asks("/rotate REVALIDATE_SECRET compromised found in a CI log")
		run := s.ends(s.app)
		mustEnd(t, run, ledger.Succeeded)
		s.PagerDuty.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")

		attack := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Attack: 4})
		s.Alerts.ExpectMessage(t, estatetest.AttackerAddr, "refused each time")
		s.within("on-call is woken", func() bool {
			for _, i := range s.PagerDuty.Incidents() {
				if i.DedupKey == render.DedupKey("w-"+run.ID) && i.Status == bottest.Triggered {
					return true
				}
			}
			return false
		})
		s.within("the attacker goes on for some looks", func() bool { return attack.Counts().Attacker.Refusals() > 12 })
		attack.Stop()
		if n := len(s.PagerDuty.Incidents()); n != 2 {
			t.Errorf("on-call has %d incidents, want the rotation's and the watch's", n)
		}
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)
	})
}
