package secret

import (
	"net/netip"
	"time"
)

// Catalogue is the estate rekey looks after: what rekey.yaml says, checked.
// It is read-only after loading.
type Catalogue struct {
	Environments []Environment // in the order of the file; the first is the default
	Secrets      []Secret      // in the order of the file
	Slack        Slack
	PagerDuty    PagerDuty
	Access       Access
	Contacts     []Contact
	Stores       []Store // besides env files
	Groups       []Group // "all" always exists and is not listed
	Schedule     Schedule
}

// Environment is one deployment of the estate.
type Environment struct {
	Name      string
	Consumers []Consumer
	Logs      []Log
	Sentry    Sentry
	// Own lists the addresses rekey's own checks come from.
	Own []netip.Prefix
	// Proxies lists the addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// After names the environment in which a secret must have been rotated with success
	// at most AfterWithin ago before a routine rotation here; "" for none.
	After       string
	AfterWithin time.Duration
}

// Consumer is a service that reads secrets from an env file or another store and must
// be reloaded to see a change.
type Consumer struct {
	Name     string
	Store    string   // where it reads from: "dotenv", or the name of one of Catalogue.Stores
	Location string   // in that store: the absolute path of the env file, the AWS secret, the Vault path
	Reload   []string // argument list, never given to a shell
	// ReloadTimeout bounds Reload; 0 means 30 s.
	ReloadTimeout time.Duration
	// PIDFile is the absolute path of a file with the main process's number, by which
	// traps of reloading are found; "" where there is none, or the reload command tells.
	PIDFile string
	Health  string // URL that answers 200 when the service is well; "" for none
	// Workers is how many processes answer behind one address; 0 when unknown.
	// Where answers name their worker, all of them must have agreed.
	Workers int
}

// Procedure is how a secret is rotated.
type Procedure string

// The procedures. Package rotate says what each does.
const (
	// HMACOverlap: services sign for each other; two values are valid during the overlap.
	HMACOverlap Procedure = "hmac-overlap"
	// DjangoKey: as HMACOverlap, with Django's signing and SECRET_KEY_FALLBACKS. A
	// consumer without Previous changes over at once, and what it signed ends.
	DjangoKey Procedure = "django-secret-key"
	// SMTPPassword: a mail provider's password, which a person brings.
	SMTPPassword Procedure = "smtp-password"
	// PostgresRole: a connection URL with a login role of its own.
	PostgresRole Procedure = "postgres-role"
	// SentryKey: a client key (DSN) of a Sentry project.
	SentryKey Procedure = "sentry-client-key"
	// OwnCommands: steps that are commands of the owner's.
	OwnCommands Procedure = "commands"
	// Manual: catalogued, audited and scheduled, but rotated by people.
	Manual Procedure = "manual"
)

// Issued reports whether somebody else makes the value valid, and consumers only use it.
func (p Procedure) Issued() bool {
	return p == SMTPPassword || p == PostgresRole || p == SentryKey || p == OwnCommands
}

// Shared reports whether consumers hold the value against each other, with no issuer.
func (p Procedure) Shared() bool { return p == HMACOverlap || p == DjangoKey }

// Generator names how a new value is made.
type Generator string

// The generators.
const (
	Hex32    Generator = "hex32"    // 32 random bytes as 64 hex digits
	Base6432 Generator = "base64"   // 32 random bytes as 44 base64 characters
	Django   Generator = "django"   // Django's get_random_secret_key: 50 of its own alphabet
	Supplied Generator = "supplied" // the provider makes it; a person brings it
)

// Risk is how bad a mistake would be.
type Risk string

// The risks.
const (
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

// Secret is one row of the catalogue.
type Secret struct {
	Name        string
	Purpose     string
	Impact      string
	Owner       string
	RotateEvery time.Duration // 0: as needed; for a calendar period its length in whole days of 24 h
	// RotateMonths is RotateEvery in calendar months ("quarterly" is 3), 0 when it was
	// written as a span. NextDue counts with it, so that a quarter ends on a date.
	RotateMonths int
	LastRotated  time.Time // seeds the schedule; zero when unknown
	Risk         Risk
	Procedure    Procedure
	// Instructions says how people rotate it, in a few sentences; "" when rekey does.
	Instructions string
	Generator    Generator
	Overlap      time.Duration // routine: how long the old value stays valid
	// Confirm asks for a second click (or --yes) before a rotation, after telling what
	// it ends.
	Confirm bool
	// Automatic lets routine rotations start by themselves when due, in a window.
	Automatic bool
	// After names secrets that are rotated before this one when one command rotates
	// several.
	After  []string
	Places []Place // one per environment it exists in
}

// Place is a secret in one environment.
type Place struct {
	Environment string
	Uses        []Use
	Endpoints   []Endpoint
	Issuer      Issuer        // where the value comes from, for an issued procedure
	Checks      []Check       // the verification checklist, run after every change that ends a stage
	Usage       []UsageSource // who still uses the old value
	Tripwire    []UsageSource // who uses a value that was retired, as the application itself can tell
	Sessions    *Sessions     // what the old value has minted; nil for nothing known
}

// Role is what a consumer does with the value.
type Role string

// The roles.
const (
	Accepts Role = "accepts" // verifies with it
	Signs   Role = "signs"   // signs with it
	Both    Role = "both"    // does both
	Uses    Role = "uses"    // shows it to its issuer: a password, a connection URL
)

// Use is one consumer's use of a secret.
type Use struct {
	Consumer string
	Variable string // holds the current value
	Previous string // holds the one also accepted; "" for a consumer that only signs
	Role     Role
	Proof    Proof
}

// Proof says how to ask the consumer which value it runs on. Request is set for one
// that accepts, Challenge for one that signs, both for one that does both. One that
// uses has a Challenge or nothing; then rekey says what it cannot know.
type Proof struct {
	Request   *SignedRequest
	Challenge *Challenge
}

// SignedRequest is the guide's webhook call: Body signed with HMAC-SHA256, hex, in
// Header. A 2xx answer is acceptance, 401 or 403 refusal, anything else unknown.
type SignedRequest struct {
	URLs        []string // one per instance to be asked; at least one
	Method      string
	Body        string
	Header      string // "X-Signature"
	ContentType string
	Scheme      Scheme
}

// Scheme is how a request is signed.
type Scheme string

// The schemes.
const (
	HMACHex       Scheme = "hmac-sha256" // hex(HMAC-SHA256(value, body)); the default
	DjangoSigning Scheme = "django"      // Django's Signer(salt="rekey.proof").signature(body)
)

// Challenge asks a service for a keyed proof of the value it runs on: GET URL with
// ?nonce=N answers {"proof": hex(HMAC-SHA256(value, "rekey-proof-v1\n"+N)), "worker": "…"}.
// The fixed prefix keeps the answer from being the signature of any real request.
//
// Command is for a service without HTTP (a Celery worker): the argument list is run
// with the nonce as its last argument and prints that object. Exactly one of URLs and
// Command is set.
type Challenge struct {
	URLs    []string // one per instance to be asked
	Command []string
	Timeout time.Duration // bounds Command; 0 means 30 s
}

// Endpoint is what a secret guards.
type Endpoint struct {
	Path    string
	Method  string // "" for any
	Callers []netip.Prefix
}

// Log is one log to read evidence from: the file at Path, or what one of the others names.
// Exactly one of the four is set.
type Log struct {
	Path       string
	Loki       Loki
	CloudWatch CloudWatch
	Journal    Journal
	Format     LogFormat
	// Pattern is a regular expression of the RE2 kind whose named groups say what is what
	// in a line, for LogPattern; "" for the other formats.
	Pattern string
	// Zone is the zone of timestamps that name none; nil where the catalogue names none.
	Zone *time.Location
}

// Loki names streams of a Grafana Loki.
type Loki struct {
	URL      string // "https://loki.example.com"; "" when the log is elsewhere
	Selector string // `{app="leather-api"}`
	Tenant   string // "" where Loki has one only
	User     string // beside the token as its password; "" sends it as a bearer token
	Token    Source // zero where Loki wants none
}

// CloudWatch names a log group of Amazon CloudWatch Logs.
type CloudWatch struct {
	Group    string // "/leather/api"; "" when the log is elsewhere
	Region   string // "" takes the SDK's
	Endpoint string // "" is AWS's own
}

// Journal names a unit whose lines journald has.
type Journal struct {
	Unit      string // "leather-api.service"; "" when the log is elsewhere
	Directory string // of the journal's files; "" is this machine's
}

// Name is what people call the log, by itself: a file's whole path.
func (l Log) Name() string {
	switch {
	case l.Loki.URL != "":
		return "Loki " + l.Loki.Selector
	case l.CloudWatch.Group != "":
		return "CloudWatch " + l.CloudWatch.Group
	case l.Journal.Unit != "":
		return "journal " + l.Journal.Unit
	}
	return l.Path
}

// File reports whether the log is a file.
func (l Log) File() bool { return l.Path != "" }

// LogFormat names what a log file contains.
type LogFormat string

// The formats.
const (
	LogSecurity LogFormat = "security" // the application's security log: "Invalid signature" lines
	LogDjango   LogFormat = "django"   // django.request and django.server lines
	LogAccess   LogFormat = "access"   // gunicorn, nginx or Apache combined
	LogJSON     LogFormat = "json"     // one JSON object a line
	LogLogfmt   LogFormat = "logfmt"   // key=value pairs
	LogPattern  LogFormat = "pattern"  // what Log.Pattern reads; the error logs of nginx and Apache, too
	LogAuto     LogFormat = "auto"     // whatever each line looks like
)

// Sentry names the project to ask.
type Sentry struct {
	URL          string // "https://sentry.io"; "" when the environment has no Sentry
	Organization string
	Project      string // slug
}

// Slack says where messages go.
type Slack struct {
	Channel string // id of #devops-alerts
}

// PagerDuty says what pages are about.
type PagerDuty struct {
	Enabled bool
	Source  string // "leather-api"
}

// Access says who may ask for what.
type Access struct {
	Responders []string // Slack user ids: may rotate and audit
	Readers    []string // Slack user ids: may audit, list and ask for status
	Channels   []string // Slack channel ids commands are taken from; empty: any
	CLI        []string // operating-system users who may use the command line; as responders
}

// Contact is whom to ask.
type Contact struct {
	Name  string
	Slack string
	Email string
	Phone string
}
