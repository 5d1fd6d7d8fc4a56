package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// address is a connection URL taken apart far enough to change its user and password
// and to connect as every reader of it would. The text itself is kept: whatever is
// not user or password stays byte for byte.
type address struct {
	text      string
	users     []span // where the user stands in text
	passwords []span
	user      string // decoded, as the fields below
	password  string
	hosts     []endpoint // never empty; one without a name is the default socket
	database  string
	options   map[string]string // the query's, last one wins
}

// span is a stretch of bytes.
type span struct{ from, to int }

// endpoint is one server of a URL. An empty port is PostgreSQL's own.
type endpoint struct{ host, port string }

// String names it for people.
func (e endpoint) String() string {
	host, port := e.host, e.port
	if host == "" {
		host = "the local socket"
	}
	if port == "" || port == "5432" {
		return host
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// What a URL may be refused for. The texts are for people and quote nothing of it.
var (
	errNotURL    = errors.New("is not a postgres:// or postgresql:// URL")
	errNoUser    = errors.New("names no user")
	errNoSecret  = errors.New("holds no password, so there is nothing to rotate")
	errNoDB      = errors.New("names no database: readers fall back to the name of the role, which a rotation changes")
	errEscape    = errors.New("has a % that is not followed by two hex digits")
	errPort      = errors.New("has a port that is not a number")
	errTwoUsers  = errors.New("names two different users")
	errTwoWords  = errors.New("holds two different passwords")
	errAmbiguous = errors.New("has a ? or # that some programs read as part of the password and others do not: write it as %3F or %23 first")
	errFragment  = errors.New("has a # that some programs read and others cut off: write it as %23 first")
	errPorts     = errors.New("has another number of ports than of hosts")
)

// schemes are the names under which readers take a PostgreSQL URL: libpq's two, and
// those of dj-database-url and django-environ. A "+driver" behind one is SQLAlchemy's.
var schemes = []string{
	"postgres", "postgresql", "pgsql", "psql", "postgis",
	"timescale", "timescaledb", "timescalegis",
}

// parse takes apart a URL that can be rotated. Its errors read on after "the URL".
func parse(text string) (address, error) {
	a, err := split(text)
	switch {
	case err != nil:
		return address{}, err
	case a.password == "":
		return address{}, errNoSecret
	}
	return a, nil
}

// split takes a URL apart, with or without a password.
func split(text string) (address, error) {
	a := address{text: text, options: map[string]string{}}
	scheme, _, ok := strings.Cut(text, "://")
	base, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	if !ok || !slices.Contains(schemes, base) {
		return address{}, errNotURL
	}
	at := len(scheme) + len("://")
	at, err := a.readUserinfo(at)
	if err != nil {
		return address{}, err
	}
	if strings.Contains(text[at:], "#") {
		return address{}, errFragment
	}
	body, query, _ := strings.Cut(text[at:], "?")
	authority, path, _ := strings.Cut(body, "/")
	if err := a.readHosts(authority); err != nil {
		return address{}, err
	}
	if a.database, err = unescape(path); err != nil {
		return address{}, err
	}
	if err := a.readQuery(query, at+len(body)+1); err != nil {
		return address{}, err
	}
	switch {
	case a.user == "":
		return address{}, errNoUser
	case a.database == "":
		return address{}, errNoDB
	}
	return a, nil
}

// readUserinfo finds user and password before the hosts and answers where the hosts
// begin. Readers disagree where a password holds a bare "@", "?" or "#"; where only
// one reading leads to a server, that one is meant.
func (a *address) readUserinfo(from int) (next int, err error) {
	rest := a.text[from:]
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 {
		// libpq reads a bare ? or # as part of the password, readers of URLs do not.
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			slash = len(rest)
		}
		if at = strings.IndexByte(rest[:slash], '@'); at < 0 {
			return from, nil
		}
		_, port, colon := strings.Cut(rest[:end], ":")
		if !colon || isPort(port) {
			return 0, errAmbiguous
		}
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	a.users = append(a.users, span{from, from + len(user)})
	if a.user, err = unescape(user); err != nil {
		return 0, err
	}
	if hasPassword {
		s := span{from + len(user) + 1, from + at}
		if a.password, err = unescape(a.text[s.from:s.to]); err != nil {
			return 0, err
		}
		if a.password != "" {
			a.passwords = append(a.passwords, s)
		}
	}
	if a.user == "" {
		a.users = nil
	}
	return from + at + 1, nil
}

// readHosts reads "h1:5432,[::1]:5433,%2Frun%2Fpostgresql".
func (a *address) readHosts(authority string) error {
	for part := range strings.SplitSeq(authority, ",") {
		host, port := part, ""
		if strings.HasPrefix(part, "[") {
			inner, rest, ok := strings.Cut(part[1:], "]")
			if !ok || (rest != "" && rest[0] != ':') {
				return errPort
			}
			host, port = inner, strings.TrimPrefix(rest, ":")
		} else if name, number, ok := strings.Cut(part, ":"); ok {
			host, port = name, number
		}
		host, err := unescape(host)
		if err != nil {
			return err
		}
		if !isPort(port) {
			return errPort
		}
		a.hosts = append(a.hosts, endpoint{host, port})
	}
	return nil
}

// readQuery reads the options; from is where query stands in the text. As in libpq
// an option wins over what stands before the "?".
func (a *address) readQuery(query string, from int) error {
	for pair := range strings.SplitSeq(query, "&") {
		name, text, _ := strings.Cut(pair, "=")
		start := from + len(name) + 1
		from += len(pair) + 1
		name, err := unescape(name)
		if err != nil {
			return err
		}
		value, err := unescape(text)
		if err != nil {
			return err
		}
		if value == "" {
			continue
		}
		switch name {
		case "user":
			if a.user != "" && a.user != value {
				return errTwoUsers
			}
			a.user = value
			a.users = append(a.users, span{start, start + len(text)})
		case "password":
			if a.password != "" && a.password != value {
				return errTwoWords
			}
			a.password = value
			a.passwords = append(a.passwords, span{start, start + len(text)})
		case "dbname", "database":
			a.database = value
		default:
			a.options[name] = value
		}
	}
	return a.hostOptions()
}

// hostOptions takes hosts and ports out of the options.
func (a *address) hostOptions() error {
	host, hasHost := a.options["host"]
	if !hasHost && a.hosts[0].host == "" && len(a.hosts) == 1 {
		host, hasHost = a.options["hostaddr"]
	}
	if hasHost {
		a.hosts = a.hosts[:0:0]
		for name := range strings.SplitSeq(host, ",") {
			a.hosts = append(a.hosts, endpoint{host: name})
		}
	}
	list, ok := a.options["port"]
	if !ok {
		return nil
	}
	ports := strings.Split(list, ",")
	if len(ports) != 1 && len(ports) != len(a.hosts) {
		return errPorts
	}
	for i := range a.hosts {
		port := ports[min(i, len(ports)-1)]
		if !isPort(port) {
			return errPort
		}
		a.hosts[i].port = port
	}
	return nil
}

// with answers the URL with another user and password. password must need no
// escaping; ours never do.
func (a *address) with(user, password string) string {
	type change struct {
		span
		text string
	}
	var changes []change
	for _, s := range a.users {
		changes = append(changes, change{s, escape(user)})
	}
	for _, s := range a.passwords {
		changes = append(changes, change{s, password})
	}
	slices.SortFunc(changes, func(x, y change) int { return x.from - y.from })
	var b strings.Builder
	at := 0
	for _, c := range changes {
		b.WriteString(a.text[at:c.from])
		b.WriteString(c.text)
		at = c.to
	}
	b.WriteString(a.text[at:])
	return b.String()
}

// where names servers and database for people.
func (a *address) where() string {
	names := make([]string, 0, len(a.hosts))
	for _, h := range a.hosts {
		names = append(names, h.String())
	}
	return fmt.Sprintf("database %s on %s", a.database, strings.Join(names, ", "))
}

func isPort(s string) bool {
	return len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}
