package leathertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tools are the paths of the programs the estate consists of.
type tools struct {
	python, gunicorn, celery, redis, node, kill, postgresBin string
}

// wanted are the Python modules the estate needs.
const wanted = "import celery, django, gunicorn, psycopg2, redis, sentry_sdk"

// Missing names what has to be installed for the estate to run.
type Missing struct{ Packages []string }

// Error is one sentence for whoever runs the tests.
func (m *Missing) Error() string {
	return "the estate needs programs that are not here; on Debian: apt-get install --no-install-recommends " + strings.Join(m.Packages, " ")
}

func findTools(ctx context.Context) (tools, error) {
	var t tools
	var missing []string
	// The distribution's Python has the distribution's modules; a newer one that stands
	// first in PATH does not.
	for _, candidate := range []string{os.Getenv("REKEY_PYTHON"), "/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(candidate)
		if candidate != "" && err == nil && exec.CommandContext(ctx, path, "-c", wanted).Run() == nil {
			t.python = path
			break
		}
	}
	if t.python == "" {
		missing = append(missing, "python3-django", "gunicorn", "celery", "python3-redis", "python3-psycopg2", "python3-sentry-sdk")
	}
	beside := filepath.Dir(t.python)
	for _, program := range []struct {
		path            *string
		name, otherwise string
	}{
		{&t.gunicorn, filepath.Join(beside, "gunicorn"), "gunicorn"},
		{&t.celery, filepath.Join(beside, "celery"), "celery"},
		{&t.redis, "redis-server", "redis-server"},
		{&t.node, "node", "nodejs"},
		{&t.kill, "kill", "procps"},
	} {
		path, err := exec.LookPath(program.name)
		if err != nil {
			missing = append(missing, program.otherwise)
			continue
		}
		*program.path = path
	}
	if t.postgresBin = postgresBin(); t.postgresBin == "" {
		missing = append(missing, "postgresql")
	}
	if ctx.Err() != nil {
		return t, fmt.Errorf("looking for the estate's programs: %w", ctx.Err())
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return t, &Missing{Packages: slices.Compact(missing)}
	}
	return t, nil
}

// postgresBin is the folder of PostgreSQL's server programs, the newest version's.
func postgresBin() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Sort(dirs)
	slices.Reverse(dirs)
	dirs = append([]string{os.Getenv("REKEY_PG_BIN")}, dirs...)
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); dir != "" && err == nil {
			return dir
		}
	}
	return ""
}

// errEnded: a process ended that should have gone on.
var errEnded = errors.New("it ended")
