package render

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"rekey/audit/ledger"
)

// Limits of PagerDuty's Events API v2.
const (
	maxSummary = 1024
	maxDedup   = 255
	maxDetail  = 1000 // ours: an event may have 512 KB in all
)

// Trigger is the event that pages on-call for the run's incident. source says whose
// estate it is; link is the board's address, "" while it is not known. The routing
// key is the sender's to add.
func Trigger(s Scene, source, link string) pagerduty.V2Event {
	r := s.Run
	if source = cut(clean(source), 255); source == "" {
		source = "rekey"
	}
	e := pagerduty.V2Event{
		Action:   "trigger",
		DedupKey: DedupKey(r.Incident),
		Client:   "rekey",
		Payload: &pagerduty.V2Payload{
			Summary:   cut(pageSummary(s), maxSummary),
			Source:    source,
			Severity:  severity(r),
			Timestamp: r.CreatedAt.UTC().Format(time.RFC3339),
			Component: cut(clean(r.Secret), 255),
			Group:     cut(clean(r.Environment), 255),
			Class:     pageClass(r),
			Details:   pageDetails(s),
		},
	}
	if link != "" {
		e.ClientURL = link
		e.Links = []any{map[string]string{"href": link, "text": "The run in Slack"}}
	}
	return e
}

// Resolve is the event that ends the run's incident.
func Resolve(s Scene) pagerduty.V2Event {
	return pagerduty.V2Event{Action: "resolve", DedupKey: DedupKey(s.Run.Incident)}
}

// DedupKey names an incident to PagerDuty, the same for all its runs and retries.
func DedupKey(incident string) string {
	key := "rekey/" + clean(incident)
	if len(key) <= maxDedup {
		return key
	}
	sum := sha256.Sum256([]byte(incident))
	return "rekey/" + hex.EncodeToString(sum[:])
}

func severity(r ledger.Run) string {
	if r.Mode == "compromised" {
		return "critical"
	}
	return "error"
}

func pageClass(r ledger.Run) string {
	if r.Mode == "compromised" {
		return "compromised secret"
	}
	return "failed verification"
}

func pageSummary(s Scene) string {
	if s.Run.Kind == ledger.KindBatch {
		return batchHeadline(s)
	}
	r := s.Run
	name := cut(clean(r.Secret), 200) + " in " + cut(clean(r.Environment), 80)
	switch {
	case r.Problem != "":
		return name + ": " + runWords(r) + ". " + clean(r.Problem)
	case r.Mode == "compromised":
		return name + " is compromised: " + runWords(r)
	}
	return name + ": " + runWords(r)
}

func pageDetails(s Scene) map[string]string {
	r := s.Run
	d := map[string]string{
		"secret":      r.Secret,
		"environment": r.Environment,
		"run":         r.ID,
		"mode":        r.Mode,
		"state":       runWords(r),
		"asked_by":    who(r.Actor),
		"reason":      r.Reason,
		"problem":     r.Problem,
		"step":        currentStep(s.Steps),
	}
	if m, ok := worst(s); ok {
		s.Report = m.Report
		d["verdict_about"] = m.Run.Secret
	}
	if s.Report != nil {
		_, word := verdictWords(s.Report.Verdict.Outcome)
		d["verdict"] = word
		d["verdict_sentence"] = s.Report.Verdict.Sentence
	}
	if r.Kind == ledger.KindBatch {
		d["state"] = batchWords(s)
		_, stopped := tell(s, ledger.Failed)
		d["stopped"] = strings.Join(stopped, ", ")
	}
	for k, v := range d {
		if v = cut(clean(v), maxDetail); v == "" {
			delete(d, k)
		} else {
			d[k] = v
		}
	}
	return d
}

// currentStep is the step people should look at: the first failed, else the first
// running one.
func currentStep(steps []ledger.Step) string {
	for _, want := range []ledger.StepState{ledger.StepFailed, ledger.StepRunning} {
		for _, s := range steps {
			if s.State == want {
				return s.Title
			}
		}
	}
	return ""
}
