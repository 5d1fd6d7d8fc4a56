package config

import "testing"

// TestFaultsOfSecrets: what is wrong with procedures, issuers, checks, usage and sessions.
func TestFaultsOfSecrets(t *testing.T) {
	t.Parallel()
	eachFaultOfFull(t, []changed{
		{
			"Django's key made otherwise",
			"procedure: django-secret-key",
			"procedure: django-secret-key\n    generator: hex32",
			[]string{
				"rekey.yaml:57: secret SECRET_KEY is Django's own key, and follows Django's own rules: write django, or take out generator",
			},
		},
		{
			"password that is generated",
			"procedure: smtp-password",
			"procedure: smtp-password\n    generator: hex32",
			[]string{
				"rekey.yaml:78: secret MAIL_PASSWORD is made by its issuer, so nothing is generated: write supplied, or take out generator",
			},
		},
		{
			"role that is generated",
			"procedure: postgres-role",
			"procedure: postgres-role\n    generator: base64",
			[]string{
				"rekey.yaml:96: secret DATABASE_URL is made by its issuer, so nothing is generated: write supplied, or take out generator",
			},
		},
		{
			"after nothing, itself and twice",
			"procedure: smtp-password",
			"procedure: smtp-password\n    after: [HOOK_SECRETS, MAIL_PASSWORD, HOOK_SECRET, HOOK_SECRET]",
			[]string{
				`rekey.yaml:78: secret MAIL_PASSWORD comes after one that does not exist: "HOOK_SECRETS": write "HOOK_SECRET"`,
				"rekey.yaml:78: secret MAIL_PASSWORD cannot come after itself: take it out",
				`rekey.yaml:78: secret MAIL_PASSWORD names "HOOK_SECRET" twice: take one out`,
			},
		},
		{
			"automatic without a window",
			"  windows:\n    - {days: [tue, Wednesday], from: \"22:00\", to: \"2:00\"}\n    - {from: \"12:00\", to: \"13:00\"}\n",
			"",
			[]string{
				`rekey.yaml:36: secret HOOK_SECRET is rotated automatically, and the schedule has no window to do it in: write schedule: {windows: [{days: [tue], from: "10:00", to: "12:00"}]}`,
			},
		},
		{
			"automatic with confirm",
			"automatic: true",
			"automatic: true\n    confirm: true",
			[]string{
				"rekey.yaml:39: secret HOOK_SECRET is rotated automatically, and asks for a second click, which nobody gives by then: take out automatic or confirm",
			},
		},
		{
			"automatic that is never due",
			"    rotate_every: quarterly\n",
			"",
			[]string{
				"rekey.yaml:38: secret HOOK_SECRET is rotated automatically, and it is never due: write rotate_every: quarterly, or a span such as 90d",
			},
		},
		{
			"automatic by a person",
			"procedure: smtp-password",
			"procedure: smtp-password\n    rotate_every: 90d\n    automatic: true",
			[]string{
				"rekey.yaml:79: secret MAIL_PASSWORD is rotated automatically, and a person has to bring its new value: take out automatic",
			},
		},
		{
			"automatic by people",
			"procedure: manual",
			"procedure: manual\n    rotate_every: 90d\n    automatic: true",
			[]string{
				"rekey.yaml:121: secret OLD_THING is rotated automatically, and people rotate it: take out automatic",
			},
		},
		{
			"overlap of a manual secret",
			"procedure: manual",
			"procedure: manual\n    overlap: 1h",
			[]string{
				"rekey.yaml:120: secret OLD_THING is rotated by people, so rekey keeps no overlap: take out overlap, or write a procedure that rekey does, such as hmac-overlap",
			},
		},
		{
			"confirm of a manual secret",
			"procedure: manual",
			"procedure: manual\n    confirm: true",
			[]string{
				"rekey.yaml:120: secret OLD_THING is rotated by people, so there is nothing to confirm: take out confirm",
			},
		},
		{
			"checks of a manual secret",
			"{consumers: {api: {variable: FAX}}}",
			"{consumers: {api: {variable: FAX}}, checks: [{kind: sentry}]}",
			[]string{
				"rekey.yaml:120: secret OLD_THING in production is rotated by people, so rekey has no need of its checks: take it out, or write a procedure that rekey does",
			},
		},
		{
			"issuer of a shared secret",
			"        usage:\n",
			"        issuer: {server: x}\n        usage:\n",
			[]string{
				"rekey.yaml:50: secret HOOK_SECRET in production has an issuer, and its consumers hold it against each other: take it out, or write the procedure that has one, such as postgres-role",
			},
		},
		{
			"no issuer",
			"        issuer: {token: {file: /etc/token}}\n",
			"",
			[]string{
				`rekey.yaml:89: secret DSN in production has no "issuer": write who may make client keys: issuer: {token: {env: SENTRY_ADMIN_TOKEN}}`,
			},
		},
		{
			"no consumer that uses it",
			"        consumers: {api: {variable: DSN}}\n",
			"",
			[]string{
				"rekey.yaml:89: secret DSN in production has no consumer that uses it: name the service that shows it to its issuer, under consumers",
			},
		},
		{
			"role of an issued secret",
			"{api: {variable: DSN}}",
			"{api: {variable: DSN, role: both}}",
			[]string{
				`rekey.yaml:90: "role" of consumer api of secret DSN in production cannot be "both": write uses`,
			},
		},
		{
			"previous of an issued secret",
			"{api: {variable: DSN}}",
			"{api: {variable: DSN, previous: DSN_OLD}}",
			[]string{
				"rekey.yaml:90: consumer api of secret DSN in production uses one value at a time: take out previous: it is the issuer that knows two",
			},
		},
		{
			"request to one that uses",
			"{api: {variable: DSN}}",
			"{api: {variable: DSN, proof: {request: {urls: [https://e.com/], body: x}}}}",
			[]string{
				"rekey.yaml:90: consumer api of secret DSN in production verifies nothing with the value, so it cannot refuse a signed request: write challenge: {urls: […]} in its place, or take out proof",
			},
		},
		{
			"mail server without a port",
			"smtp.example.com:465",
			"smtp.example.com",
			[]string{
				`rekey.yaml:81: "server" of issuer of secret MAIL_PASSWORD in production is no host with a port: "smtp.example.com": write smtp.example.com:587, or :465 for TLS from the first byte`,
			},
		},
		{
			"mail address",
			"from: no@example.com",
			"from: nobody",
			[]string{
				`rekey.yaml:81: "from" of issuer of secret MAIL_PASSWORD in production is no mail address: "nobody": write the address alone: noreply@example.com`,
			},
		},
		{
			"test mail from nobody",
			"from: no@example.com, ",
			"",
			[]string{
				`rekey.yaml:81: issuer of secret MAIL_PASSWORD in production has a "to" and no "from": write the address the test mail comes from: from: noreply@example.com`,
			},
		},
		{
			"mail authentication",
			"auth: login",
			"auth: cram-md5",
			[]string{
				`rekey.yaml:81: "auth" of issuer of secret MAIL_PASSWORD in production cannot be "cram-md5": write one of plain, login`,
			},
		},
		{
			"no username",
			"username: leather, ",
			"",
			[]string{
				`rekey.yaml:81: issuer of secret MAIL_PASSWORD in production has no "username": write the user that the password belongs to`,
			},
		},
		{
			"Sentry without a project",
			"    sentry: {organization: your-org, project: leather-api}\n",
			"",
			[]string{
				"rekey.yaml:48: a check of secret HOOK_SECRET in production asks Sentry, and environment production names no Sentry project: write sentry: {organization: …, project: …} under the environment",
				"rekey.yaml:90: secret DSN in production is given out by Sentry, and environment production names no Sentry project: write sentry: {organization: …, project: …} under the environment",
			},
		},
		{
			"role's name",
			"owner: leather_owner",
			`owner: 'leather"owner'`,
			[]string{
				`rekey.yaml:99: "owner" of issuer of secret DATABASE_URL in production is no name of a role: "leather\"owner": write the group role that owns the application's objects`,
			},
		},
		{
			"no admin",
			"issuer: {admin: {env: ADMIN_URL}, queries",
			"issuer: {queries",
			[]string{
				`rekey.yaml:99: issuer of secret DATABASE_URL in production has no "admin": write where rekey reads it: admin: {env: LEATHER_ADMIN_URL} or admin: {file: /etc/rekey/admin}`,
			},
		},
		{
			"commands without a test",
			"test: [tool, test], ",
			"",
			[]string{
				`rekey.yaml:113: issuer of secret PARTNER_TOKEN in staging has no "test": write the command that tries a value: without it nothing is ever proven`,
			},
		},
		{
			"commands without a way back",
			", rollback: [tool, undo]",
			"",
			[]string{
				`rekey.yaml:113: issuer of secret PARTNER_TOKEN in staging has no "rollback": write the command that makes the new value invalid: it is the way back of create and set`,
			},
		},
		{
			"commands that never end the old value",
			"retire: [tool, off], revive: [tool, on], finish: [tool, rm], ",
			"",
			[]string{
				"rekey.yaml:113: issuer of secret PARTNER_TOKEN in staging never ends the old value: write finish, the command that removes it, or retire",
			},
		},
		{
			"revive without retire",
			"retire: [tool, off], ",
			"",
			[]string{
				`rekey.yaml:113: issuer of secret PARTNER_TOKEN in staging has a "revive" and no "retire" that it could take back: write retire, or take out revive`,
			},
		},
		{
			"commands as a shell string",
			"test: [tool, test]",
			"test: tool test",
			[]string{
				`rekey.yaml:113: "test" of issuer of secret PARTNER_TOKEN in staging is a shell string, and rekey uses no shell: write the list: test: [tool, test]`,
			},
		},
		{
			"program that is not there",
			"test: [tool, test]",
			"test: [/usr/bin/tool, test]",
			[]string{
				`rekey.yaml:113: the test command "/usr/bin/tool" of issuer of secret PARTNER_TOKEN in staging does not exist: write the path of a program on this machine`,
			},
		},
		{
			"timeout of commands",
			"timeout: 1m}",
			"timeout: 1h}",
			[]string{
				`rekey.yaml:113: "timeout" of issuer of secret PARTNER_TOKEN in staging is out of bounds: write at least 1s and at most 10m`,
			},
		},
		{
			"kind of check",
			"{kind: health, url",
			"{kind: healthy, url",
			[]string{
				`rekey.yaml:46: "kind" of a check of secret HOOK_SECRET in production cannot be "healthy": write "health"`,
			},
		},
		{
			"check without a kind",
			"{kind: health, url",
			"{url",
			[]string{
				`rekey.yaml:46: a check of secret HOOK_SECRET in production has no "kind": write one of health, request, smtp, postgres, celery, sentry, logs, command`,
			},
		},
		{
			"key of another check",
			"{kind: logs}",
			"{kind: logs, url: https://e.com/}",
			[]string{
				`rekey.yaml:48: "url" of a check of secret HOOK_SECRET in production does not belong to kind logs: the keys here are kind, name, within, every`,
			},
		},
		{
			"check without its address",
			"{kind: health, url: https://e.com/health/, ",
			"{kind: health, ",
			[]string{
				`rekey.yaml:46: a check of secret HOOK_SECRET in production has no "url": write the address that answers 200: https://api.example.com/api/healthcheck/`,
			},
		},
		{
			"two checks of one name",
			", name: The reports work",
			"",
			[]string{
				`rekey.yaml:102: two checks of secret DATABASE_URL in production are called "The application's queries work": give each a name of its own: name: …`,
			},
		},
		{
			"request that nobody says",
			"          - {kind: smtp}",
			"          - {kind: request}",
			[]string{
				`rekey.yaml:83: a check of secret MAIL_PASSWORD in production has no "request": write request: {urls: […], body: …}: no consumer here is proven by exactly one`,
			},
		},
		{
			"mail check without a server",
			"          - {kind: logs}",
			"          - {kind: smtp}",
			[]string{
				`rekey.yaml:48: a check of secret HOOK_SECRET in production has no "smtp": write the mail server: smtp: {server: smtp.example.com:587, username: leather-api}`,
			},
		},
		{
			"check without its command",
			"{kind: celery, command: [check-celery], timeout: 5s}",
			"{kind: celery}",
			[]string{
				`rekey.yaml:72: a check of secret SECRET_KEY in production has no "command": write the command as a list: command: [/srv/leather-api/bin/check]`,
			},
		},
		{
			"logs without our own addresses",
			"    own: [127.0.0.1]\n",
			"",
			[]string{
				"rekey.yaml:47: a check of secret HOOK_SECRET in production reads the logs for our own addresses, and environment production names no logs or no addresses: write logs and own under the environment",
			},
		},
		{
			"usage of a log and a metric",
			"{log: /srv/api/logs/rekey.log, pattern",
			"{metric: https://e.com/, log: /srv/api/logs/rekey.log, pattern",
			[]string{
				"rekey.yaml:51: a usage of secret HOOK_SECRET in production reads a log and a metric: write two: each tells by itself",
			},
		},
		{
			"usage of nothing",
			`{metric: "https://e.com/metrics", series: 'verified_total{with="previous"}'}`,
			"{quiet: 1m}",
			[]string{
				`rekey.yaml:52: a usage of secret HOOK_SECRET in production has no "log": write the log in which its use is told, or metric: with the address of a metrics page`,
			},
		},
		{
			"metric without a series",
			`, series: 'verified_total{with="previous"}'`,
			"",
			[]string{
				`rekey.yaml:52: a usage of secret HOOK_SECRET in production has no "series": write the counter with its labels, as the page shows them: leather_verified_total{with="previous"}`,
			},
		},
		{
			"pattern with a metric",
			", series:",
			", pattern: x, series:",
			[]string{
				`rekey.yaml:52: "pattern" of a usage of secret HOOK_SECRET in production does not belong to a metric: the keys here are metric, series, quiet`,
			},
		},
		{
			"log without a pattern",
			`pattern: 'with=previous client=(?P<who>\S+)', `,
			"",
			[]string{
				`rekey.yaml:51: a usage of secret HOOK_SECRET in production has no "pattern": write what a line says that is one use of the old value: verified_with=previous`,
			},
		},
		{
			"pattern that does not compile",
			`(?P<who>\S+)`,
			`(?P<who>\S+`,
			[]string{
				`rekey.yaml:51: "pattern" of a usage of secret HOOK_SECRET in production is no regular expression of the RE2 kind: write it without look-around and back references, parentheses in pairs, \ before what is meant as it stands`,
			},
		},
		{
			"pattern that looks ahead",
			`(?P<who>\S+)`,
			"(?=x)",
			[]string{
				`rekey.yaml:51: "pattern" of a usage of secret HOOK_SECRET in production is no regular expression of the RE2 kind: write it without look-around and back references, parentheses in pairs, \ before what is meant as it stands`,
			},
		},
		{
			"pattern for every line",
			`'with=previous client=(?P<who>\S+)'`,
			"'.*'",
			[]string{
				`rekey.yaml:51: "pattern" of a usage of secret HOOK_SECRET in production matches every line: write what only a use of the old value says`,
			},
		},
		{
			"log in a folder that is not there",
			"/srv/api/logs/rekey.log",
			"/srv/logs/rekey.log",
			[]string{
				`rekey.yaml:51: the folder "/srv/logs" of a usage of secret HOOK_SECRET in production does not exist: create it, or write where the service logs to`,
			},
		},
		{
			"logs in a folder that is not there",
			"log: /srv/api/logs/rekey.log",
			"log: /srv/logs/*/rekey.log",
			[]string{
				`rekey.yaml:51: the folder "/srv/logs" of a usage of secret HOOK_SECRET in production does not exist: create it, or write where the services log to`,
			},
		},
		{
			"logs by a pattern that is not whole",
			"log: /srv/api/logs/rekey.log",
			"log: '/srv/api/logs/[a.log'",
			[]string{
				`rekey.yaml:51: the pattern "/srv/api/logs/[a.log" of a usage of secret HOOK_SECRET in production is not whole: close every [ and {, or write a \ before one that is meant as it stands`,
			},
		},
		{"logs of a folder", "log: /srv/api/logs/rekey.log", "log: /srv/api/logs", nil},
		{
			"sessions without a command",
			"{count: [sessions, --count], end: [sessions, --end], tidy: [clearsessions], timeout: 2m}",
			"{timeout: 2m}",
			[]string{
				"rekey.yaml:70: sessions of secret SECRET_KEY in production have no command: write count, end or tidy: count: [/srv/leather-api/manage.py, rekey_sessions, --count]",
			},
		},
		{
			"challenge by address and command",
			"{command: [proof, SECRET_KEY], timeout: 20s}",
			"{urls: [https://e.com/], command: [proof, SECRET_KEY]}",
			[]string{
				"rekey.yaml:69: challenge of consumer worker of secret SECRET_KEY in production asks addresses and a command: keep urls, or command for a service without HTTP",
			},
		},
		{
			"time limit of an address",
			"SECRET_KEY_OLD\n            role: both\n            proof: {request: {urls: [https://e.com/rekey/django], body: rekey}, challenge: {urls",
			"SECRET_KEY_OLD\n            role: both\n            proof: {request: {urls: [https://e.com/rekey/django], body: rekey}, challenge: {timeout: 1s, urls",
			[]string{
				`rekey.yaml:65: challenge of consumer api of secret SECRET_KEY in production has a "timeout", which is a command's: take it out: an address is given 3 s for each answer`,
			},
		},
		{
			"scheme",
			"body: '{}'}",
			"body: '{}', scheme: sha1}",
			[]string{
				`rekey.yaml:43: "scheme" of request of consumer api of secret HOOK_SECRET in production cannot be "sha1": write one of hmac-sha256, django`,
			},
		},
	})
}
