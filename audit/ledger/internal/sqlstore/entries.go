package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rekey/audit/ledger"
)

const entryColumns = "seq, at, actor, action, subject, run, why, result, detail, prev, hash"

// Append implements ledger.Tx.
func (t *Tx) Append(_ context.Context, e *ledger.Entry) error {
	if t.broken != nil {
		return t.broken
	}
	if t.readOnly {
		return fmt.Errorf("appending entry: %w", ledger.ErrReadOnly)
	}
	t.pending = append(t.pending, pending{entry: ledger.Clean(*e), target: e})
	return nil
}

// Head implements ledger.Tx.
func (t *Tx) Head(ctx context.Context) (int64, ledger.Hash, error) {
	var head *ledger.Head
	err := t.each(ctx, "reading head", func(r Rows) error {
		h, err := scanHead(r)
		head = &h
		return err
	}, "SELECT seq, hash, mac FROM rekey_head")
	if err != nil {
		return 0, ledger.Hash{}, err
	}
	if head == nil || !head.Holds(t.key) {
		return 0, ledger.Hash{}, ledger.ErrBroken
	}
	return head.Seq, head.Hash, nil
}

func scanHead(r Rows, more ...any) (h ledger.Head, err error) {
	var hash, mac []byte
	if err := r.Scan(append([]any{&h.Seq, &hash, &mac}, more...)...); err != nil {
		return h, err
	}
	if h.Hash, err = hashOf(hash); err != nil {
		return h, err
	}
	h.MAC, err = hashOf(mac)
	return h, err
}

// Entries implements ledger.Tx. Entries appended in the same transaction have no
// place in the chain yet and are not listed.
func (t *Tx) Entries(ctx context.Context, run string) (es []ledger.Entry, err error) {
	err = t.each(ctx, "listing entries", func(r Rows) error {
		e, err := scanEntry(r)
		es = append(es, e)
		return err
	}, "SELECT "+entryColumns+" FROM rekey_ledger WHERE run = $1 ORDER BY seq", run)
	return es, err
}

func scanEntry(r Rows) (e ledger.Entry, err error) {
	var (
		at         int64
		detail     string
		prev, hash []byte
	)
	err = r.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &e.Run, &e.Why, &e.Result, &detail, &prev, &hash)
	if err != nil {
		return e, err
	}
	e.At = time.UnixMicro(at).UTC()
	if e.Detail, err = detailOf(detail); err != nil {
		return e, err
	}
	if e.Prev, err = hashOf(prev); err != nil {
		return e, err
	}
	e.Hash, err = hashOf(hash)
	return e, err
}

// insertChunk is how many entries one statement inserts: few enough for the
// parameter limit of both databases.
const insertChunk = 64

// chain gives the pending entries their places, stores them and moves the head.
// It answers the transaction's mark.
func chain(ctx context.Context, q Querier, d *Dialect, key ledger.Key, now time.Time, batch []pending) (mark string, err error) {
	if len(batch) == 0 {
		return readMark(ctx, q, d)
	}
	head, mark, err := lockHead(ctx, q, d)
	if err != nil {
		return "", err
	}
	if head == nil || !head.Holds(key) {
		return "", fmt.Errorf("appending entry: %w", ledger.ErrBroken)
	}
	seq, prev := head.Seq, head.Hash
	for i := range batch {
		e := &batch[i].entry
		if e.At.IsZero() {
			e.At = now.UTC().Truncate(time.Microsecond)
		}
		seq++
		e.Seq, e.Prev = seq, prev
		e.Hash = ledger.Sum(key, *e)
		prev = e.Hash
	}
	for rest := batch; len(rest) > 0; {
		n := min(len(rest), insertChunk)
		if err := insertEntries(ctx, q, rest[:n]); err != nil {
			return "", err
		}
		rest = rest[n:]
	}
	mac := ledger.HeadMAC(key, seq, prev)
	n, err := q.Exec(ctx, "UPDATE rekey_head SET seq = $1, hash = $2, mac = $3", seq, prev[:], mac[:])
	if err == nil && n != 1 {
		err = ledger.ErrBroken
	}
	if err != nil {
		return "", fmt.Errorf("moving head: %w", err)
	}
	return mark, nil
}

func lockHead(ctx context.Context, q Querier, d *Dialect) (head *ledger.Head, mark string, err error) {
	rows, err := q.Query(ctx, "SELECT seq, hash, mac FROM rekey_head"+d.ForUpdate)
	if err != nil {
		return nil, "", fmt.Errorf("locking head: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		h, err := scanHead(rows)
		if err != nil {
			return nil, "", fmt.Errorf("reading head: %w", err)
		}
		head = &h
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("locking head: %w", err)
	}
	rows.Close()
	mark, err = readMark(ctx, q, d)
	return head, mark, err
}

// readMark names the transaction, so that its outcome can be asked for.
func readMark(ctx context.Context, q Querier, d *Dialect) (mark string, err error) {
	if d.Mark == "" {
		return "", nil
	}
	rows, err := q.Query(ctx, "SELECT "+d.Mark)
	if err != nil {
		return "", fmt.Errorf("naming transaction: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&mark); err != nil {
			return "", fmt.Errorf("naming transaction: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return "", fmt.Errorf("naming transaction: %w", err)
	}
	return mark, nil
}

func insertEntries(ctx context.Context, q Querier, batch []pending) error {
	var (
		query strings.Builder
		args  []any
	)
	query.WriteString("INSERT INTO rekey_ledger (" + entryColumns + ") VALUES ")
	for i, p := range batch {
		e := p.entry
		detail, err := detailText(e.Detail)
		if err != nil {
			return err
		}
		row := []any{
			e.Seq, e.At.UnixMicro(), e.Actor, e.Action, e.Subject, e.Run, e.Why, e.Result,
			detail, e.Prev[:], e.Hash[:],
		}
		if i > 0 {
			query.WriteString(", ")
		}
		for j := range row {
			query.WriteString([...]string{"(", ", "}[min(j, 1)])
			query.WriteString("$" + strconv.Itoa(len(args)+j+1))
		}
		query.WriteString(")")
		args = append(args, row...)
	}
	if _, err := q.Exec(ctx, query.String(), args...); err != nil {
		return fmt.Errorf("appending entries: %w", err)
	}
	return nil
}

// CreateHead makes the record of the newest entry of an empty log. A log that has
// entries but no such record was tampered with and is left as it is.
func CreateHead(ctx context.Context, q Querier, key ledger.Key) error {
	rows, err := q.Query(ctx, "SELECT 1 FROM rekey_ledger UNION ALL SELECT 1 FROM rekey_head LIMIT 1")
	if err != nil {
		return fmt.Errorf("starting the security log: %w", err)
	}
	started := rows.Next()
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("starting the security log: %w", err)
	}
	if started {
		return nil
	}
	mac := ledger.HeadMAC(key, 0, ledger.Hash{})
	_, err = q.Exec(ctx, "INSERT INTO rekey_head (id, seq, hash, mac) VALUES (1, 0, $1, $2) ON CONFLICT DO NOTHING",
		make([]byte, len(ledger.Hash{})), mac[:])
	if err != nil {
		return fmt.Errorf("starting the security log: %w", err)
	}
	return nil
}
