package logs

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestBelongs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base string
		yes  string
		no   string
	}{
		{
			"access.log",
			"access.log access.log.1 access.log.2.gz access.log.10.zst access.log-20261122 access.log-20261122.gz access.log.2026-11-22 " +
				"access.log.2026-11-22_19-35 access.log-2026112219 access.log-1795305600 access-2026-11-22.log access-2026-11-22.log.gz " +
				"access-20261122.log access.2026-11-22.log access-2026-11-22T19-35-18.123.log.gz access__2026-11-22_00-00-00.log access.1.log " +
				"access.log.gz access-2026-11-22.log.1 access-2026-11-22.3.log access.log.3.bz2 access.log.4.xz",
			"access.logs access.log.bak access.log~ access2.log error.log access-8080.log access-2026-13-22.log access-2026-11-32.log " +
				"access.log.1.swp admin-access.log.1 access.log.old access",
		},
		{"syslog", "syslog syslog.1 syslog.2.gz syslog-20261122", "syslog.d mysyslog.1"},
		{"access-2026-11-22.log", "access-2026-11-22.log access-2026-11-22.log.1 access-2026-11-22.log.gz", "access-2026-11-21.log access.log"},
	} {
		for name := range strings.FieldsSeq(test.yes) {
			if m, ok := belongs(name, test.base); !ok || m.base != test.base {
				t.Errorf("%s is no part of %s: %+v", name, test.base, m)
			}
		}
		for name := range strings.FieldsSeq(test.no) {
			if m, ok := belongs(name, test.base); ok {
				t.Errorf("%s is a part of %s: %+v", name, test.base, m)
			}
		}
	}
}

func TestFamily(t *testing.T) {
	t.Parallel()
	beside := strings.Fields("access.log worker-1.log worker-2.log app.log syslog")
	for name, want := range map[string]string{
		"access.log":               "access.log",
		"access.log.12.gz":         "access.log",
		"access-2026-11-22.log":    "access.log",
		"gone-2026-11-22.log.gz":   "gone.log",
		"gone-2026-11-22.log.1.gz": "gone.log",
		"app.3.log":                "app.log",
		"worker.3.log":             "worker.3.log",
		"worker-1.log":             "worker-1.log",
		"syslog.1":                 "syslog",
		"host-10.0.0.1":            "host-10.0.0.1",
		"gunicorn.log.1":           "gunicorn.log",
	} {
		if got := family(name, func(n string) bool { return slices.Contains(beside, n) }); got.base != want {
			t.Errorf("%s belongs to %s, want %s", name, got.base, want)
		}
	}
}

// fake is a file as a listing shows it, named with when it was last written to.
type fake struct {
	os.FileInfo
	at time.Time
}

func (f fake) ModTime() time.Time { return f.at }
func (fake) Sys() any             { return nil }

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	for _, want := range []string{
		"access.log access.log.1 access.log.2.gz access.log.10.gz",
		"access.log access.log-20261122 access.log-20261121.gz access.log-20251231.gz",
		"access.log access.log.2026-11-22 access.log.2026-11-21_23",
		"app.log app-2026-11-22.2.log app-2026-11-22.1.log app-2026-11-21.7.log.gz",
		"access.log access.log-1795305600 access.log-20261121", // November 22 in seconds
		"access.log access.log-20261122 access.log.1",          // by time, as the names cannot be compared
		"app.log app.3.log app.2.log app.1.log",                // written to in this order
	} {
		base, _, _ := strings.Cut(want, " ")
		var list []candidate
		at := midnight
		for name := range strings.FieldsSeq(want) {
			m, ok := belongs(name, base)
			if !ok {
				t.Fatalf("%s is no part of %s", name, base)
			}
			at = at.Add(-time.Hour)
			list = append(list, candidate{member: m, name: name, info: fake{at: at}})
		}
		slices.Reverse(list)
		var got []string
		for _, c := range newestFirst(list) {
			got = append(got, c.name)
		}
		if diff := gocmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
