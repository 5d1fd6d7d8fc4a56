package checklist

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

const (
	// written is how long a server may take to write its logs.
	written = 5 * time.Second
	// before is how far back a refusal makes another one of its kind old news.
	before = time.Hour
	// probe begins the user agent of rekey's own questions, whatever its version.
	probe = "rekey-check/"
)

// logLook looks for requests of our own that were refused since the change: 401, 403 and
// invalid signatures from the environment's own addresses and from the known callers of
// the secret's endpoints.
//
// rekey asks every service with made-up values and is refused. It does so from the
// environment's own addresses, so they are told apart by the user agent, which access
// logs in the combined format hold; what several logs say of one request is joined
// first, as for an audit. A refusal of an own address without an agent may be either,
// and makes the check unknown. One of a caller that is no own address is never rekey's.
//
// Away from the secret's endpoints, what was refused in the hour before as well (a
// monitor without a password) is not new.
type logLook struct {
	checklist *Checklist
	in        Input
	old       map[key]bool // read when it is needed first
}

// key is a kind of request.
type key struct {
	addr         netip.Addr
	method, path string
}

func (l *logLook) look(ctx context.Context) finding {
	list := l.in.Environment.Logs
	if len(list) == 0 {
		return settled("the catalogue names no logs for %s", l.in.Environment.Name)
	}
	now := l.checklist.deps.Clock()
	// Most stamps are cut to seconds, so those of the change's own second count.
	since := l.in.Since.Truncate(time.Second)
	r := &refusals{look: l}
	problems := l.read(ctx, audit.Window{Since: since}, r.add, true)
	fresh, err := l.fresh(ctx, r)
	if ctx.Err() != nil {
		return unknown("the check was stopped")
	}
	if err != nil {
		problems = append(problems, err.Error())
	}
	at := since.UTC().Format(time.TimeOnly)
	switch {
	case len(fresh) > 0:
		f := failed("%s of our own refused since %s UTC: %s", requests(fresh), at, names(fresh))
		// A log does not forget by waiting. Only a proxy's address may turn into that of a
		// stranger, once the proxy's own log is written.
		f.settled = slices.ContainsFunc(fresh, func(o *refused) bool { return !logs.Relay(o.addr) })
		return f
	case len(problems) > 0:
		return unknown("%s", strings.Join(problems, "; "))
	case r.undecided > 0:
		return unknown("%s from our own addresses since %s UTC may be rekey's own questions: no access log in the combined format shows their user agent",
			audit.Count(r.undecided, "refusal"), at)
	case r.nameless > 0:
		return unknown("%s on the secret's endpoints since %s UTC carry no address, so they may be ours; add the access log", audit.Count(r.nameless, "refusal"), at)
	}
	f := passed("no request of our own was refused since %s UTC", at)
	f.early = now.Sub(l.in.Since) < written
	return f
}

// refused counts one kind of request that was refused.
type refused struct {
	key
	about bool // the secret's endpoints, or a signature whose path no log holds
	times int
	first time.Time
}

// refusals is what the logs show, judged.
type refusals struct {
	look      *logLook
	ours      []*refused
	undecided int
	nameless  int
}

// maxKinds bounds how many kinds of request are told apart.
const maxKinds = 1000

func (r *refusals) add(e *logs.Event) {
	about := e.Guarded >= 0 || e.Kind == audit.InvalidSignature && e.Path == ""
	own, caller := within(e.Addr, r.look.in.Environment.Own), r.look.caller(e.Addr)
	switch {
	case e.Kind == audit.Used, strings.HasPrefix(e.Agent, probe) && (own || caller):
		return
	case !e.Addr.IsValid():
		if about {
			r.nameless++
		}
		return
	case !own && !caller:
		return
	case own && e.Agent == "":
		r.undecided++
		return
	}
	k := key{e.Addr, e.Method, e.Path}
	for _, o := range r.ours {
		if o.key == k {
			o.times++
			return
		}
	}
	if len(r.ours) == maxKinds {
		return // enough is known
	}
	r.ours = append(r.ours, &refused{key: k, about: about, times: 1, first: e.At})
}

// caller reports whether addr is a known caller of one of the secret's endpoints.
func (l *logLook) caller(addr netip.Addr) bool {
	return slices.ContainsFunc(l.in.Place.Endpoints, func(e secret.Endpoint) bool { return within(addr, e.Callers) })
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	return addr.IsValid() && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}

// fresh answers our refusals that are news. Only where there is doubt, the hour before is
// read, once.
func (l *logLook) fresh(ctx context.Context, r *refusals) ([]*refused, error) {
	doubt := slices.ContainsFunc(r.ours, func(o *refused) bool { return !o.about })
	if doubt && l.old == nil {
		since := l.in.Since.Truncate(time.Second)
		old := map[key]bool{}
		problems := l.read(ctx, audit.Window{Since: since.Add(-before), Until: since}, func(e *logs.Event) {
			if e.Kind != audit.Used && len(old) < maxKinds {
				old[key{e.Addr, e.Method, e.Path}] = true
			}
		}, false)
		if len(problems) > 0 {
			return nil, fmt.Errorf("%s", strings.Join(problems, "; "))
		}
		l.old = old
	}
	var fresh []*refused
	for _, o := range r.ours {
		if o.about || !l.old[o.key] {
			fresh = append(fresh, o)
		}
	}
	slices.SortStableFunc(fresh, func(a, b *refused) int { return b.times - a.times })
	return fresh, nil
}

func requests(list []*refused) string {
	n := 0
	for _, o := range list {
		n += o.times
	}
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

// names says which requests were refused, most frequent first.
func names(list []*refused) string {
	var parts []string
	for _, o := range list[:min(maxTitles, len(list))] {
		what := strings.TrimSpace(o.method + " " + o.path)
		if what == "" {
			what = "an invalid signature"
		}
		parts = append(parts, fmt.Sprintf("%s from %s (%s, first at %s UTC)", what, o.addr, times(o.times), o.first.UTC().Format(time.TimeOnly)))
	}
	if more := len(list) - maxTitles; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more kinds", more))
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
