package secret

import "time"

// Schedule says when rekey acts by itself.
type Schedule struct {
	Zone *time.Location // for every time of day below; never nil after loading
	// Digest is the time of day, as a span since midnight, at which the daily digest of
	// due and overdue secrets is posted; negative for never.
	Digest time.Duration
	// Windows are when routine rotations may start by themselves; none: never.
	Windows []Window
	// Blackouts are spans of days on which nothing starts by itself.
	Blackouts []Blackout
}

// Window is a weekly maintenance window.
type Window struct {
	Days     []time.Weekday // none: every day
	From, To time.Duration  // since midnight, local; To may be smaller than From: past midnight
}

// Blackout is a span of whole days, both included.
type Blackout struct {
	From, To time.Time // midnight, in the schedule's zone
	Why      string
}

// Group is a named set of secrets that are rotated by one command.
type Group struct {
	Name    string
	Secrets []string
}

// StoreKind is a kind of place in which values live.
type StoreKind string

// The kinds of store. Dotenv is also the name of the store of that kind, which every
// catalogue has.
const (
	Dotenv = "dotenv"

	AWSSecretsManager StoreKind = "aws-secrets-manager"
	VaultKV           StoreKind = "vault-kv" // HashiCorp Vault or OpenBao, KV version 2
)

// Store is a place of values besides env files.
type Store struct {
	Name string
	Kind StoreKind
	// Region and Endpoint are AWS's; "" takes the SDK's own settings. Its credentials
	// come from the SDK's default chain.
	Region, Endpoint string
	// Address, Namespace, Mount and Token are Vault's. Mount "" means "secret".
	Address, Namespace, Mount string
	Token                     Source
	// CAFile holds the certificates to trust besides the system's; "" for none.
	CAFile string
}
