package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rekey/audit/ledger"
)

// Config is what New needs.
type Config struct {
	Database Database
	Dialect  *Dialect
	Key      ledger.Key
	// Now dates entries that carry no time; nil means time.Now.
	Now func() time.Time
}

// Store implements ledger.Store over either database. New starts one goroutine,
// the writer; Close ends it.
type Store struct {
	db      Database
	dialect *Dialect
	key     ledger.Key
	now     func() time.Time

	calls   chan *call
	closing chan struct{}
	stopped chan struct{}
	closed  sync.Once
	// mu guards the phase and last error of every call: the one moment at which a
	// caller's deadline and the sending of COMMIT must not pass each other unseen.
	mu sync.Mutex
}

var _ ledger.Store = (*Store)(nil)

// New starts a store on an open, migrated database, which it will close.
func New(cfg Config) *Store {
	s := &Store{
		db: cfg.Database, dialect: cfg.Dialect, key: cfg.Key, now: cfg.Now,
		calls: make(chan *call), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	go s.write()
	return s
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx ledger.Tx) error) error {
	return s.snapshot(ctx, func(tx Transaction) error {
		t := &Tx{q: tx, dialect: s.dialect, key: s.key, readOnly: true}
		defer t.end()
		return fn(ctx, tx.Expose(t))
	})
}

// Verify implements ledger.Store.
func (s *Store) Verify(ctx context.Context) (v ledger.Verification, err error) {
	err = s.snapshot(ctx, func(tx Transaction) error {
		head, err := readHead(ctx, tx)
		if err != nil {
			return err
		}
		walk := ledger.NewWalk(s.key)
		if err := stream(ctx, tx, 0, func(e ledger.Entry, err error) error {
			if err != nil {
				walk.Unreadable()
				return errEnough
			}
			if !walk.Add(e) {
				return errEnough
			}
			return nil
		}); err != nil && !errors.Is(err, errEnough) {
			return err
		}
		v = walk.End(head)
		return nil
	})
	if err != nil {
		return v, fmt.Errorf("verifying the security log: %w", err)
	}
	return v, nil
}

// Export implements ledger.Store.
func (s *Store) Export(ctx context.Context, from int64, yield func(ledger.Entry) error) error {
	return s.snapshot(ctx, func(tx Transaction) error {
		return stream(ctx, tx, from, func(e ledger.Entry, err error) error {
			if err != nil {
				return fmt.Errorf("reading entry after %d: %w", e.Seq-1, err)
			}
			return yield(e)
		})
	})
}

// Close implements ledger.Store. Calls that wait for a commit under way get its
// result, all others ErrClosed.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		close(s.closing)
		<-s.stopped
		err = s.db.Close()
	})
	return err
}

func (s *Store) snapshot(ctx context.Context, fn func(Transaction) error) error {
	if s.isClosing() {
		return ledger.ErrClosed
	}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("opening snapshot: %w", err)
	}
	defer tx.Rollback()
	return fn(tx)
}

var errEnough = errors.New("enough")

// stream calls yield for every entry from seq on. An entry that cannot be decoded
// is yielded with the error, and is the last.
func stream(ctx context.Context, q Querier, from int64, yield func(ledger.Entry, error) error) error {
	rows, err := q.Query(ctx, "SELECT "+entryColumns+" FROM rekey_ledger WHERE seq >= $1 ORDER BY seq", from)
	if err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := yield(e, err); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	return nil
}

// readHead answers nil when the record is missing or holds what rekey never writes.
func readHead(ctx context.Context, q Querier) (*ledger.Head, error) {
	rows, err := q.Query(ctx, "SELECT seq, hash, mac FROM rekey_head")
	if err != nil {
		return nil, fmt.Errorf("reading head: %w", err)
	}
	defer rows.Close()
	var head *ledger.Head
	for rows.Next() {
		h, err := scanHead(rows)
		if err != nil {
			return nil, ctx.Err()
		}
		head = &h
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading head: %w", err)
	}
	return head, nil
}
