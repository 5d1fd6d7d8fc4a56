// Package sqlite keeps the security log and run state in one SQLite file: rekey's
// default, for a single process without a database server. It holds what is special
// to SQLite: opening and migrating the file, its lock, its transactions and what
// its error codes mean. The rest is shared with PostgreSQL.
//
// One process at a time carries runs out (see Lock); others may open the same file
// at the same time to record commands and to read.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"rekey/audit/ledger"
	"rekey/audit/ledger/internal/sqlstore"
)

// readers is how many snapshots may be open at once.
const readers = 8

// Config says which database to open.
type Config struct {
	// Path is the database file. It is created, readable and writable by its owner
	// alone, if it does not exist; its folder must exist.
	Path string
	// Key authenticates the chain.
	Key ledger.Key
	// Now dates entries that carry no time, and leases; nil means time.Now.
	Now func() time.Time
}

// Store is a ledger.Store in one SQLite file.
type Store struct {
	*sqlstore.Store
	db *sql.DB
}

// Open opens or creates the file, brings its schema up to date and starts the
// security log if there is none. It takes no lock: see Lock.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Key.IsZero() {
		return nil, errors.New("opening ledger: no key")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	d, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if err := prepare(ctx, d, cfg.Key); err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	return &Store{
		Store: sqlstore.New(sqlstore.Config{Database: d, Dialect: dialect(cfg.Now), Key: cfg.Key, Now: cfg.Now}),
		db:    d.write,
	}, nil
}

// DB is the pool of the one connection that writes, for the job engine. Waiting
// for it is fair, where waiting for SQLite's own lock is not. Never use it inside a
// function given to Update, which holds that connection already: use Tx.SQL there.
func (s *Store) DB() *sql.DB { return s.db }

// Tx is the ledger.Tx that functions given to Update and View get.
type Tx struct {
	*sqlstore.Tx
	tx *sql.Tx
}

var _ ledger.Tx = (*Tx)(nil)

// SQL is the transaction itself, so that a job can be queued in it. It must be
// neither committed nor rolled back.
func (t *Tx) SQL() *sql.Tx { return t.tx }

// create makes sure that the file is there and that nobody else can change it.
// SQLite gives its -wal and -shm files the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s can be changed by others (mode %04o): run chmod 600 %s", path, mode, path)
	}
	return nil
}

// open opens the two pools: one connection that writes, several that read.
func open(ctx context.Context, path string) (database, error) {
	name := (&url.URL{Scheme: "file", Path: path}).String() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	write, err := sql.Open("sqlite", name+"&_txlock=immediate")
	if err != nil {
		return database{}, err
	}
	write.SetMaxOpenConns(1)
	// The first connection switches to WAL before anybody reads. Of two processes that do
	// so with a new file at once SQLite refuses one without waiting (busy_timeout), as each
	// may be waiting for the other.
	if err := patiently(ctx, func() (again bool, err error) {
		err = write.PingContext(ctx)
		return transient(err), err
	}); err != nil {
		_ = write.Close()
		return database{}, fmt.Errorf("%s: %w", path, err)
	}
	read, err := sql.Open("sqlite", name+"&_query_only=1")
	if err != nil {
		_ = write.Close()
		return database{}, err
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return database{write: write, read: read}, nil
}

// dialect is what SQLite says differently. Its clock is that of this process,
// which is the only one that holds leases.
func dialect(now func() time.Time) *sqlstore.Dialect {
	return &sqlstore.Dialect{
		Clock:     func() string { return strconv.FormatInt(now().UnixMicro(), 10) },
		Fragile:   true,
		Unique:    func(err error) bool { return code(err) == codeUnique || code(err) == codePrimaryKey },
		Transient: transient,
		Blocked:   func(error) bool { return false },
	}
}

// transient reports whether another connection stood in the way.
func transient(err error) bool {
	c := code(err) & 0xff
	return c == codeBusy || c == codeLocked
}
