package rehearsal_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
)

// The attacker was let in once, hours before anybody knew of the leak. The verdict says
// so, names the address and how it got in, and the picture below the board has it; an
// audit asked for later draws the rotation, too.
func TestOneEntryInTheNightIsFoundNamedAndDrawn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := curtain(t, rehearsal.Config{DatabaseURL: databaseURL, Estate: estatetest.Config{Past: true}})
		s.asks("/rotate REVALIDATE_SECRET compromised found in a CI log")
		run := s.ends(s.app)
		if run.State != ledger.Succeeded {
			t.Fatalf("the run ended %s: %s", run.State, run.Problem)
		}
		r := report(t, run)
		if r.Verdict.Outcome != audit.Misused || r.Strangers[audit.Used] != estatetest.PastAccepted {
			t.Errorf("verdict %s, %d accepted requests: %s", r.Verdict.Outcome, r.Strangers[audit.Used], r.Verdict.Sentence)
		}
		for _, want := range []string{estatetest.AttackerAddr + " was refused 6 times and then let in", "1 accepted request to /api/revalidate/"} {
			if !strings.Contains(r.Verdict.Sentence, want) {
				t.Errorf("the verdict does not say %q: %s", want, r.Verdict.Sentence)
			}
		}
		s.Alerts.ExpectMessage(t, "Who asked for what it guards", estatetest.AttackerAddr+" (not ours): let in 1 ×, refused 6 ×. Refused 6 × first")
		s.drawn(run, "Not ours, let in: 1 (between ", "not ours, refused: 6", "old value dead")

		s.typed(s.Bob, "/audit-secret REVALIDATE_SECRET since 20h")
		later := s.ends(s.app)
		if later.Kind != ledger.KindAudit {
			t.Fatalf("the newest run is %+v", later)
		}
		s.drawn(later, "Not ours, let in: 1 (between ", "rotation asked for", "new value in use", "old value dead")
		s.Slack.ExpectNoErrors(t)
	})
}

// drawn wants a chart below the run's board that says these words to those who cannot see
// it, and has red where it says so.
func (s *stage) drawn(run ledger.Run, words ...string) {
	t := s.t
	t.Helper()
	board := s.Alerts.ExpectMessage(t, "Run "+run.ID)
	var shown []bottest.File
	for _, m := range s.Alerts.Thread(board.TS) {
		shown = append(shown, m.Files...)
	}
	if len(shown) != 4 {
		t.Fatalf("%d files below the board of %s:\n%s", len(shown), run.ID, s.Alerts.Transcript())
	}
	for _, w := range words {
		if !strings.Contains(shown[0].Alt, w) {
			t.Errorf("the chart does not say %q: %s", w, shown[0].Alt)
		}
	}
	img, err := png.Decode(bytes.NewReader(shown[0].Content))
	if err != nil {
		t.Fatal(err)
	}
	red := 0
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if r, g, b, _ := img.At(x, y).RGBA(); r>>8 > 0xc0 && g>>8 < 0x20 && b>>8 < 0x40 {
				red++
			}
		}
	}
	if red < 300 {
		t.Errorf("%d red pixels tell of the entry", red)
	}
}
