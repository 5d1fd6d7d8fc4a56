package config

import "testing"

// TestFaultsOfTheEstate: what is wrong with stores, consumers, environments, the schedule and groups.
func TestFaultsOfTheEstate(t *testing.T) {
	t.Parallel()
	eachFaultOfFull(t, []changed{
		{
			"kind of store",
			"kind: vault-kv",
			"kind: vault",
			[]string{
				`rekey.yaml:5: "kind" of store vault cannot be "vault": write "vault-kv"`,
			},
		},
		{
			"store without a kind",
			"{kind: aws-secrets-manager, region",
			"{region",
			[]string{
				`rekey.yaml:4: store aws has no "kind": write aws-secrets-manager or vault-kv, which is also OpenBao's`,
			},
		},
		{
			"key of another kind",
			"{kind: aws-secrets-manager, region",
			"{kind: aws-secrets-manager, mount: kv, region",
			[]string{
				`rekey.yaml:4: "mount" of store aws does not belong to kind aws-secrets-manager: the keys here are kind, region, endpoint`,
			},
		},
		{
			"store called dotenv",
			"  aws: {kind",
			"  dotenv: {kind: aws-secrets-manager}\n  aws: {kind",
			[]string{
				`rekey.yaml:4: a store cannot be called "dotenv", which is what env files are called: give it another name`,
			},
		},
		{
			"region",
			"us-east-1, endpoint",
			"Virginia, endpoint",
			[]string{
				`rekey.yaml:4: "region" of store aws is no region: "Virginia": write it as AWS does: us-east-1`,
			},
		},
		{
			"token over plain http",
			"https://vault.example.com:8200/",
			"http://vault.example.com:8200/",
			[]string{
				`rekey.yaml:5: "address" of store vault would carry tokens and values over plain http: write https://…; http is for this machine only`,
			},
		},
		{
			"no token",
			"token: {env: VAULT_TOKEN}, ",
			"",
			[]string{
				`rekey.yaml:5: store vault has no "token": write where rekey reads it: token: {env: VAULT_TOKEN} or token: {file: /etc/rekey/token}`,
			},
		},
		{
			"token in the file",
			"token: {env: VAULT_TOKEN}",
			"token: hvs.hunter22",
			[]string{
				`rekey.yaml:5: the key "token" promises a token or a value, and those never stand in this file: name where it is found: token: {env: VAULT_TOKEN} or token: {file: /etc/rekey/token}; Slack's is SLACK_BOT_TOKEN`,
			},
		},
		{
			"both env and file",
			"token: {env: VAULT_TOKEN}",
			"token: {env: VAULT_TOKEN, file: /etc/token}",
			[]string{
				"rekey.yaml:5: token of store vault names an environment variable and a file: keep one of the two",
			},
		},
		{
			"neither env nor file",
			"token: {env: VAULT_TOKEN}",
			"token: {}",
			[]string{
				"rekey.yaml:5: token of store vault names nothing: write where rekey reads it: token: {env: VAULT_TOKEN} or token: {file: /etc/rekey/token}",
			},
		},
		{
			"source is a list",
			"admin: {env: ADMIN_URL}, queries",
			"admin: [ADMIN_URL], queries",
			[]string{
				`rekey.yaml:99: "admin" of issuer of secret DATABASE_URL in production is a list, and values never stand in this file: write where rekey reads it: admin: {env: LEATHER_ADMIN_URL} or admin: {file: /etc/rekey/admin}`,
			},
		},
		{
			"source is a text",
			"admin: {env: ADMIN_URL}, queries",
			"admin: ADMIN_URL, queries",
			[]string{
				`rekey.yaml:99: "admin" of issuer of secret DATABASE_URL in production is a text, and values never stand in this file: write where rekey reads it: admin: {env: LEATHER_ADMIN_URL} or admin: {file: /etc/rekey/admin}`,
			},
		},
		{
			"admin URL in the file",
			"admin: {env: ADMIN_URL}, queries",
			"admin: 'postgres://admin:hunter22@db/leather', queries",
			[]string{
				"rekey.yaml:99: a database URL with its password stands in this file: take it out, treat it as leaked if the file was shared, and name where it is found, as in admin: {env: LEATHER_ADMIN_URL}; rekey's own is REKEY_DATABASE_URL",
			},
		},
		{
			"variable of a source",
			"admin: {env: ADMIN_URL}, queries",
			"admin: {env: ADMIN-URL}, queries",
			[]string{
				`rekey.yaml:99: "env" of admin of issuer of secret DATABASE_URL in production is no name of a variable: "ADMIN-URL": use letters, digits and _, such as REVALIDATE_SECRET`,
			},
		},
		{
			"file of a source",
			"{file: /etc/token}",
			"{file: /etc/tokens}",
			[]string{
				`rekey.yaml:91: "file" of token of issuer of secret DSN in production: the file "/etc/tokens" does not exist: put the value there, readable by rekey's user alone`,
			},
		},
		{
			"certificates",
			"ca_file: /etc/ca.pem}\nenv",
			"ca_file: /etc/nothing.pem}\nenv",
			[]string{
				`rekey.yaml:5: "ca_file" of store vault: the file "/etc/nothing.pem" does not exist: put the certificates there, or take it out to trust the system's alone`,
			},
		},
		{
			"unknown store",
			"store: vault, location: leather-web",
			"store: volt, location: leather-web",
			[]string{
				`rekey.yaml:14: consumer web reads from a store that does not exist: "volt": write one of aws, vault, or define it first`,
			},
		},
		{
			"no location",
			"{store: vault, location: leather-web/production, ",
			"{store: vault, ",
			[]string{
				`rekey.yaml:14: consumer web has no "location": write where in the store it reads: location: leather-api/production`,
			},
		},
		{
			"no store",
			"{store: vault, location: leather-web/production, ",
			"{location: leather-web/production, ",
			[]string{
				`rekey.yaml:14: consumer web has a "location" and no "store": write store: with the name of one under stores, or env_file: with the path of the file`,
			},
		},
		{
			"file and store",
			"web: {store: vault",
			"web: {env_file: /srv/api/.env, store: vault",
			[]string{
				"rekey.yaml:14: consumer web reads from an env file and from a store: keep env_file, or store with location",
			},
		},
		{
			"store dotenv",
			"{store: vault, location: leather-web/production, ",
			"{store: dotenv, location: /srv/api/.env, ",
			[]string{
				"rekey.yaml:14: consumer web names the store dotenv, whose places are files: write env_file: with the path of the file it reads its variables from",
			},
		},
		{
			"path of Vault",
			"location: leather-web/production",
			"location: /leather-web/production",
			[]string{
				`rekey.yaml:14: "location" of consumer web is no path of a Vault secret: "/leather-web/production": write the path below the mount, without a / at its ends: leather-api/production`,
			},
		},
		{
			"path of Vault with its mount",
			"location: leather-web/production",
			"location: kv/data/leather-web",
			[]string{
				`rekey.yaml:14: "location" of consumer web begins with the mount and "data", which rekey adds itself: write leather-web`,
			},
		},
		{
			"name of AWS",
			"location: leather-api/staging",
			`location: "leather api"`,
			[]string{
				`rekey.yaml:21: "location" of consumer api is no name of an AWS secret: "leather api": write its name, such as leather-api/production, or its whole ARN`,
			},
		},
		{
			"no variable in Vault",
			"web: {variable: hook-secret, ",
			"web: {",
			[]string{
				`rekey.yaml:44: consumer web of secret HOOK_SECRET in production has no "variable": write the name of the variable that holds the value`,
			},
		},
		{
			"previous of a whole secret",
			"partner: {}",
			"partner: {previous: OLD}",
			[]string{
				`rekey.yaml:112: consumer partner of secret PARTNER_TOKEN in staging has a "previous" and no "variable", so the whole AWS secret is the value: write the key of each in the JSON of the AWS secret, or take out previous`,
				"rekey.yaml:112: consumer partner of secret PARTNER_TOKEN in staging uses one value at a time: take out previous: it is the issuer that knows two",
			},
		},
		{
			"key in a secret that is taken whole",
			"DATABASE_URL}}\n        issuer: {admin: {env: ADMIN_URL}}\n  PARTNER",
			"DATABASE_URL}, partner: {variable: DATABASE_URL}}\n        issuer: {admin: {env: ADMIN_URL}}\n  PARTNER",
			[]string{
				`rekey.yaml:112: consumer partner of secret PARTNER_TOKEN in staging takes the whole of "arn:aws:secretsmanager:us-east-1:123456789012:secret:partner-AbCdEf" of store aws for its value, and consumer partner of secret DATABASE_URL in staging writes DATABASE_URL in it: give each a place of its own`,
			},
		},
		{
			"signer above the one that accepts",
			"          api:\n            variable: SECRET_KEY\n            previous: SECRET_KEY_OLD\n            role: both\n            proof: {request: {urls: [https://e.com/rekey/django], body: rekey}, challenge: {urls: [https://e.com/proof]}}\n          worker:\n            variable: SECRET_KEY\n            role: signs\n            proof: {challenge: {command: [proof, SECRET_KEY], timeout: 20s}}\n",
			"          worker:\n            variable: SECRET_KEY\n            role: signs\n            proof: {challenge: {command: [proof, SECRET_KEY], timeout: 20s}}\n          api:\n            variable: SECRET_KEY\n            previous: SECRET_KEY_OLD\n            role: both\n            proof: {request: {urls: [https://e.com/rekey/django], body: rekey}, challenge: {urls: [https://e.com/proof]}}\n",
			[]string{
				`rekey.yaml:66: consumer api of secret SECRET_KEY in production writes SECRET_KEY in "/srv/api/.env", and so does consumer worker of secret SECRET_KEY in production: write api above worker, so that the one who also accepts comes first`,
			},
		},
		{
			"worker with another role",
			"          worker:\n            variable: SECRET_KEY\n            role: signs\n            proof: {challenge",
			"          worker:\n            variable: SECRET_KEY\n            role: both\n            proof: {request: {urls: [https://e.com/], body: x}, challenge",
			[]string{
				`rekey.yaml:67: consumer worker of secret SECRET_KEY in production writes SECRET_KEY in "/srv/api/.env", and so does consumer api of secret SECRET_KEY in production: give each its own variable or its own file`,
				`rekey.yaml:73: a check of secret SECRET_KEY in production has no "request": write request: {urls: […], body: …}: no consumer here is proven by exactly one`,
			},
		},
		{
			"relative path of a process's number", "/run/worker.pid", "worker.pid",
			[]string{`rekey.yaml:13: "pid_file" of consumer worker is a relative path: "worker.pid": write the whole path from /, so that it does not depend on where rekey is started`},
		},
		{
			"after itself",
			"after: lab",
			"after: staging",
			[]string{
				"rekey.yaml:18: environment staging comes after itself: name the one in which a rotation is tried first, or take out after",
			},
		},
		{
			"after nothing",
			"after: lab",
			"after: labs",
			[]string{
				`rekey.yaml:18: environment staging comes after one that does not exist: "labs": write "lab"`,
			},
		},
		{
			"in a circle",
			"  lab: {}",
			"  lab: {after: production}",
			[]string{
				"rekey.yaml:9: environments come after each other in a circle: production after staging after lab after production: take out one after, so that there is a first one",
			},
		},
		{
			"within without after",
			"    after: staging\n",
			"    after_within: 7d\n",
			[]string{
				"rekey.yaml:9: environment production comes after none, so nothing is asked of it: write after: with the environment in which a rotation is tried first, or take out after_within",
			},
		},
		{
			"within out of bounds",
			"after_within: 2d",
			"after_within: 1m",
			[]string{
				`rekey.yaml:19: "after_within" of environment staging is out of bounds: write at least 1h and at most 366d`,
			},
		},
		{
			"zone",
			"Europe/Berlin",
			"Berlin",
			[]string{
				`rekey.yaml:25: "zone" of schedule is no time zone: "Berlin": write its name in the tz database, such as Europe/Berlin or UTC`,
			},
		},
		{
			"digest",
			`"09:30"`,
			"morning",
			[]string{
				`rekey.yaml:26: "digest" of schedule is no time of day: "morning": write hours and minutes: "09:00"; midnight is "00:00"`,
			},
		},
		{
			"digest past midnight",
			`"09:30"`,
			`"24:00"`,
			[]string{
				`rekey.yaml:26: "digest" of schedule is no time of day: "24:00": write hours and minutes: "09:00"; midnight is "00:00"`,
			},
		},
		{
			"day",
			"[tue, Wednesday]",
			"[tue, midweek]",
			[]string{
				`rekey.yaml:28: "midweek" in "days" of a window of schedule is no day of the week: write mon, tue, wed, thu, fri, sat or sun`,
			},
		},
		{
			"day twice",
			"[tue, Wednesday]",
			"[tue, tuesday]",
			[]string{
				`rekey.yaml:28: "tuesday" stands twice in "days" of a window of schedule: take one out`,
			},
		},
		{
			"empty window",
			`from: "12:00", to: "13:00"`,
			`from: "12:00", to: "12:00"`,
			[]string{
				`rekey.yaml:29: a window of schedule is empty: it ends when it begins: write a later time under "to"; an earlier one means the next day`,
			},
		},
		{
			"window without an end",
			`from: "12:00", to: "13:00"`,
			`from: "12:00"`,
			[]string{
				`rekey.yaml:29: a window of schedule has no "to": write a time of day: "10:00"`,
			},
		},
		{
			"blackout backwards",
			"to: 2027-01-02",
			"to: 2026-01-02",
			[]string{
				"rekey.yaml:31: a blackout of schedule ends before it begins: write the last day, which still belongs to it",
			},
		},
		{
			"blackout without a day",
			"{from: 2027-05-01}",
			"{why: Labour Day}",
			[]string{
				`rekey.yaml:32: a blackout of schedule has no "from": write its first day: 2026-12-20`,
			},
		},
		{
			"unknown secret in a group",
			"[DATABASE_URL, SECRET_KEY]",
			"[DATABASE_URL, SECRET_KEYS]",
			[]string{
				`rekey.yaml:123: group leather names a secret that does not exist: "SECRET_KEYS": write "SECRET_KEY"`,
			},
		},
		{
			"secret twice in a group",
			"[DATABASE_URL, SECRET_KEY]",
			"[DATABASE_URL, DATABASE_URL]",
			[]string{
				`rekey.yaml:123: group leather names "DATABASE_URL" twice: take one out`,
			},
		},
		{
			"empty group",
			"leather: [DATABASE_URL, SECRET_KEY]",
			"leather: []",
			[]string{
				"rekey.yaml:123: group leather is empty: name its secrets: leather: [REVALIDATE_SECRET, ANALYTICS_SECRET]",
			},
		},
		{
			"group without anything",
			"leather: [DATABASE_URL, SECRET_KEY]",
			"leather:",
			[]string{
				"rekey.yaml:123: group leather is empty: name its secrets: leather: [REVALIDATE_SECRET, ANALYTICS_SECRET]",
			},
		},
		{
			"group called like a secret",
			"  leather: [",
			"  dsn: [",
			[]string{
				`rekey.yaml:123: a group and a secret are called "DSN", so a command cannot tell them apart: give the group another name`,
			},
		},
		{
			"group called all",
			"  leather: [",
			"  all: [",
			[]string{
				`rekey.yaml:123: a group cannot be called "all", which is a word of the commands: give it another name`,
			},
		},
		{
			"group called rollback",
			"  leather: [",
			"  Rollback: [",
			[]string{
				`rekey.yaml:123: a group cannot be called "Rollback", which is a word of the commands: give it another name`,
			},
		},
		{
			"environment called hold",
			"  lab: {}",
			"  hold: {}\n  lab: {}",
			[]string{
				`rekey.yaml:23: an environment cannot be called "hold", which is a word of the commands: give it another name`,
			},
		},
		{
			"environment called kill",
			"  lab: {}",
			"  Kill: {}\n  lab: {}",
			[]string{
				`rekey.yaml:23: an environment cannot be called "Kill", which is a word of the commands: give it another name`,
			},
		},
		{
			"secret called digest",
			"  OLD_THING:",
			"  Digest:",
			[]string{
				`rekey.yaml:116: a secret cannot be called "Digest", which is a word of the commands: give it another name`,
			},
		},
		{
			"secret called provide",
			"  OLD_THING:",
			"  provide:",
			[]string{
				`rekey.yaml:116: a secret cannot be called "provide", which is a word of the commands: give it another name`,
			},
		},
	})
}
