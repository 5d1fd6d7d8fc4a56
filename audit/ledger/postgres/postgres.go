// Package postgres keeps the security log and run state in PostgreSQL, for rekey
// running as several replicas. It holds what is special to PostgreSQL: opening and
// migrating, transactions that the server ends by itself when this process cannot,
// and what its error codes mean. The rest is shared with SQLite.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rekey/audit/ledger"
	"rekey/audit/ledger/internal/sqlstore"
)

// minConns is the pool's size unless the URL says pool_max_conns: one connection
// for the writer, the others for readers and the job engine.
const minConns = 16

// Config says which database to open.
type Config struct {
	// URL is a connection string as pgx takes it: "postgres://user@host/db?…". It
	// may hold a password and never occurs in an error.
	URL string
	// Key authenticates the chain.
	Key ledger.Key
	// Now dates entries that carry no time; nil means time.Now. Leases always go by
	// the database's clock.
	Now func() time.Time
}

// Store is a ledger.Store in PostgreSQL.
type Store struct {
	*sqlstore.Store
	pool *pgxpool.Pool
}

// Open connects, brings the schema up to date (any number of replicas may do so at
// once) and starts the security log if there is none.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Key.IsZero() {
		return nil, errors.New("opening ledger: no key")
	}
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("opening ledger: the database URL cannot be read") // err quotes it, password included
	}
	if !strings.Contains(cfg.URL, "pool_max_conns") {
		pc.MaxConns = max(pc.MaxConns, minConns)
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if err := prepare(ctx, pool, cfg.Key); err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	return &Store{
		Store: sqlstore.New(sqlstore.Config{Database: database{pool}, Dialect: dialect, Key: cfg.Key, Now: cfg.Now}),
		pool:  pool,
	}, nil
}

// Pool is the connection pool, for the job engine. Close closes it.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Tx is the ledger.Tx that functions given to Update and View get.
type Tx struct {
	*sqlstore.Tx
	tx pgx.Tx
}

var _ ledger.Tx = (*Tx)(nil)

// Pgx is the transaction itself, so that a job can be queued in it. It must be
// neither committed nor rolled back.
func (t *Tx) Pgx() pgx.Tx { return t.tx }
