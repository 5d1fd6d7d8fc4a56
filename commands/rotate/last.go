package rotate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rekey/commands"
	"rekey/commands/issue"
)

const (
	// lookAgain lies between two looks at who still uses the old value while a compromised
	// run stands.
	lookAgain = 5 * time.Second
	// unseen is for how long nobody of ours must have been seen before a value whose end
	// was put off ends earlier: a pool may be connecting anew just when it is looked at.
	unseen = time.Minute
	// measured is the least span that makes a rate: a request in two seconds is no 30 a
	// minute.
	measured = 10 * time.Second
)

// last is the last look before a compromised run ends the old value. It does not wait
// for anybody, with one exception: where callers of ours were seen using the value after
// everybody had been switched, it stands for Grace, so that a person can end it at once
// or put its end off. Nobody chooses, or nobody uses it any more: it ends.
//
// Strangers are no reason to stand. Whoever stole the value would decide by using it.
func (r *Rotator) last(ctx context.Context, s Subject) (Result, error) {
	d := commands.ReadRespite(s.Run.Memo)
	now := r.cfg.Now()
	switch {
	case d.Open && d.Kill:
		return r.over(d, ended(d)+putOff(d)+commands.NameOf(d.By)+" chose to end it now."), nil
	case d.Open && !now.Before(d.Until) && d.Times == 0:
		return r.over(d, ended(d)+"Nobody chose otherwise until "+clock(d.Until)+"."), nil
	case d.Open && !now.Before(d.Until):
		return r.over(d, ended(d)+fmt.Sprintf("The time that %s had asked for (%d of %d) was up at %s.", commands.NameOf(d.By), d.Times, commands.MaxHolds, clock(d.Until))), nil
	}
	seen, err := r.glance(ctx, s, d.Open)
	switch {
	case err != nil:
		return Result{}, err
	case len(seen.ours) > 0:
		d.LastSeen = now
		return r.stands(s, d, seen), nil
	case d.Open && seen.unread, d.Open && d.Times > 0 && now.Sub(d.LastSeen) < unseen:
		return r.stands(s, d, seen), nil
	}
	return r.over(d, seen.String()), nil
}

// ended begins the note of a value that ended while somebody used it.
func ended(d commands.Respite) string {
	at := ""
	if !d.SeenAt.IsZero() {
		at = ", as of " + clock(d.SeenAt)
	}
	return "Ended at a cost: it was still used by " + d.Seen + at + ". "
}

// putOff tells whoever reads the end alone that it had been put off before.
func putOff(d commands.Respite) string {
	if d.Times == 0 {
		return ""
	}
	return fmt.Sprintf("Its end had been put off (%d of %d). ", d.Times, commands.MaxHolds)
}

// stands makes the run wait for a person.
func (r *Rotator) stands(s Subject, d commands.Respite, seen callers) Result {
	now := r.cfg.Now()
	fresh := 10 * time.Second // between two measures that people are told
	if d.Times > 0 {
		fresh = time.Minute
	}
	if !d.Open {
		d.Open, d.Until, d.SeenAt = true, now.Add(r.cfg.Grace), time.Time{}
	}
	if len(seen.ours) > 0 && now.Sub(d.SeenAt) >= fresh {
		d.Seen, d.SeenAt = r.clean(seen.inUse()), now
	}
	if d.SeenAt.IsZero() {
		d.SeenAt = d.LastSeen
	}
	again := now.Add(min(lookAgain, r.cfg.Recheck))
	if d.Until.Before(again) {
		again = d.Until
	}
	return Result{Note: r.clean(question(s.Run.ID, d)), Wait: again, Respite: &d}
}

// over goes on to the end of the old value.
func (r *Rotator) over(d commands.Respite, note string) Result {
	res := Result{Note: r.clean(note)}
	if d.Open {
		d.Open = false
		res.Respite = &d
	}
	return res
}

// callers is who used the old value since everybody was switched.
type callers struct {
	ours, strangers []string
	perMinute       float64 // of ours; 0 where it was not watched for long enough
	untold          bool    // the catalogue does not tell ours from strangers
	known           bool    // something tells
	unread          bool    // something that would tell could not be read
	unsure          string  // why nobody being seen does not mean that there is nobody; a sentence
}

// inUse is by whom it is used: "10.0.0.7 (12 times, last at 19:35:18 UTC), 6 times a minute".
func (c callers) inUse() string {
	text := strings.TrimPrefix(still(c.ours, c.perMinute), "by ")
	if c.untold {
		text += " (the catalogue does not tell callers of ours from strangers)"
	}
	if len(c.strangers) > 0 {
		text += ", and by " + list(c.strangers) + ", whom the catalogue does not know as a caller"
	}
	return text
}

// String is what is said when none of ours was seen.
func (c callers) String() string {
	switch {
	case len(c.strangers) > 0:
		return "No caller of ours was seen using the old value; " + list(c.strangers) + " did, whom the catalogue does not know as a caller."
	case c.unsure != "":
		return c.unsure
	case c.known:
		return "Nobody uses the old value any more."
	}
	return "Nothing tells who still uses the old value."
}

// glance looks who uses the old value. A first look that sees somebody, or that comes
// too early to see anybody, is made again after Glance: services that were switched let
// go of what they had in hand, and logs are written. open leaves that out.
func (r *Rotator) glance(ctx context.Context, s Subject, open bool) (callers, error) {
	c, early, err := r.see(ctx, s)
	left := s.Switched.Add(r.cfg.Glance).Sub(r.cfg.Now())
	if err != nil || open || left <= 0 || !early && len(c.ours) == 0 {
		return c, err
	}
	if err := pause(ctx, left); err != nil {
		return callers{}, err
	}
	c, _, err = r.see(ctx, s)
	return c, err
}

// see looks once; early reports that a source has not been watched for long.
func (r *Rotator) see(ctx context.Context, s Subject) (c callers, early bool, err error) {
	e, err := r.escrow(ctx, s)
	if err != nil {
		return c, false, err
	}
	// What was signed before the switch, in the second of the switch, is no use of a
	// caller that was left behind; logs tell no finer.
	since := s.Switched
	if !since.IsZero() {
		since = since.Truncate(time.Second).Add(time.Second)
	}
	usage, known, err := r.usage(ctx, s, e, since)
	if ctx.Err() != nil {
		return c, false, context.Cause(ctx)
	}
	c.known = known
	var wait *issue.Wait
	switch {
	case errors.As(err, &wait):
		early = true
		c.unsure = "Nobody was seen using the old value so far: " + strings.TrimSuffix(wait.Sentence, ".") + "."
	case err != nil:
		c.unread = true
		c.unsure = "Who still uses the old value could not be read: " + strings.TrimSuffix(err.Error(), ".") + "."
	}
	c.tell(s, usage)
	if r.cfg.Now().Sub(since) < measured {
		c.perMinute = 0
	}
	return c, early, nil
}

// tell sorts who was seen.
func (c *callers) tell(s Subject, usage issue.Usage) {
	c.perMinute = usage.PerMinute
	if len(usage.Callers) == 0 { // they cannot be told apart
		c.ours, c.untold = usage.Users, true
		if usage.PerMinute > 0 && len(c.ours) == 0 {
			c.ours = []string{"somebody"}
		}
		return
	}
	for _, u := range usage.Callers {
		if own(s, u) {
			c.perMinute = max(0, c.perMinute-u.PerMinute)
			continue
		}
		switch ours, told := ours(s, u.Name); {
		case told && !ours:
			c.strangers = append(c.strangers, u.Says)
			c.perMinute = max(0, c.perMinute-u.PerMinute)
		default:
			c.ours = append(c.ours, u.Says)
			c.untold = c.untold || !told
		}
	}
}

// ours reports whether the catalogue knows a caller. told is false where it cannot tell:
// the name is no address, or no callers are named at all.
func ours(s Subject, name string) (known, told bool) {
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return false, false
	}
	addr = addr.Unmap()
	for _, p := range s.Environment.Own {
		if p.Contains(addr) {
			return true, true
		}
	}
	for _, e := range s.Place.Endpoints {
		for _, p := range e.Callers {
			told = true
			if p.Contains(addr) {
				return true, true
			}
		}
	}
	return false, told
}

// own reports that a caller was rekey itself, asking services which values they accept.
// Others may share its address; they are seen again.
func own(s Subject, u issue.Caller) bool {
	addr, err := netip.ParseAddr(u.Name)
	if err != nil || u.Last.IsZero() || u.Last.After(s.Asked.Truncate(time.Second).Add(time.Second)) {
		return false
	}
	return slices.ContainsFunc(s.Environment.Own, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// clock is a moment of today for people.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 MST") }

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
