package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/goccy/go-yaml/ast"
)

// files is where the checks of files and folders look.
type files struct{ root string }

func (f files) at(path string) string {
	if f.root == "" {
		return path
	}
	return filepath.Join(f.root, path)
}

// envFile checks that an env file can be read. Its modes and links are the store's
// business, each time it opens the file: here they would be a snapshot.
func (d *document) envFile(path string, at ast.Node, where string) {
	d.regular(path, at, "env_file", where, "create it, or write the path of the file the service reads")
}

// logFile checks the folder and, where there is one, the file: many logs appear
// only with their first line.
func (d *document) logFile(path string, at ast.Node, key, where string) {
	folder := filepath.Dir(path)
	info, err := os.Stat(d.files.at(folder))
	if err != nil || !info.IsDir() {
		d.fault(at, fmt.Sprintf("the folder %s of %s %s", shownPath(folder), where, trouble(err, "is no folder")), "create it, or write where the service logs to")
		return
	}
	if _, err := os.Stat(d.files.at(path)); errors.Is(err, fs.ErrNotExist) {
		return
	}
	d.regular(path, at, key, where, "let rekey's user read it, for example through the group that owns it")
}

// logPath checks where logs lie: a file, a folder of logs, or a pattern that fits some,
// of which the folder it begins in must be there.
func (d *document) logPath(path string, at ast.Node, key, where string) {
	const hint = "create it, or write where the services log to"
	folder := path
	if info, err := os.Stat(d.files.at(path)); err != nil || !info.IsDir() {
		if err == nil || !strings.ContainsAny(path, "*?[{") {
			d.logFile(path, at, key, where)
			return
		}
		if !doublestar.ValidatePathPattern(path) {
			d.fault(at, fmt.Sprintf("the pattern %s of %s is not whole", shownPath(path), where), "close every [ and {, or write a \\ before one that is meant as it stands")
			return
		}
		folder, _ = doublestar.SplitPattern(path)
	}
	info, err := os.Stat(d.files.at(folder))
	if err == nil && info.IsDir() {
		_, err = os.ReadDir(d.files.at(folder))
	}
	if err != nil || !info.IsDir() {
		d.fault(at, fmt.Sprintf("the folder %s of %s %s", shownPath(folder), where, trouble(err, "is no folder")), hint)
	}
}

// command checks a program that is named by its whole path.
func (d *document) command(path string, at ast.Node, key, where string) {
	info, err := os.Stat(d.files.at(path))
	switch {
	case err != nil:
		d.fault(at, fmt.Sprintf("the %s command %s of %s %s", key, shownPath(path), where, trouble(err, "")), "write the path of a program on this machine")
	case info.IsDir() || info.Mode().Perm()&0o111 == 0:
		d.fault(at, fmt.Sprintf("the %s command %s of %s is no program", key, shownPath(path), where), "write the path of a program, or make it executable")
	}
}

// sourceFile checks a file that holds a credential: others must not read it.
func (d *document) sourceFile(path string, at ast.Node, where string) {
	d.regular(path, at, "file", where, "put the value there, readable by rekey's user alone")
	if info, err := os.Stat(d.files.at(path)); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o027 != 0 {
		d.fault(at, fmt.Sprintf("\"file\" of %s: others than rekey's user may read or write %s", where, shownPath(path)), "chmod 0400 it, and give it to rekey's user")
	}
}

// certificates checks a file of certificates.
func (d *document) certificates(o *object) string {
	path := o.path("ca_file")
	if path != "" {
		d.regular(path, o.blame("ca_file"), "ca_file", o.where, "put the certificates there, or take it out to trust the system's alone")
	}
	return path
}

func (d *document) regular(path string, at ast.Node, key, where, hint string) {
	f, err := os.Open(d.files.at(path))
	if err != nil {
		d.fault(at, fmt.Sprintf("%q of %s: the file %s %s", key, where, shownPath(path), trouble(err, "")), hint)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		d.fault(at, fmt.Sprintf("%q of %s: %s is no ordinary file", key, where, shownPath(path)), hint)
	}
}

// trouble says an error of the file system in words.
func trouble(err error, otherwise string) string {
	switch {
	case err == nil:
		return otherwise
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by rekey's user"
	}
	return "cannot be read"
}
