package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// run runs the tests that are named, package by package, and prints a line for each row
// and test: how it went. It is an error when any did not pass.
func (t table) run(ctx context.Context, root string, out io.Writer) error {
	byPackage := map[string][]string{}
	for _, s := range t {
		for _, r := range s.rows {
			for _, p := range r.tests {
				if !slices.Contains(byPackage[p.dir], p.name) {
					byPackage[p.dir] = append(byPackage[p.dir], p.name)
				}
			}
		}
	}
	results := map[test]string{}
	for _, dir := range slices.Sorted(maps.Keys(byPackage)) {
		fmt.Fprintf(os.Stderr, "%d in %s\n", len(byPackage[dir]), dir)
		if err := runPackage(ctx, root, dir, byPackage[dir], results); err != nil {
			return err
		}
	}
	return t.report(out, results)
}

// runPackage runs some tests of a package and notes how each went.
func runPackage(ctx context.Context, root, dir string, names []string, results map[test]string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count", "1", "-timeout", "30m", "-run", "^("+strings.Join(names, "|")+")$", "./"+dir)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("opening a pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go test: %w", err)
	}
	readErr := note(events, dir, results)
	var exit *exec.ExitError
	// That tests failed is told by each test's own result.
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("running go test: %w", err)
	}
	return readErr
}

// note reads what "go test -json" writes.
func note(events io.Reader, dir string, results map[test]string) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Action, Test string
			Elapsed      float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "pass":
			results[test{dir: dir, name: e.Test}] = fmt.Sprintf("passed in %.1f s", e.Elapsed)
		case "fail", "skip":
			results[test{dir: dir, name: e.Test}] = e.Action
		}
	}
	return lines.Err()
}

// report prints the rows with their results.
func (t table) report(out io.Writer, results map[test]string) error {
	bad := 0
	for _, s := range t {
		fmt.Fprintf(out, "\n%s\n", s.title)
		for _, r := range s.rows {
			for _, p := range r.tests {
				result, ran := results[test{dir: p.dir, name: p.name}]
				if !ran {
					result = "did not run"
				}
				if !strings.HasPrefix(result, "passed") {
					bad++
				}
				fmt.Fprintf(out, "  %-44s %-18s %s.%s\n", r.id, result, p.dir, p.name)
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d results are not a pass", bad)
	}
	return nil
}
