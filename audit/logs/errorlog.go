package logs

import "sync"

// Patterns of the error logs of servers, which tell in words what they refused themselves;
// where the access log of a location is switched off they are all there is. Each is of the
// messages of which the client's address cannot be a visitor's words: what comes before it
// has none, or a user's name, which the header it comes in ends at a colon.
const (
	// NginxErrors is of ngx_http_access_module, ngx_http_auth_basic_module and
	// ngx_http_autoindex_module, behind what ngx_log_error_core and ngx_http_log_error write
	// around a message (nginx 1.22).
	NginxErrors = `(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[error\] \d+#\d+: \*\d+ ` +
		`(?:(?P<forbidden>access forbidden by rule|directory index of "[^"]*" is forbidden)` +
		`|(?P<unauthorized>user "[^:]*"(?:: password mismatch| was not found in "[^"]*")))` +
		`, client: (?P<addr>[^, ]+), server: [^,]*, request: "(?P<request>[^"]*)"`
	// ApacheErrors is of mod_authz_core, mod_access_compat, mod_autoindex and mod_auth_basic in
	// the default ErrorLogFormat (Apache 2.4). The numbers are those of docs/log-message-tags.
	// Some name the file and not the path that was asked for.
	ApacheErrors = `\[(?P<time>\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4})\] \[\w*:error\] \[pid \d+(?::tid \d+)?\] \[client (?P<addr>[\da-fA-F.:]+):\d+\] ` +
		`(?:(?P<forbidden>AH01630: client denied|AH01797: client denied|AH01276: Cannot serve directory)` +
		`|(?P<unauthorized>AH01617|AH01618|AH01631): user [^:]*(?:: auth\w+ failure for "| not found: )(?P<path>/[^",]*))`
)

// What every line of evidence in such a log holds.
var (
	nginxNeedle  = []byte(", client: ")
	apacheNeedle = []byte("] [client ")
)

var nginxErrors, apacheErrors = sync.OnceValue(known(NginxErrors)), sync.OnceValue(known(ApacheErrors))

// known parses a pattern of this package.
func known(text string) func() *Pattern {
	return func() *Pattern {
		p, err := ParsePattern(text)
		if err != nil {
			panic(err)
		}
		return p
	}
}

// parseError judges a line that may be an error log's, by how it begins.
func (d *dialect) parseError(line []byte) (Record, bool) {
	var p *Pattern
	switch {
	case len(line) < 40:
		return Record{}, false
	case line[4] == '/' && line[7] == '/' && line[19] == ' ' && line[20] == '[':
		p = nginxErrors()
	case line[0] == '[' && weekday(line[1:4]) && line[4] == ' ':
		p = apacheErrors()
	default:
		return Record{}, false
	}
	f := d.fields()
	if !p.read(f, line) {
		return Record{}, false
	}
	return f.record()
}
