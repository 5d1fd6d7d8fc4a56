package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

const day = 24 * time.Hour

// spanForm is a number and a unit, repeated: 90d, 24h, 1h30m, 2w.
var (
	spanForm = regexp.MustCompile(`^(\d+(?:w|d|h|m|s))+$`)
	spanPart = regexp.MustCompile(`(\d+)(w|d|h|m|s)`)
)

// parseSpan reads 90d, 24h, 1h30m, 2w. Days have 24 hours.
func parseSpan(s string) (time.Duration, bool) {
	if !spanForm.MatchString(s) {
		return 0, false
	}
	units := map[string]time.Duration{"w": 7 * day, "d": day, "h": time.Hour, "m": time.Minute, "s": time.Second}
	var sum time.Duration
	for _, p := range spanPart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.Atoi(p[1])
		if err != nil || n > int(100*366*day/units[p[2]]) {
			return 0, false
		}
		sum += time.Duration(n) * units[p[2]]
	}
	return sum, true
}

// span answers the time span under a key: between least and most, fallback where
// there is none.
func (o *object) span(name string, fallback, least, most time.Duration) time.Duration {
	if !o.has(name) {
		return fallback
	}
	s := o.text(name)
	v, ok := parseSpan(strings.ToLower(strings.ReplaceAll(s, " ", "")))
	switch {
	case s == "":
		return fallback // said already
	case !ok:
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is no time span: %s", name, o.where, quoted(s)), "write a number with its unit: 30s, 15m, 24h, 90d, 2w")
		return fallback
	case v < least || v > most:
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is out of bounds", name, o.where), "write at least "+brief(least)+" and at most "+brief(most))
		return fallback
	}
	return v
}

// brief writes whole units: 24h, 30d.
func brief(d time.Duration) string {
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// periods are the calendar's, in months.
var periods = map[string]int{
	"monthly": 1, "quarterly": 3, "half-yearly": 6, "annually": 12, "yearly": 12,
}

// period answers how often under a key: a span, a period of the calendar in months,
// or neither for "as needed" and "rarely".
func (o *object) period(name string) (span time.Duration, months int) {
	if !o.has(name) {
		return 0, 0
	}
	s := strings.ToLower(o.text(name))
	switch strings.ReplaceAll(s, "-", " ") {
	case "as needed", "rarely", "never", "":
		return 0, 0
	}
	if m, ok := periods[s]; ok {
		return time.Duration(m*365/12) * day, m
	}
	if v, ok := parseSpan(strings.ReplaceAll(s, " ", "")); ok && v >= day {
		return v, 0
	}
	o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is no period of a day or more: %s", name, o.where, quoted(s)), "write quarterly, annually, as-needed or a span such as 90d")
	return 0, 0
}

// date answers a day under a key, midnight UTC; zero where there is none.
func (o *object) date(name string) time.Time {
	if !o.has(name) {
		return time.Time{}
	}
	s := o.text(name)
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is no date: %s", name, o.where, quoted(s)), "write year-month-day: 2024-01-31")
		return time.Time{}
	}
	return t
}

// prefixes answers addresses and networks under a key.
func (o *object) prefixes(name string) []netip.Prefix {
	var out []netip.Prefix
	for _, i := range o.texts(name) {
		if p, ok := prefix(i.text); ok {
			if p != p.Masked() {
				o.d.fault(i.node, fmt.Sprintf("%s in %q of %s has bits beyond its length", quoted(i.text), name, o.where), fmt.Sprintf("write %q, or the address alone", p.Masked()))
			}
			out = append(out, p)
			continue
		}
		o.d.fault(i.node, fmt.Sprintf("%s in %q of %s is no address and no network", quoted(i.text), name, o.where), `write "203.0.113.7", "10.0.0.0/8" or "2001:db8::/32"`)
	}
	return out
}

func prefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// url answers an http or https URL under a key, "" where there is none.
func (o *object) url(name string) string {
	if !o.has(name) {
		return ""
	}
	s := o.text(name)
	if s != "" {
		o.checkURL(name, item{s, o.blame(name)})
	}
	return s
}

// urls answers a list of at least one URL under a key.
func (o *object) urls(name string) []string {
	if !o.must(name, "write the address of every instance: urls: [https://api.example.com/…]") {
		return nil
	}
	var out []string
	for _, i := range o.texts(name) {
		if o.checkURL(name, i) {
			out = append(out, i.text)
		}
	}
	if l, ok := o.blame(name).(*ast.SequenceNode); ok && len(l.Values) == 0 {
		o.d.fault(l, fmt.Sprintf("%q of %s is an empty list", name, o.where), "write the address of every instance")
	}
	return out
}

func (o *object) checkURL(name string, i item) bool {
	u, err := url.Parse(i.text)
	ok := false
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		o.d.fault(i.node, fmt.Sprintf("%q of %s is no http or https URL: %s", name, o.where, quoted(i.text)), "write all of it: https://api.example.com/path/")
	case u.User != nil:
		if !matchesForm(i.text) {
			o.d.fault(i.node, fmt.Sprintf("%q of %s holds a user or a password", name, o.where), "take out what stands before the @")
		}
	case u.Fragment != "":
		o.d.fault(i.node, fmt.Sprintf("%q of %s has a fragment, which is never sent", name, o.where), "take out the # and what follows")
	default:
		ok = true
	}
	return ok
}

// path answers an absolute path under a key, "" where there is none.
func (o *object) path(name string) string {
	s := o.text(name)
	switch {
	case s == "":
		return ""
	case strings.HasPrefix(s, "~"):
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s begins with ~, which is nobody's home here", name, o.where), "write the whole path from /")
		return ""
	case !filepath.IsAbs(s):
		o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is a relative path: %s", name, o.where, quoted(s)), "write the whole path from /, so that it does not depend on where rekey is started")
		return ""
	}
	return filepath.Clean(s)
}
