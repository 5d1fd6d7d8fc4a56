package commands

import "strings"

// Topic is one thing that can be asked for, as help shows it.
type Topic struct {
	Usage   string // "/rotate SECRET compromised [in ENV] [reason]"
	Meaning string // one sentence
	Example string // a whole command that works on the guide's estate
	CLI     string // the same without Slack
}

// Topics answers everything that can be asked for, most urgent first.
func Topics() []Topic {
	return []Topic{
		{
			Usage:   "/rotate SECRET compromised [in ENV] [since WHEN] [reason]",
			Meaning: "Rotates a leaked secret now, pages on-call, ends the old value as soon as every service runs on the new one, and reads the logs and Sentry for misuse since it may have leaked (24h unless said).",
			Example: "/rotate REVALIDATE_SECRET compromised found in a CI log",
			CLI:     "rekey rotate REVALIDATE_SECRET compromised --reason 'found in a CI log'",
		},
		{
			Usage:   "/rotate all|GROUP compromised [in ENV] [reason]",
			Meaning: "Does that for every secret of the group, one after the other, the riskiest first: for when the whole .env has leaked. One page, one message, one report.",
			Example: "/rotate all compromised the .env was pushed to a public repository",
			CLI:     "rekey rotate all compromised --reason 'the .env was pushed to a public repository'",
		},
		{
			Usage:   "/rotate SECRET routine [in ENV] [reason]",
			Meaning: "Rotates a secret as scheduled: the old value stays valid for the overlap, then ends.",
			Example: "/rotate ANALYTICS_SECRET routine quarterly rotation",
			CLI:     "rekey rotate ANALYTICS_SECRET routine --reason 'quarterly rotation'",
		},
		{
			Usage:   "/rotate SECRET routine|compromised dry-run",
			Meaning: "Tells every file, command, role and call that the rotation would touch, and touches nothing.",
			Example: "/rotate DATABASE_URL routine dry-run",
			CLI:     "rekey rotate DATABASE_URL routine --dry-run",
		},
		{
			Usage:   "/rotate rollback RUN [reason]",
			Meaning: "Takes a run back to the old value, as long as that can be had.",
			Example: "/rotate rollback r-20261122-030000-abcdef",
			CLI:     "rekey rollback r-20261122-030000-abcdef",
		},
		{
			Usage:   "/rotate kill|hold RUN [reason]",
			Meaning: "When a compromised rotation stops for a moment because somebody of ours still uses the old value: ends it now, or lets it live for 10 more minutes, three times at most. It ends by itself if nobody chooses.",
			Example: "/rotate hold r-20261122-030000-abcdef",
			CLI:     "rekey hold r-20261122-030000-abcdef",
		},
		{
			Usage:   "/audit-secret SECRET [in ENV] [since 24h]",
			Meaning: "Reads the logs and Sentry for signs that somebody else used the secret; changes nothing.",
			Example: "/audit-secret REVALIDATE_SECRET since 2026-11-20",
			CLI:     "rekey audit-secret REVALIDATE_SECRET --since 2026-11-20",
		},
		{
			Usage:   "/rotate status [RUN]",
			Meaning: "Shows what is under way and what ended lately, or the steps of one run.",
			Example: "/rotate status",
			CLI:     "rekey runs",
		},
		{
			Usage:   "/rotate list",
			Meaning: "Lists the secrets: owner, risk, when last rotated and when next due.",
			Example: "/rotate list",
			CLI:     "rekey list",
		},
		{
			Usage:   "/rotate schedule",
			Meaning: "Shows what is overdue and what falls due next, and whose it is.",
			Example: "/rotate schedule",
			CLI:     "rekey schedule",
		},
		{
			Usage:   "/rotate digest",
			Meaning: "Shows what the daily message about due secrets would say now: overdue, due within 14 days, waiting for a person.",
			Example: "/rotate digest",
			CLI:     "rekey digest",
		},
		{
			Usage:   "/rotate help",
			Meaning: "Shows this.",
			Example: "/rotate help",
			CLI:     "rekey --help",
		},
	}
}

// HelpText is Topics as plain text.
func HelpText() string {
	var b strings.Builder
	for _, t := range Topics() {
		b.WriteString(t.Usage + "\n    " + t.Meaning + "\n")
		if t.Example != t.Usage {
			b.WriteString("    For example: " + t.Example + "\n")
		}
	}
	b.WriteString("Never type or paste a secret's value: the name is enough.\n")
	return b.String()
}
