package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// never is the digest that is not sent.
const never = time.Duration(-1)

// schedule reads when rekey acts by itself.
func (d *document) schedule(top *object) {
	d.cat.Schedule = secret.Schedule{Zone: time.UTC, Digest: never}
	s := &d.cat.Schedule
	o := top.object("schedule", "schedule", "zone", "digest", "windows", "blackouts")
	if zone := o.zone("zone"); zone != nil {
		s.Zone = zone
	}
	if o.has("digest") && o.text("digest") != "off" {
		if t, ok := o.clock("digest"); ok {
			s.Digest = t
		}
	}
	for _, n := range o.list("windows", `a list: - {days: [tue, wed], from: "10:00", to: "12:00"}`) {
		s.Windows = append(s.Windows, d.window(n))
	}
	for _, n := range o.list("blackouts", "a list: - {from: 2026-12-20, to: 2027-01-02, why: holidays}") {
		s.Blackouts = append(s.Blackouts, d.blackout(n, s.Zone))
	}
}

func (d *document) window(n ast.Node) secret.Window {
	o := d.object(n, n, "a window of schedule", "days", "from", "to")
	var w secret.Window
	for _, i := range o.texts("days") {
		day, ok := weekday(i.text)
		switch {
		case !ok:
			d.fault(i.node, fmt.Sprintf(`%s in "days" of %s is no day of the week`, quoted(i.text), o.where), "write mon, tue, wed, thu, fri, sat or sun")
		case slices.Contains(w.Days, day):
			d.fault(i.node, fmt.Sprintf(`%s stands twice in "days" of %s`, quoted(i.text), o.where), "take one out")
		default:
			w.Days = append(w.Days, day)
		}
	}
	const hint = `write a time of day: "10:00"`
	from, to := o.must("from", hint), o.must("to", hint)
	if !from || !to {
		return w
	}
	w.From, from = o.clock("from")
	w.To, to = o.clock("to")
	if from && to && w.From == w.To {
		d.fault(n, "a window of schedule is empty: it ends when it begins", `write a later time under "to"; an earlier one means the next day`)
	}
	return w
}

// zone answers the time zone under a key, nil where there is none.
func (o *object) zone(key string) *time.Location {
	name := o.text(key)
	if name == "" {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		o.d.fault(o.blame(key), fmt.Sprintf("%q of %s is no time zone: %s", key, o.where, quoted(name)), "write its name in the tz database, such as Europe/Berlin or UTC")
		return nil
	}
	return zone
}

func (d *document) blackout(n ast.Node, zone *time.Location) secret.Blackout {
	o := d.object(n, n, "a blackout of schedule", "from", "to", "why")
	b := secret.Blackout{From: o.date("from"), To: o.date("to"), Why: o.text("why")}
	o.must("from", "write its first day: 2026-12-20")
	if !o.has("to") {
		b.To = b.From // one day
	}
	if b.To.Before(b.From) && !b.To.IsZero() {
		d.fault(o.blame("to"), "a blackout of schedule ends before it begins", "write the last day, which still belongs to it")
	}
	b.From, b.To = midnight(b.From, zone), midnight(b.To, zone)
	return b
}

// midnight is the same day in another zone.
func midnight(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
}

var clockForm = regexp.MustCompile(`^(\d{1,2}):(\d{2})$`)

// clock answers a time of day under a key, since midnight; false after a fault.
func (o *object) clock(name string) (time.Duration, bool) {
	s := o.text(name)
	if m := clockForm.FindStringSubmatch(s); m != nil {
		hour, _ := strconv.Atoi(m[1])
		minute, _ := strconv.Atoi(m[2])
		if hour < 24 && minute < 60 {
			return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute, true
		}
	}
	if s == "" {
		if _, ok := scalar(o.blame(name)); !ok {
			return 0, false // said already
		}
	}
	o.d.fault(o.blame(name), fmt.Sprintf("%q of %s is no time of day: %s", name, o.where, quoted(s)), `write hours and minutes: "09:00"; midnight is "00:00"`)
	return 0, false
}

// weekday reads a day of the week by its first three letters or its whole name.
func weekday(s string) (time.Weekday, bool) {
	s = strings.ToLower(s)
	for d := time.Sunday; d <= time.Saturday; d++ {
		if whole := strings.ToLower(d.String()); s == whole || s == whole[:3] {
			return d, true
		}
	}
	return 0, false
}

// groups reads the sets of secrets that one command rotates.
func (d *document) groups(top *object) {
	groups := top.object("groups", "groups")
	for _, e := range groups.entries {
		d.name(e, "group")
		if s, ok := d.cat.Secret(e.name); ok {
			d.fault(e.key, fmt.Sprintf("a group and a secret are called %s, so a command cannot tell them apart", quoted(s.Name)), "give the group another name")
		}
		g := secret.Group{Name: e.name}
		for _, i := range groups.texts(e.name) {
			s, ok := d.cat.Secret(i.text)
			switch {
			case !ok || s.Name != i.text:
				d.nowhere(i.node, fmt.Sprintf("group %s names a secret that does not exist: %s", e.name, quoted(i.text)), i.text, d.cat.Names())
			case slices.Contains(g.Secrets, i.text):
				d.fault(i.node, fmt.Sprintf("group %s names %s twice", e.name, quoted(i.text)), "take one out")
			default:
				g.Secrets = append(g.Secrets, i.text)
			}
		}
		if l, ok := e.value.(*ast.SequenceNode); e.value == nil || ok && len(l.Values) == 0 {
			d.fault(e.key, fmt.Sprintf("group %s is empty", e.name), "name its secrets: "+e.name+": [REVALIDATE_SECRET, ANALYTICS_SECRET]")
		}
		d.cat.Groups = append(d.cat.Groups, g)
	}
}
