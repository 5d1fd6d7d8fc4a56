package rotate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"rekey/commands"
	"rekey/commands/issue"
)

// lookAgain lies between two looks at who still uses the old value while a compromised
// run stands.
const lookAgain = 5 * time.Second

// last is the last look before a compromised run ends the old value. It does not wait
// for anybody, with one exception: where callers of ours were seen using the value after
// everybody had been switched, it stands for Grace, so that a person can end it at once
// or put its end off. Nobody chooses, or nobody uses it any more: it ends.
//
// Strangers are no reason to stand. Whoever stole the value would decide by using it.
func (r *Rotator) last(ctx context.Context, s Subject) (Result, error) {
	// A memo that cannot be read decides nothing: the run stands once more, for Grace.
	d, _ := commands.ReadRespite(s.Run.Memo)
	switch {
	case d.Open && d.Kill:
		return r.over(d, "Ended now at a cost: "+d.Seen+". "+commands.NameOf(d.By)+" chose that."), nil
	case d.Open && !r.cfg.Now().Before(d.Until):
		return r.over(d, "Ended now at a cost: "+d.Seen+". Nobody chose otherwise in time."), nil
	}
	seen, err := r.glance(ctx, s, d.Open)
	switch {
	case err != nil:
		return Result{}, err
	case len(seen.ours) > 0, d.Open && seen.unsure != "":
		return r.stands(s, d, seen), nil
	}
	return r.over(d, seen.String()), nil
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
	if len(seen.ours) > 0 && (d.SeenAt.IsZero() || now.Sub(d.SeenAt) >= fresh) {
		d.Seen, d.SeenAt = r.clean(seen.inUse()), now
	}
	again := now.Add(min(lookAgain, r.cfg.Recheck))
	if d.Until.Before(again) {
		again = d.Until
	}
	return Result{Note: r.clean(question(s.Run.ID, d)), Wait: again, Respite: &d}
}

// question is what a person reads of a run that stands.
func question(run string, d commands.Respite) string {
	q := strings.ToUpper(d.Seen[:1]) + d.Seen[1:] + ". "
	if d.Times > 0 {
		q += fmt.Sprintf("%s put its end off (%d of %d). ", commands.NameOf(d.By), d.Times, commands.MaxHolds)
	}
	q += "It ends at " + d.Until.UTC().Format("15:04:05 MST") + "; to end it now: /rotate kill " + run
	if d.Times < commands.MaxHolds {
		q += "; for 10 more minutes: /rotate hold " + run
	}
	return q + "."
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
	perMinute       float64 // of ours
	known           bool    // something tells
	unsure          string  // why nobody being seen does not mean that there is nobody; a sentence
}

// inUse is what ending the old value costs: "the old value is still used by …".
func (c callers) inUse() string {
	text := "the old value is still used " + still(c.ours, c.perMinute)
	if len(c.strangers) > 0 {
		text += ", and by " + list(c.strangers) + ", whom the catalogue does not know as a caller"
	}
	return text
}

// String is what is said when none of ours was seen.
func (c callers) String() string {
	switch {
	case c.unsure != "":
		return c.unsure
	case len(c.strangers) > 0:
		return "No caller of ours uses the old value any more; " + list(c.strangers) + " did, whom the catalogue does not know."
	case c.known:
		return "Nobody uses the old value any more."
	}
	return "Nothing tells who still uses the old value."
}

// glance looks who uses the old value. Where that is told by what services write down,
// the first look comes too early to see anybody, and there is another one after Glance;
// again leaves that out.
func (r *Rotator) glance(ctx context.Context, s Subject, again bool) (callers, error) {
	e, err := r.escrow(ctx, s)
	if err != nil {
		return callers{}, err
	}
	// What was signed before the switch, in the second of the switch, is no use of a
	// caller that was left behind; logs tell no finer.
	since := s.Switched
	if !since.IsZero() {
		since = since.Truncate(time.Second).Add(time.Second)
	}
	usage, known, err := r.usage(ctx, s, e, since)
	var wait *issue.Wait
	if left := s.Switched.Add(r.cfg.Glance).Sub(r.cfg.Now()); errors.As(err, &wait) && !again && left > 0 {
		if err := pause(ctx, left); err != nil {
			return callers{}, err
		}
		usage, known, err = r.usage(ctx, s, e, since)
	}
	if ctx.Err() != nil {
		return callers{}, context.Cause(ctx)
	}
	c := callers{known: known}
	switch {
	case errors.As(err, &wait):
		c.unsure = "Nobody was seen using the old value so far: " + strings.TrimSuffix(wait.Sentence, ".") + "."
	case err != nil:
		c.unsure = "Who still uses the old value could not be read: " + err.Error() + "."
	}
	c.tell(s, usage)
	return c, nil
}

// tell sorts who was seen.
func (c *callers) tell(s Subject, usage issue.Usage) {
	c.perMinute = usage.PerMinute
	if len(usage.Callers) == 0 { // they cannot be told apart
		c.ours = usage.Users
		if usage.PerMinute > 0 && len(c.ours) == 0 {
			c.ours = []string{"somebody"}
		}
		return
	}
	for _, u := range usage.Callers {
		if ours(s, u.Name) {
			c.ours = append(c.ours, u.Says)
			continue
		}
		c.strangers = append(c.strangers, u.Says)
		c.perMinute = max(0, c.perMinute-u.PerMinute)
	}
}

// ours reports that a caller is one of ours as far as the catalogue tells: it knows the
// address, or names no callers at all, or the name is no address.
func ours(s Subject, name string) bool {
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return true
	}
	addr = addr.Unmap()
	told := false
	for _, e := range s.Place.Endpoints {
		for _, p := range e.Callers {
			told = true
			if p.Contains(addr) {
				return true
			}
		}
	}
	for _, p := range s.Environment.Own {
		if p.Contains(addr) {
			return true
		}
	}
	return !told
}

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
