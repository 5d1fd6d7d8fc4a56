package api

import (
	"net/http"
	"strings"
)

// NextCursor reads the cursor of the next page from a Link header, "" after the last.
// Only the cursor is taken from it: following its address would let an answer say where
// the token is sent.
//
//	<https://…/issues/?&cursor=0:100:0>; rel="next"; results="true"; cursor="0:100:0"
func NextCursor(header http.Header) string {
	for _, link := range strings.Split(strings.Join(header.Values("Link"), ","), ",") {
		var next, results bool
		var cursor string
		for _, part := range strings.Split(link, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(value, `"`)
			switch name {
			case "rel":
				next = value == "next"
			case "results":
				results = value == "true"
			case "cursor":
				cursor = value
			}
		}
		if next && results {
			return cursor
		}
	}
	return ""
}
