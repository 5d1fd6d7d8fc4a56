package layers

// table says what each package may import besides the standard library:
//
//	package: packages of this module; other modules
//
// A name that ends in /... stands for itself and everything below it. A row may be
// written before its package exists.
//
// Tests are held to less: they may import whatever is in their own layer or a
// lower one, every package that serves tests, and every module below that does
// not belong to one package alone.
const table = `
# audit: what happened.
audit:
audit/logs:                      audit; compress glob sys
audit/logs/loki:                 audit audit/logs
audit/logs/cloudwatch:           audit audit/logs; aws
audit/logs/journal:              audit audit/logs
audit/sentry:                    audit audit/sentry/api
audit/sentry/api:
audit/ledger:                    audit
audit/ledger/internal/sqlstore:  audit/ledger
audit/ledger/postgres:           audit/ledger audit/ledger/internal/sqlstore; pgx goose
audit/ledger/sqlite:             audit/ledger audit/ledger/internal/sqlstore; sqlite goose sys

# commands: what can be asked, decided and done.
commands:                        audit audit/ledger
commands/policy:                 commands commands/secret
commands/secret:                 audit/ledger
commands/store:                  commands/secret
commands/store/dotenv:           commands/store commands/secret; sys
commands/store/aws:              commands/store commands/store/aws/document commands/secret; aws
commands/store/aws/document:     commands/store commands/secret
commands/store/vault:            commands/store commands/secret; vault
commands/awsrotation:            commands/issue commands/secret commands/store commands/store/aws commands/store/aws/document commands/verify; aws
commands/verify:                 commands/reload commands/secret audit; sync
commands/checklist:              commands/logsource commands/issue/smtp commands/reload commands/secret commands/verify audit audit/logs audit/sentry; pgx
commands/usage:                  commands/issue commands/secret commands/verify audit audit/logs
commands/sessions:               commands/reload commands/secret audit
commands/reload:                 ; sys
commands/reload/traps:           commands/reload commands/secret commands/store commands/store/dotenv
commands/issue/sentrykey:        commands/issue commands/verify commands/secret audit audit/sentry audit/sentry/api; sentry
commands/issue/smtp:             commands/issue commands/secret commands/verify; mail
commands/issue/command:          commands/issue commands/reload commands/secret commands/verify
commands/issue/postgres:         commands/issue commands/secret commands/verify audit; pgx
commands/schedule:               commands commands/secret
commands/issue:                  commands/secret commands/store commands/verify
commands/rotate:                 commands commands/issue commands/store commands/verify commands/reload commands/secret audit/ledger; sync
commands/journal:                audit/ledger
commands/inspect:                commands commands/logsource commands/secret audit audit/logs audit/sentry; sync
commands/logsource:              commands/secret commands/store/aws audit/logs audit/logs/loki audit/logs/cloudwatch audit/logs/journal
commands/jobs:                   commands audit/ledger audit/ledger/postgres audit/ledger/sqlite; river pgx sqlite sync
commands/emergency:              commands commands/rotate commands/inspect commands/issue commands/jobs commands/journal commands/secret audit audit/ledger
commands/intake:                 commands commands/rotate commands/schedule commands/policy commands/jobs commands/journal commands/secret audit audit/ledger

# bot: Slack's and PagerDuty's words, in and out.
bot/socket:                      ; slack websocket sync
bot/render:                      commands commands/journal commands/secret audit audit/ledger; slack pagerduty
bot/render/chart:                audit; image
bot/notify:                      bot/render bot/render/chart commands commands/journal commands/secret audit audit/ledger bot/notify/slack bot/notify/pagerduty; sync
bot/notify/slack:                bot/render commands/secret; slack
bot/notify/pagerduty:            bot/render commands/secret; pagerduty
bot:                             bot/socket bot/render commands commands/secret audit audit/ledger; slack sync

# cmd: programs and their wiring.
cmd/internal/config:             audit/logs audit/logs/cloudwatch audit/logs/journal audit/logs/loki commands commands/policy commands/secret commands/store commands/store/dotenv; glob yaml
cmd/internal/app:                cmd/internal/config bot bot/socket bot/render bot/notify/... commands/... audit/...; slack pagerduty sentry sync sys
cmd/internal/layers:
cmd/internal/docs:               cmd/internal/cli cmd/internal/config
cmd/internal/docs/acceptance:
cmd/internal/testtools/...:
cmd/internal/bundle:             bot/render/... commands/inspect audit audit/ledger
cmd/internal/cli:                cmd/internal/app cmd/internal/bundle cmd/internal/config bot/render/... commands/... audit/...; kong lambda sys
cmd/rekey:                       cmd/internal/cli
cmd/internal/rehearsal:          cmd/internal/app cmd/internal/config bot/... commands/... audit/...; sync sys
cmd/drill:                       cmd/internal/app cmd/internal/config cmd/internal/rehearsal bot/... commands/... audit/...; kong sync sys

# Services in a process, for tests and for cmd/drill. Never for cmd/rekey.
commands/store/vault/vaulttest:
commands/store/aws/awstest:      audit/audittest/sigv4
audit/audittest:                 audit
audit/logs/logstest:
audit/logs/sourcetest:           audit audit/logs; cmp
audit/audittest/lokitest:        audit/audittest
audit/audittest/cloudwatchtest:  audit/audittest audit/audittest/sigv4
audit/audittest/journaltest:
audit/audittest/sigv4:
audit/audittest/porttest:
audit/audittest/programtest:
audit/ledger/ledgertest:         audit/ledger; pgx sys cmp rapid
commands/storetest:              commands/store commands/secret; cmp rapid
commands/issue/smtp/smtptest:    commands/secret; smtpd
commands/issue/issuetest:        commands/issue commands/secret commands/storetest commands/verify
commands/estatetest:             commands/secret; sys
cmd/internal/leathertest:        audit/audittest audit/audittest/programtest commands/issue/smtp/smtptest commands/secret commands/store/dotenv; pgx sync
bot/bottest:                     ; slack websocket
`

// modules are the short names of other modules in the table.
var modules = map[string][]string{
	"aws":       {"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"},
	"cmp":       {"github.com/google/go-cmp"},
	"compress":  {"github.com/klauspost/compress"},
	"glob":      {"github.com/bmatcuk/doublestar/v4"},
	"goleak":    {"go.uber.org/goleak"},
	"goose":     {"github.com/pressly/goose/v3"},
	"image":     {"golang.org/x/image"},
	"kong":      {"github.com/alecthomas/kong"},
	"lambda":    {"github.com/aws/aws-lambda-go"},
	"mail":      {"github.com/wneessen/go-mail"},
	"pagerduty": {"github.com/PagerDuty/go-pagerduty"},
	"pgx":       {"github.com/jackc/pgx/v5"},
	"rapid":     {"pgregory.net/rapid"},
	"river":     {"github.com/riverqueue/river"},
	"sentry":    {"github.com/getsentry/sentry-go"},
	"slack":     {"github.com/slack-go/slack"},
	"smtpd":     {"github.com/emersion/go-smtp", "github.com/emersion/go-sasl"},
	"sqlite":    {"modernc.org/sqlite"},
	"sync":      {"golang.org/x/sync"},
	"sys":       {"golang.org/x/sys"},
	"testing":   {"github.com/rogpeppe/go-internal"},
	"vault":     {"github.com/hashicorp/vault/api"},
	"websocket": {"github.com/coder/websocket"},
	"yaml":      {"github.com/goccy/go-yaml"},
}

// alone are modules that exactly one package may import, tests included: what
// they do has one home. The others are limited by the rows above.
var alone = map[string]string{
	"vault": "commands/store/vault",
	"river": "commands/jobs",
	"goose": "audit/ledger",
}

// onlyTests are modules for tests and for the packages that serve them.
var onlyTests = []string{"cmp", "goleak", "rapid", "smtpd", "testing"}

// order is the direction: a package may import from its own layer and from those
// before it.
var order = []string{"audit", "commands", "bot", "cmd"}
