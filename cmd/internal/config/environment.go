package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"rekey/commands/secret"
)

// longestSecret bounds a file with a token, in bytes.
const longestSecret = 64 << 10

// environment is one reading of the environment; like document it never stops at a
// fault.
type environment struct {
	getenv func(string) string
	faults []Fault
}

func (e *environment) fault(name, message, hint string) {
	e.faults = append(e.faults, Fault{File: name, Message: message, Hint: hint})
}

// faulty reports whether something was wrong with a variable or its _FILE.
func (e *environment) faulty(name string) bool {
	return slices.ContainsFunc(e.faults, func(f Fault) bool { return f.File == name || f.File == name+"_FILE" })
}

// token answers NAME's value, or what the file that NAME_FILE names holds. The value
// must have the form; form nil takes any.
func (e *environment) token(name string, form *regexp.Regexp, hint string) secret.Value {
	text, path := strings.TrimSpace(e.getenv(name)), e.getenv(name+"_FILE")
	from := name
	switch {
	case text != "" && path != "":
		e.fault(name, "both "+name+" and "+name+"_FILE are set", "unset one of the two")
		return secret.Value{}
	case text == "" && path == "":
		return secret.Value{}
	case path != "":
		from = name + "_FILE"
		var ok bool
		if text, ok = e.file(from, path); !ok {
			return secret.Value{}
		}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		e.fault(from, "it holds line breaks or control characters", "write the value alone, on one line")
		return secret.Value{}
	}
	if form != nil && !form.MatchString(text) {
		e.fault(from, "it does not have the form of what belongs there", hint)
		return secret.Value{}
	}
	return secret.NewValue(text)
}

// file answers what a secret's file holds without the line break at its end.
func (e *environment) file(name, path string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		e.fault(name, "the file "+shownPath(path)+" "+trouble(err, ""), "write the path of a file that rekey's user may read")
		return "", false
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil || !info.Mode().IsRegular():
		e.fault(name, shownPath(path)+" is no ordinary file", "write the path of the file that holds the value")
		return "", false
	case info.Mode().Perm()&0o006 != 0:
		e.fault(name, "everybody on this machine may read "+shownPath(path), "chmod 0400 it, and give it to rekey's user; mounted secrets have a setting for the mode")
		return "", false
	case info.Mode().Perm()&0o020 != 0:
		e.fault(name, "a group may write "+shownPath(path), "chmod 0400 it, and give it to rekey's user")
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, longestSecret+1))
	if err != nil || len(b) > longestSecret {
		e.fault(name, shownPath(path)+" cannot be read, or is larger than 64 KiB", "write the path of the file that holds the value alone")
		return "", false
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		e.fault(name, "the file "+shownPath(path)+" is empty", "put the value into it")
		return "", false
	}
	return text, true
}

// key answers the root key: given, or on SQLite kept beside the database.
func (e *environment) key(s *Settings) {
	const name = "REKEY_KEY"
	v := e.token(name, nil, "")
	if e.faulty(name) {
		return
	}
	if !v.IsZero() {
		k, err := secret.ParseKey(v)
		if err != nil {
			e.fault(name, "it is no key", err.Error())
		} else if k.Equal(secret.NewValue(strings.Repeat(k.Reveal()[:1], secret.KeySize))) {
			e.fault(name, "it is one byte repeated", "make one with: openssl rand -hex 32")
		}
		s.Key = k
		return
	}
	if s.Postgres() {
		e.fault(name, "it is not set, and a security log on PostgreSQL needs it", "make one with openssl rand -hex 32, give every replica the same, and keep a copy: without it the log cannot be verified")
		return
	}
	if len(e.faults) > 0 {
		return
	}
	k, err := keptKey(s.StateDir, s.sqlite)
	if err != nil {
		var known *keyFault
		if errors.As(err, &known) {
			e.fault(name, known.Message, known.Hint)
		} else {
			e.fault(name, "the key cannot be kept in "+shownPath(s.StateDir)+" ("+plain(err)+")", "let rekey's user write that folder, or set REKEY_STATE_DIR or REKEY_KEY")
		}
		return
	}
	s.Key = k
}

func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
