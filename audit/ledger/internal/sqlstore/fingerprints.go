package sqlstore

import (
	"context"

	"rekey/audit/ledger"
)

// PutFingerprints implements ledger.Tx.
func (t *Tx) PutFingerprints(ctx context.Context, fs []ledger.Fingerprint) error {
	for _, f := range fs {
		if _, err := t.exec(ctx, "recording fingerprint", `INSERT INTO rekey_fingerprints
			(secret, environment, role, form, length, roll, mac, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (secret, environment, form, mac) DO UPDATE SET role = excluded.role, at = excluded.at`,
			f.Secret, f.Environment, f.Role, f.Form, int64(f.Length), int64(f.Roll), blob(f.MAC), micros(f.At)); err != nil {
			return err
		}
	}
	return nil
}

// Fingerprints implements ledger.Tx.
func (t *Tx) Fingerprints(ctx context.Context) (fs []ledger.Fingerprint, err error) {
	err = t.each(ctx, "listing fingerprints", func(rows Rows) error {
		var (
			f                ledger.Fingerprint
			length, roll, at int64
		)
		if err := rows.Scan(&f.Secret, &f.Environment, &f.Role, &f.Form, &length, &roll, &f.MAC, &at); err != nil {
			return err
		}
		f.Length, f.Roll, f.MAC, f.At = int(length), uint32(roll), bytesOf(f.MAC), timeOf(at) //nolint:gosec // written from a uint32
		fs = append(fs, f)
		return nil
	}, `SELECT secret, environment, role, form, length, roll, mac, at FROM rekey_fingerprints
		ORDER BY secret, environment, at, form, mac`)
	return fs, err
}
