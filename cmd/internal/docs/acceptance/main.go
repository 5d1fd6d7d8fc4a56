// Command acceptance writes docs/guide-coverage.md: every row of the secret rotation
// guide (its tables, the steps of its procedures, its rollbacks, checks, queries and
// practices), what rekey makes of it, and the tests that prove it.
//
// A list of promises that nobody ties to a test is forgotten row by row. So the rows
// stand in rows.txt, a test says which of them it proves in a line right above it,
//
//	// Guide: procedures/secret-key/rollback, practices/keep-old-24h
//
// and this program refuses a row that no test claims, a claim of a row that does not
// exist, and a document that says something else than the two together.
//
//	go run ./cmd/internal/docs/acceptance            # is the document what it should be?
//	go run ./cmd/internal/docs/acceptance -write     # make it so ("make generate" does)
//	go run ./cmd/internal/docs/acceptance -run       # run the tests that are named and print how each row went ("make guide")
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// document is where the table stands, seen from the module's root.
const document = "docs/guide-coverage.md"

func main() {
	write := flag.Bool("write", false, "write "+document)
	run := flag.Bool("run", false, "run the named tests and print how each row went")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := do(ctx, *write, *run)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
}

func do(ctx context.Context, write, run bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	table, err := load(root)
	if err != nil {
		return err
	}
	if run {
		return table.run(ctx, root, os.Stdout)
	}
	path := filepath.Join(root, document)
	if write {
		return os.WriteFile(path, []byte(table.markdown()), 0o644) //nolint:gosec // a document for everybody
	}
	is, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the table: %w", err)
	}
	if string(is) != table.markdown() {
		return errors.New(document + ` is old; run "make generate"`)
	}
	return nil
}

// moduleRoot is the folder with go.mod, at or above the one we are in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above")
		}
		dir = up
	}
}
