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

// migratePatience is how long another process that migrates the same file at the
// same time is waited for.
const migratePatience = 10 * time.Second

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
	for start := time.Now(); ; {
		_, err := p.Up(ctx)
		if err == nil || ctx.Err() != nil || time.Since(start) > migratePatience {
			return err
		}
		pending, again := p.HasPending(ctx)
		if again == nil && !pending {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
