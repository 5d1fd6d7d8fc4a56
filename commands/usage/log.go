package usage

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

const (
	// maxNames bounds how many users are told apart: a name may be a visitor's choice.
	maxNames = 1024
	// nameRunes is how much of a name is shown.
	nameRunes = 60

	unnamed = "somebody without a name"
	others  = "others"
)

// log counts the lines that match, in the last quiet span but not before since.
func (l *Looker) log(ctx context.Context, s secret.UsageSource, since time.Time, quiet time.Duration) (sight, error) {
	pattern, err := regexp.Compile(s.Pattern)
	if err != nil || s.Pattern == "" {
		return sight{}, fmt.Errorf("the pattern for %s in the catalogue cannot be used", s.Log)
	}
	now := l.cfg.Clock()
	// Most stamps are cut to seconds. A use counted a second too long costs a second.
	from := now.Add(-quiet).Truncate(time.Second)
	if since.After(from) {
		from = since.Truncate(time.Second)
	}
	t, err := read(ctx, s.Log, from, tally{pattern: pattern, who: pattern.SubexpIndex("who"), shown: l.shown})
	if err != nil {
		return sight{}, why(s.Log, err)
	}
	var out sight
	var times int64
	watched := max(now.Sub(from), time.Second).Minutes()
	for _, u := range t.users {
		u.perMinute = float64(u.times) / watched
		out.users = append(out.users, *u)
		times += u.times
	}
	out.perMinute = float64(times) / watched
	if watched := now.Sub(since); times == 0 && !since.IsZero() && watched < quiet {
		out.wait = tooShort(watched, quiet)
	}
	return out, nil
}

// tally counts uses.
type tally struct {
	pattern *regexp.Regexp
	who     int                 // the index of the group that names the user; -1 for none
	shown   func(string) string // makes a name fit to show
	log     string              // what the log is called that is being read
	users   map[string]*user
}

// take counts a line, if it is a use.
func (t *tally) take(line logs.Line) error {
	name := t.log
	if t.who < 0 {
		if !t.pattern.Match(line.Text) {
			return nil
		}
	} else {
		groups := t.pattern.FindSubmatch(line.Text)
		if groups == nil {
			return nil
		}
		name = string(groups[t.who])
	}
	if line.At.IsZero() {
		return errTimeless
	}
	t.add(cmp.Or(t.shown(name), unnamed), line.At)
	return nil
}

func (t *tally) add(name string, at time.Time) {
	u := t.users[name]
	if u == nil {
		if len(t.users) >= maxNames {
			name = others
		}
		if u = t.users[name]; u == nil {
			u = &user{name: name}
			t.users[name] = u
		}
	}
	u.times++
	if at.After(u.last) {
		u.last = at
	}
}

func clean(name string) string { return audit.Clean(name, nameRunes) }
