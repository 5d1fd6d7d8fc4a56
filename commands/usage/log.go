package usage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"time"

	"rekey/audit"
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
	t := &tally{pattern: pattern, who: pattern.SubexpIndex("who"), from: from, users: map[string]*user{}}
	t.name = func(who string) string { return l.shown(who) }
	if t.who < 0 {
		whole := filepath.Base(s.Log)
		t.name = func(string) string { return whole }
	}
	if err := readParts(ctx, s.Log, t); err != nil {
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
	who     int // the index of the group that names the user; -1 for none
	from    time.Time
	name    func(who string) string
	users   map[string]*user
}

// matches answers whose use a line is.
func (t *tally) matches(line []byte) (name string, ok bool) {
	if t.who < 0 {
		return t.name(""), t.pattern.Match(line)
	}
	groups := t.pattern.FindSubmatch(line)
	if groups == nil {
		return "", false
	}
	if name = t.name(string(groups[t.who])); name == "" {
		name = unnamed
	}
	return name, true
}

func (t *tally) add(name string, at time.Time) {
	if at.Before(t.from) {
		return
	}
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

// errTimeless: a line that is a use does not say when.
var errTimeless = errors.New("the lines that show a use carry no time; give its formatter one")

// errPacked: a rotated part of the log is packed in a way that is not read.
var errPacked = errors.New("a part of it that was rotated away is packed; keep one unpacked (logrotate's delaycompress)")

// errIrregular: the log is a pipe, a folder or a device.
var errIrregular = errors.New("it is not a regular file")

// why says in plain words why a log could not be read.
func why(path string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist; check its path in the catalogue (%w)", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("rekey may not read %s (%w)", path, fs.ErrPermission)
	}
	return fmt.Errorf("%s could not be read: %w", path, err)
}
