package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of "go test -json" (see "go doc test2json") or of the build
// that came before it (see "go help buildjson").
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// tally counts tests and prints what a person needs to see. It is not safe for
// concurrent use.
type tally struct {
	out            io.Writer
	passed, failed int
	packages       map[string]*pkg
}

// pkg is what is known of a package whose tests still run.
type pkg struct {
	passed, failed int
	output         map[string][]string // by test; "" is the package's own
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, packages: map[string]*pkg{}}
}

// read consumes events until EOF. A line that is not an event (a panic of the go
// command itself, say) is shown as it is.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				t.take(e)
			} else {
				fmt.Fprint(t.out, string(line))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) take(e event) {
	if e.Package == "" { // of the build, not of a test
		fmt.Fprint(t.out, e.Output)
		return
	}
	p := t.packages[e.Package]
	if p == nil {
		p = &pkg{output: map[string][]string{}}
		t.packages[e.Package] = p
	}
	switch e.Action {
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			t.endTest(p, e)
		} else {
			t.endPackage(p, e)
		}
	}
}

func (t *tally) endTest(p *pkg, e event) {
	if e.Action == "pass" {
		p.passed++
		delete(p.output, e.Test)
		return
	}
	p.failed++
	if e.Action == "skip" {
		fmt.Fprintf(t.out, "SKIPPED, which counts as failed: %s %s\n", e.Package, e.Test)
	}
	fmt.Fprint(t.out, strings.Join(p.output[e.Test], ""))
	delete(p.output, e.Test)
}

func (t *tally) endPackage(p *pkg, e event) {
	delete(t.packages, e.Package)
	if e.Action == "fail" && p.failed == 0 {
		// It did not build, TestMain failed, or a goroutine outlived its test and
		// panicked: no test is to blame, so everything is shown.
		p.failed++
		for _, test := range slices.Sorted(maps.Keys(p.output)) {
			fmt.Fprint(t.out, strings.Join(p.output[test], ""))
		}
	} else if e.Action == "fail" {
		fmt.Fprint(t.out, strings.Join(p.output[""], ""))
	}
	t.passed += p.passed
	t.failed += p.failed
	switch {
	case e.FailedBuild != "":
		fmt.Fprintf(t.out, "FAIL  %-45s did not build\n", e.Package)
	case p.failed > 0:
		fmt.Fprintf(t.out, "FAIL  %-45s %7.2fs  %d passed, %d not\n", e.Package, e.Elapsed, p.passed, p.failed)
	case p.passed == 0:
		fmt.Fprintf(t.out, "-     %-45s no tests\n", e.Package)
	default:
		fmt.Fprintf(t.out, "ok    %-45s %7.2fs  %d passed\n", e.Package, e.Elapsed, p.passed)
	}
}

// close prints the closing line and reports whether all was well. A package
// that never reported its end (its test binary was killed) counts as failed, and
// so does goTest, the error go test itself ended with, where no event explains it.
func (t *tally) close(goTest error) bool {
	for _, name := range slices.Sorted(maps.Keys(t.packages)) {
		p := t.packages[name]
		t.passed += p.passed
		t.failed += p.failed + 1
		fmt.Fprintf(t.out, "FAIL  %-45s never ended\n", name)
	}
	if goTest != nil && t.failed == 0 {
		t.failed++
		fmt.Fprintf(t.out, "go test: %v\n", goTest)
	}
	if t.passed+t.failed == 0 {
		fmt.Fprintln(t.out, "no test ran, which counts as failed")
	}
	fmt.Fprintf(t.out, "%d passed, %d failed\n", t.passed, t.failed)
	return t.failed == 0 && t.passed > 0
}
