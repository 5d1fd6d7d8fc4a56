package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"rekey/audit/ledger"
	"rekey/audit/ledger/internal/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// patience is how long another process that makes or migrates the same file at the same
// time is waited for.
const patience = 10 * time.Second

func prepare(ctx context.Context, d database, key ledger.Key) error {
	if err := migrate(ctx, d); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	tx, err := d.Begin(ctx)
	if err != nil {
		return fmt.Errorf("starting the security log: %w", err)
	}
	if err := sqlstore.CreateHead(ctx, tx, key); err != nil {
		tx.Rollback()
		return err
	}
	if _, err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("starting the security log: %w", err)
	}
	return nil
}

// migrate brings the schema up to date. goose looks at its version table before it
// opens a transaction, so of two processes that start at once one fails, having
// changed nothing, and finds the work done when it looks again.
func migrate(ctx context.Context, d database) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, d.write, files,
		goose.WithTableName("rekey_migrations"), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	return patiently(ctx, func() (again bool, err error) {
		if _, err = p.Up(ctx); err == nil || ctx.Err() != nil {
			return false, err
		}
		if pending, unknown := p.HasPending(ctx); unknown == nil && !pending {
			return false, nil
		}
		return true, err
	})
}

// patiently tries until that says that trying again is of no use, or for too long.
func patiently(ctx context.Context, try func() (again bool, err error)) error {
	for start := time.Now(); ; {
		again, err := try()
		if !again || ctx.Err() != nil || time.Since(start) > patience {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
