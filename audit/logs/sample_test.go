package logs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/audit"
)

// What a server holds whose format does not say so is told by a sample and by the records,
// and where there is no sample it is said to be unknown.
func TestLinesSample(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	q := Query{Window: audit.Window{Since: noon, Until: noon.Add(time.Hour)}, Endpoints: []Endpoint{{Path: "/a"}}}
	const (
		request = `{"time":"2026-11-22T12:10:00Z","remote_addr":"192.0.2.5","method":"GET","path":"/b","status":200}`
		guarded = `{"time":"2026-11-22T12:10:00Z","remote_addr":"192.0.2.5","method":"GET","path":"/a","status":200}`
		message = `{"time":"2026-11-22T12:10:00Z","level":"info","message":"working"}`
	)
	many := func(line string) []string { return slices.Repeat([]string{line}, SampleEnough) }
	for name, tt := range map[string]struct {
		format                      Format
		taken                       []string
		sample                      []string // at the end of the window
		before                      []string // at its beginning
		err                         error
		sampled, messages, requests int64
		why                         string // of the gap; "" for none
		left                        audit.Coverage
	}{
		"requests":                   {JSON, nil, []string{request, request, message}, []string{"not asked for"}, nil, 3, 1, 2, "", 0},
		"records count too":          {JSON, []string{guarded}, []string{message}, []string{"not asked for"}, nil, 1, 1, 1, "", 0},
		"messages of several lines":  {JSON, nil, []string{message + "\n" + request + "\n\n", "Traceback"}, nil, nil, 3, 1, 1, "", 0},
		"buried":                     {JSON, nil, many("goroutine 1"), []string{request}, nil, SampleEnough + 1, 0, 1, "", 0},
		"few":                        {JSON, nil, []string{message}, []string{"not asked for"}, nil, 1, 1, 0, "", 0},
		"messages at both ends":      {JSON, nil, many(message), []string{message}, nil, SampleEnough + 1, SampleEnough + 1, 0, "", 0},
		"gibberish":                  {JSON, nil, many("hello"), []string{"world"}, nil, SampleEnough + 1, 0, 0, "", 0},
		"nothing":                    {JSON, nil, nil, []string{"not asked for"}, nil, 0, 0, 0, "No line of it", audit.Unseen},
		"empty lines":                {Auto, nil, []string{"", " \n"}, nil, nil, 0, 0, 0, "No line of it", audit.Unseen},
		"it says by itself":          {Access, nil, []string{"hello"}, nil, errors.New("x"), 0, 0, 0, "", 0},
		"it failed in between":       {JSON, nil, []string{message}, nil, &Fault{Why: "Loki is failing."}, 0, 0, 0, "could not be looked at: Loki is failing.", audit.Partial},
		"it failed, no one says why": {JSON, nil, nil, nil, errors.New("secret"), 0, 0, 0, "could not be looked at; ask again", audit.Partial},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines, err := NewLines("Loki", tt.format, q, func(Record) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range tt.taken {
				if err := lines.Take([]byte(line), noon.Add(10*time.Minute), ""); err != nil {
					t.Fatal(err)
				}
			}
			lines.Sample(noon, noon.Add(time.Hour), func(before time.Time, look func([]byte, time.Time)) error {
				sample := tt.sample
				if before.Equal(noon) {
					sample = tt.before
				}
				for _, line := range sample {
					look([]byte(line), noon)
				}
				return tt.err
			})
			var s Stats
			lines.Tell(&s)
			if s.Sampled != tt.sampled || s.Messages != tt.messages || s.Requests != tt.requests || s.Matched != int64(len(tt.taken)) {
				t.Errorf("%+v", s)
			}
			if tt.why == "" && len(s.Gaps) > 0 || tt.why != "" && (len(s.Gaps) != 1 || !strings.Contains(s.Gaps[0].Why, tt.why) || s.Gaps[0].Left != tt.left) || strings.Contains(fmt.Sprint(s.Gaps), "secret") {
				t.Errorf("gaps %+v, want %q", s.Gaps, tt.why)
			}
		})
	}
}
