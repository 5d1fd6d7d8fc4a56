package logs

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey/audit/logs/logstest"
)

// writers answer one line of a format: about a request, its answer and its writer's habits.
var writers = map[string]struct {
	format Format
	line   func(at time.Time, ip, path string, status int, decoy string, r *rand.Rand) string
}{
	"caddy": {JSON, func(at time.Time, ip, path string, status int, decoy string, r *rand.Rand) string {
		return fmt.Sprintf(`{"level":"info","ts":%.7f,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":%q,"remote_port":"%d","client_ip":%q,"proto":"HTTP/2.0","method":"POST","host":"api.example.com","uri":%q,"headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 %s Safari/537.36"],"Accept":["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],"Accept-Encoding":["gzip, deflate, br"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"api.example.com"}},"bytes_read":0,"user_id":"","duration":0.00%d,"size":%d,"status":%d,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/html; charset=utf-8"]}}`,
			float64(at.UnixMicro())/1e6, ip, r.IntN(60000), ip, path, decoy, r.IntN(1000), r.IntN(90000), status)
	}},
	"nginx": {JSON, func(at time.Time, ip, path string, status int, decoy string, r *rand.Rand) string {
		return fmt.Sprintf(`{"time_iso8601":%q,"remote_addr":%q,"request_method":"POST","request_uri":%q,"status":"%d","body_bytes_sent":"%d","http_referer":"https://example.com/","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 %s Safari/537.36"}`,
			at.Format(time.RFC3339), ip, path, status, r.IntN(90000), decoy)
	}},
	"logfmt": {Logfmt, func(at time.Time, ip, path string, status int, decoy string, r *rand.Rand) string {
		return fmt.Sprintf(`time=%s level=info msg="handled request" method=POST path=%s status=%d bytes=%d duration=%dus remote_addr=%s user_agent="Mozilla/5.0 (X11; Linux x86_64) %s Safari/537.36"`,
			at.Format(time.RFC3339), path, status, r.IntN(90000), r.IntN(9000), ip, decoy)
	}},
	"pattern": {Custom, func(at time.Time, ip, path string, status int, decoy string, _ *rand.Rand) string {
		return fmt.Sprintf(`%s|%s|POST|%s|%d|-|Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 %s Safari/537.36`, at.Format(time.RFC3339), ip, path, status, decoy)
	}},
	"mixed": {Auto, func(at time.Time, ip, path string, status int, decoy string, r *rand.Rand) string {
		switch r.IntN(3) {
		case 0:
			return fmt.Sprintf(`{"time":%q,"ip":%q,"method":"POST","path":%q,"status":%d,"ua":"Mozilla/5.0 %s"}`, at.Format(time.RFC3339), ip, path, status, decoy)
		case 1:
			return fmt.Sprintf(`INFO %s views_seo revalidated 3 slugs for request %d from %s in %d ms`, at.Format("2006-01-02 15:04:05,000"), r.Uint32(), ip, r.IntN(500))
		}
		return fmt.Sprintf(`%s - - [%s] "POST %s HTTP/1.1" %d %d "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64) %s Safari/537.36"`, ip, at.Format("02/Jan/2006:15:04:05 -0700"), path, status, r.IntN(90000), decoy)
	}},
}

// writtenBy writes of a writer's lines: one in two hundred refused and one in two
// hundred a use, among decoys and paths with escapes.
func writtenBy(b *testing.B, name string) *File {
	b.Helper()
	size := int(logstest.Size(b, 256<<20))
	path := filepath.Join(b.TempDir(), name+".log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	at := midnight.Add(-7 * 24 * time.Hour)
	for done := 0; done < size; at = at.Add(100 * time.Millisecond) {
		ip, path, status, decoy := fmt.Sprintf("198.51.%d.%d", random.IntN(100), random.IntN(250)), fmt.Sprintf("/articles/%d/", random.IntN(50000)), 200, "(KHTML, like Gecko) Chrome/120"
		switch random.IntN(200) {
		case 0:
			status, path = 401, "/api/revalidate/"
		case 1:
			path = "/api/401/"
		case 2:
			decoy = `status 403`
		case 3:
			path = "/api/revalidate/"
		case 4, 5, 6:
			path += "?q=caf%C3%A9"
		}
		n, _ := fmt.Fprintln(w, writers[name].line(at, ip, path, status, decoy, random))
		done += n
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	l, err := Open(path, writers[name].format)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

// BenchmarkFormats scans whole logs of the formats with fields on one core, and tells
// megabytes for each second of the processor, which lasts when other work shares the
// machine.
func BenchmarkFormats(b *testing.B) {
	benchFormats(b, revalidate)
}

// BenchmarkFormatsEveryLine judges every line in full, which is what a scan costs where
// there is nothing to look for.
func BenchmarkFormatsEveryLine(b *testing.B) {
	benchFormats(b, append([]Endpoint{{Path: "/x"}}, revalidate...))
}

func benchFormats(b *testing.B, endpoints []Endpoint) {
	for _, name := range []string{"caddy", "nginx", "logfmt", "pattern", "mixed"} {
		b.Run(name, func(b *testing.B) {
			l := writtenBy(b, name)
			q := query(l.format)
			q.Workers, q.Endpoints = 1, endpoints
			countFound(b, l, q)
			b.ResetTimer()
			used := logstest.CPUTime(b)
			for b.Loop() {
				countFound(b, l, q)
			}
			used = logstest.CPUTime(b) - used
			b.ReportMetric(float64(l.Size())*float64(b.N)/1e6/used.Seconds(), "cpu-MB/s")
		})
	}
}
