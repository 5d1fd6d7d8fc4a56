package schedule

import (
	"time"

	"rekey/commands"
	"rekey/commands/secret"
)

// Soon is how many days ahead the digest looks.
const Soon = 14

// Digest answers what is to be told about rows and waiting runs at a moment.
func Digest(cat *secret.Catalogue, rows []commands.SecretRow, waiting []commands.DigestRun, now time.Time) commands.DailyDigest {
	s := cat.Schedule
	now = now.In(zone(s))
	day, ok := DigestDay(s, now)
	if !ok { // somebody asks before its time
		day = now.Format(time.DateOnly)
	}
	d := commands.DailyDigest{
		At: now, Day: day, Until: EndOfDay(s, now), Zone: now.Location().String(),
		Overdue: []commands.DigestRow{}, Due: []commands.DigestRow{}, // [] in JSON, not null
		Waiting: append([]commands.DigestRun{}, waiting...), Blackouts: blackouts(s, now),
	}
	for _, r := range Sorted(rows) {
		if r.NextDue.IsZero() {
			continue
		}
		row := digestRow(cat, r, now)
		switch {
		case Overdue(r, now):
			row.LastRotated = r.LastRotated
			row.Days = int(now.Sub(r.NextDue) / (24 * time.Hour))
			d.Overdue = append(d.Overdue, row)
		case row.Days <= Soon:
			d.Due = append(d.Due, row)
		case d.Next == nil:
			d.Next = &row
		}
	}
	return d
}

func digestRow(cat *secret.Catalogue, r commands.SecretRow, now time.Time) commands.DigestRow {
	row := commands.DigestRow{
		Secret: r.Name, Environment: r.Environment, Owner: r.Owner, NextDue: r.NextDue.UTC(), Run: r.Active,
		// By the dates that people read everywhere, which are UTC's.
		Days: int(r.NextDue.UTC().Truncate(24*time.Hour).Sub(now.UTC().Truncate(24*time.Hour)) / (24 * time.Hour)),
	}
	s, known := cat.Secret(r.Name)
	switch {
	case r.Active != "" || !known:
		return row
	case s.Procedure == secret.Manual:
		row.ByHand = true
		return row
	}
	row.First = r.First
	in := r.Environment
	if r.First != "" {
		in = r.First
	}
	row.Command = "/rotate " + r.Name + " " + string(commands.Routine)
	if len(cat.Environments) > 1 {
		row.Command += " in " + in
	}
	if s.Automatic && r.First == "" {
		at := now
		if r.NextDue.After(at) {
			at = r.NextDue
		}
		row.From, row.To, _ = Opening(cat.Schedule, at)
	}
	return row
}

// blackouts are the ones that touch the days the digest looks at.
func blackouts(s secret.Schedule, now time.Time) []commands.DigestBlackout {
	out := []commands.DigestBlackout{}
	today, last := now.Format(time.DateOnly), now.AddDate(0, 0, Soon).Format(time.DateOnly)
	for _, b := range s.Blackouts {
		from, to := b.From.In(zone(s)).Format(time.DateOnly), b.To.In(zone(s)).Format(time.DateOnly)
		if from <= last && to >= today {
			out = append(out, commands.DigestBlackout{From: from, To: to, Why: b.Why, Now: from <= today})
		}
	}
	return out
}
