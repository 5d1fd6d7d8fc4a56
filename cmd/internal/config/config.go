// Package config reads rekey.yaml and the environment. It exists to answer every
// fault at once, each with its line and with what to write instead: the file is
// edited by tired people, and a tool that stops at the first mistake teaches them
// one mistake per restart.
//
// Tokens and keys come from the environment, never from the file.
package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekey/commands/secret"
)

// longestFile bounds rekey.yaml, in bytes.
const longestFile = 1 << 20

// Config is what rekey.yaml says, checked.
type Config struct {
	Path      string
	Catalogue *secret.Catalogue
}

// Fault is one thing that is wrong and what to write instead. It never holds a
// value that could be a secret.
type Fault struct {
	File    string // the file, or the environment variable
	Line    int    // from 1; 0 where there is no line
	Column  int
	Message string
	Hint    string
}

// String is the fault in one line: `rekey.yaml:12: unknown key "relod" in consumer
// django: write "reload"`.
func (f Fault) String() string {
	s := f.File
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
	}
	s += ": " + f.Message
	if f.Hint != "" {
		s += ": " + f.Hint
	}
	return s
}

// Errors are all the faults that were found, in the order of the file.
type Errors []Fault

// Error is one fault a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts faults in the order of their lines and drops those said twice. It
// answers a nil error when there is none.
func sorted(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return Errors(slices.Compact(faults))
}

// Option changes how a file is checked.
type Option func(*files)

// Under makes the checks of files and folders look for them below root, for a
// catalogue that describes another machine or the inside of a container.
func Under(root string) Option { return func(f *files) { f.root = root } }

// Load reads and checks the file at path. The error is an Errors, unless the file
// itself could not be read.
func Load(path string, opts ...Option) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, Errors{{
			File: path, Message: "everybody on this machine may write this file, and it names commands that rekey runs",
			Hint: "chmod o-w " + path,
		}}
	}
	data, err := io.ReadAll(io.LimitReader(f, longestFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	if len(data) > longestFile {
		return nil, Errors{{File: path, Message: "the file is larger than 1 MiB", Hint: "a catalogue of secrets is smaller; is this the right file?"}}
	}
	return Parse(path, data, opts...)
}

// Parse checks data as Load does; path names it in faults.
func Parse(path string, data []byte, opts ...Option) (*Config, error) {
	d := &document{file: path, shown: filepath.Base(path)}
	for _, o := range opts {
		o(&d.files)
	}
	cat := d.read(data)
	if err := sorted(d.faults); err != nil {
		return nil, err
	}
	return &Config{Path: path, Catalogue: cat}, nil
}
