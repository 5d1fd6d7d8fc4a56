// Package ledger is the security log and the state of runs: the interface that
// every store implements, the types it keeps, the hash chain over its entries and
// one contract suite for all stores (package ledgertest).
//
// The two live together because they must change together: a step's checkpoint
// and the entry that records it are one transaction, and so are a run and the job
// that will carry it out. Nothing here ever holds a secret value.
//
// Times are UTC and truncated to microseconds, the finest both databases keep.
package ledger

import (
	"context"
	"errors"
	"time"
)

// Sentinel errors. Stores wrap them; match with errors.Is.
var (
	// ErrNotFound: no row of that id.
	ErrNotFound = errors.New("not found")
	// ErrBusy: an unfinished rotation of the same secret and environment exists.
	ErrBusy = errors.New("a rotation of this secret is already running")
	// ErrEnded: the run is final.
	ErrEnded = errors.New("the run has ended")
	// ErrDuplicate: a request of that id was recorded before.
	ErrDuplicate = errors.New("request already recorded")
	// ErrFenced: the run (or delivery) belongs to someone else by now: the caller
	// was taken for dead. It must stop at once and may not act again.
	ErrFenced = errors.New("fenced: another process has taken over")
	// ErrHeld: a live replica holds the run or delivery.
	ErrHeld = errors.New("held by a live replica")
	// ErrNotStarted: the deadline passed before the transaction could commit and
	// it was rolled back: it is certain that nothing was recorded.
	ErrNotStarted = errors.New("deadline passed: nothing was recorded")
	// ErrUnknownOutcome: the deadline passed while COMMIT was under way; the
	// transaction may or may not be recorded.
	ErrUnknownOutcome = errors.New("deadline passed while committing: outcome unknown")
	// ErrLocked: the database belongs to another running process (SQLite).
	ErrLocked = errors.New("another rekey process is using this database")
	// ErrBroken: the record of the newest entry does not hold under this key: the
	// log was tampered with, or was written with another key. Nothing is appended
	// to such a log; Verify tells what is wrong.
	ErrBroken = errors.New("the security log does not hold under this key")
	// ErrReadOnly: a change was tried inside View.
	ErrReadOnly = errors.New("read-only transaction")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Entry is one act in the security log: who, what, when, why, result.
type Entry struct {
	Seq     int64             `json:"seq"` // 1, 2, 3 … without holes
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`   // "slack:U012AB3CD (alice)", "cli:root", "rekey"
	Action  string            `json:"action"`  // "rotate.requested", "step.started", "step.done", "rotate.refused" …
	Subject string            `json:"subject"` // "production/REVALIDATE_SECRET"
	Run     string            `json:"run,omitempty"`
	Why     string            `json:"why,omitempty"`
	Result  string            `json:"result"` // "accepted", "refused", "done", "failed" …
	Detail  map[string]string `json:"detail,omitempty"`
	Prev    Hash              `json:"prev"`
	Hash    Hash              `json:"hash"`
}

// Store is a database that keeps the security log and run state. All methods are
// safe for concurrent use.
type Store interface {
	// Update runs fn in one read-write transaction and commits it durably. Several
	// callers may share one commit; fn may be run more than once (after a deadlock
	// or when a neighbour in the same commit failed) and must have no effect
	// outside tx. An error from fn rolls back fn's changes alone and is returned.
	//
	// When ctx ends before the commit was sent the changes are rolled back and the
	// error wraps ErrNotStarted; when it ends during the commit it wraps
	// ErrUnknownOutcome.
	//
	// fn runs on the caller's goroutine and must wait for nothing but tx: the callers
	// behind it wait for fn. It must not call Update. A panic in it is answered as a
	// *PanicError. A statement of tx that failed ends the transaction, even when fn
	// answers nil; the sentinels (ErrBusy, ErrFenced …) do not. A database that
	// cannot be reached is tried again until ctx ends, at most 30 s. Update returns
	// at ctx's end, or up to 250 ms later to learn the result of a commit under way.
	// Every error but ErrUnknownOutcome means that nothing was recorded.
	Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// View runs fn in a read-only transaction on one consistent snapshot.
	View(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// Verify walks the whole chain, streaming, and reports the first entry that is
	// edited, removed, inserted or out of order.
	Verify(ctx context.Context) (Verification, error)
	// Export calls yield with every entry from seq on, in order, streaming.
	Export(ctx context.Context, from int64, yield func(Entry) error) error
	// Close releases the database. It waits for commits under way.
	Close() error
}

// Tx is one transaction. It may be used only inside the fn it was given to and by
// one goroutine.
type Tx interface {
	// Append adds an entry at commit. Seq, At (when zero), Prev and Hash of *e are
	// set once Update has returned nil.
	Append(ctx context.Context, e *Entry) error
	// Head answers the newest entry's number and hash (0 and the zero hash when empty).
	Head(ctx context.Context) (int64, Hash, error)
	// Entries lists the entries of one run, oldest first.
	Entries(ctx context.Context, run string) ([]Entry, error)

	// InsertRequest records that a request was taken; ErrDuplicate when its id was
	// recorded before (a redelivered envelope).
	InsertRequest(ctx context.Context, r Request) error
	// Request finds a recorded request; ErrNotFound.
	Request(ctx context.Context, id string) (Request, error)

	// InsertRun adds a run; ErrBusy when an unfinished rotation of the same
	// secret and environment exists (a unique index decides, across replicas),
	// ErrDuplicate when the id is taken.
	InsertRun(ctx context.Context, r Run) error
	// Run finds a run; ErrNotFound.
	Run(ctx context.Context, id string) (Run, error)
	// Runs lists runs, newest first.
	Runs(ctx context.Context, f RunFilter) ([]Run, error)
	// ClaimRun makes replica the run's holder and raises its fence by one; ErrHeld
	// when another live replica (or this one, in another job) holds it.
	ClaimRun(ctx context.Context, id, replica string) (Run, error)
	// UpdateRun writes a run back; ErrFenced unless r.Fence and r.Holder still
	// match. It raises Version by one, in the row and in *r. ID, Kind, Secret,
	// Environment, Batch, Turn and CreatedAt are never changed. Asked is left alone in
	// the row and read back into *r, except that a wish equal to r.Granted is cleared
	// from both. ErrBusy when it would revive a
	// finished rotation beside another; that one does end the transaction.
	UpdateRun(ctx context.Context, r *Run) error
	// AskRun leaves a wish with an unfinished run, whoever holds it; its holder meets it
	// in Run.Asked at its next commit. A wish replaces the one before. ErrNotFound when
	// there is no such run, ErrEnded when it is final.
	AskRun(ctx context.Context, id string, wish Wish) error
	// ReleaseRun clears the holder of a claimed run; ErrFenced as UpdateRun.
	ReleaseRun(ctx context.Context, id, replica string, fence int64) error

	// PutStep inserts or replaces a step by (Run, Index). Call it only after an
	// UpdateRun in the same transaction: that is the fence.
	PutStep(ctx context.Context, s Step) error
	// Steps lists the steps of a run in order of Index.
	Steps(ctx context.Context, run string) ([]Step, error)

	// PutDelivery inserts a delivery; where its ID exists it raises Wanted to the
	// larger of the two and keeps the rest. queued reports whether a job is needed:
	// the row is new, or was raised and had nothing left to send before.
	PutDelivery(ctx context.Context, d Delivery) (queued bool, err error)
	// Delivery finds a delivery; ErrNotFound.
	Delivery(ctx context.Context, id string) (Delivery, error)
	// Deliveries lists the deliveries of a run, oldest first.
	Deliveries(ctx context.Context, run string) ([]Delivery, error)
	// ClaimDelivery as ClaimRun.
	ClaimDelivery(ctx context.Context, id, replica string) (Delivery, error)
	// UpdateDelivery writes Token, Ref, Sent, Attempts, LastError and SentAt back;
	// ErrFenced unless Fence and Holder still match. Wanted is left alone in the
	// row and read back into *d.
	UpdateDelivery(ctx context.Context, d *Delivery) error
	// ReleaseDelivery as ReleaseRun.
	ReleaseDelivery(ctx context.Context, id, replica string, fence int64) error

	// PutFingerprints adds fingerprints; one that exists is moved to the new role.
	PutFingerprints(ctx context.Context, fs []Fingerprint) error
	// Fingerprints lists all of them.
	Fingerprints(ctx context.Context) ([]Fingerprint, error)

	// Beat inserts or renews a replica's lease: it lives until the database's own
	// clock has passed now + lease. ErrFenced when the replica was declared gone.
	Beat(ctx context.Context, r Replica, lease time.Duration) error
	// Bury declares every replica whose lease has passed gone, and every replica
	// named in dead whatever its lease; it clears their holds on runs and
	// deliveries, raising the fences, and answers what was orphaned.
	Bury(ctx context.Context, dead ...string) (Orphans, error)
	// Leave removes this replica (an orderly shutdown).
	Leave(ctx context.Context, replica string) error
	// Replicas lists the replicas whose lease holds.
	Replicas(ctx context.Context) ([]Replica, error)
}

// Request is a command that was taken, kept so that a redelivery starts nothing.
type Request struct {
	ID     string // Slack's envelope id; for the command line a random id
	At     time.Time
	Run    string // "" when the request started none
	Answer string // what the person was told, to be told again on redelivery
}

// RunState is where a run is.
type RunState string

// The states of a run. Succeeded, RolledBack and Failed are final.
const (
	Queued      RunState = "queued"
	Running     RunState = "running"
	Waiting     RunState = "waiting" // for the overlap to end (WakeAt)
	RollingBack RunState = "rolling_back"
	Succeeded   RunState = "succeeded"
	RolledBack  RunState = "rolled_back" // the old value is back everywhere and serves
	Failed      RunState = "failed"      // a person must look; Problem says at what
)

// Final reports whether no more work will be done on a run in state s.
func (s RunState) Final() bool { return s == Succeeded || s == RolledBack || s == Failed }

// Wish is what a person asks of a run under way.
type Wish string

// The wishes.
const (
	WishCompromised Wish = "compromised" // treat it as compromised from now on
	WishRollback    Wish = "rollback"    // go back to the old value
	WishHold        Wish = "hold"        // let the old value, which is about to end, live some minutes more
	WishKill        Wish = "kill"        // end the old value now, whoever still uses it
)

// The kinds of run.
const (
	KindRotate = "rotate"
	KindAudit  = "audit"
	KindBatch  = "batch" // several rotations asked for by one command
	KindWatch  = "watch" // looks for uses of a value that a compromised rotation has ended
)

// Run is one rotation or one audit.
type Run struct {
	ID          string    `json:"id"`
	Kind        string    `json:"kind"` // KindRotate, KindAudit
	Secret      string    `json:"secret"`
	Environment string    `json:"environment"`
	Mode        string    `json:"mode,omitempty"` // "routine", "compromised"
	Reason      string    `json:"reason,omitempty"`
	Actor       string    `json:"actor"` // as in Entry.Actor
	ReplyTo     string    `json:"reply_to,omitempty"`
	Incident    string    `json:"incident"` // id of the first run of the incident: the PagerDuty dedup key
	Paged       bool      `json:"paged"`    // an alert of this incident was triggered and not yet resolved
	State       RunState  `json:"state"`
	Problem     string    `json:"problem,omitempty"` // plain sentence, for people
	Since       time.Time `json:"since"`             // start of the evidence window
	WakeAt      time.Time `json:"wake_at,omitzero"`
	Report      []byte    `json:"-"`               // audit.Report as JSON, when there is one
	Memo        []byte    `json:"-"`               // engine's own notes as JSON (never a value)
	Asked       Wish      `json:"asked,omitempty"` // what somebody asked of it while it runs
	Granted     Wish      `json:"-"`               // not kept: the wish that this update carries out
	Batch       string    `json:"batch,omitempty"` // the run that stands for all secrets of one command; "" for a run by itself
	Turn        int       `json:"turn,omitempty"`  // place in the batch's order, from 1
	Holder      string    `json:"holder,omitempty"`
	Fence       int64     `json:"fence"`
	Version     int64     `json:"version"`
	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// Rests reports that nothing is to be done for the run now: it is final, or waits for a
// later time. A wait that a wish cuts short is over.
func (r Run) Rests(now time.Time) bool {
	return r.State.Final() || r.State == Waiting && r.WakeAt.After(now) && r.Asked == ""
}

// RunFilter narrows Runs; zero fields do not narrow.
type RunFilter struct {
	Secret, Environment, Kind string
	Batch                     string // runs of that batch, without the batch itself
	Active                    bool   // not final
	Unresolved                bool   // Paged
	Limit                     int    // 0: 50
}

// StepState is where a step is.
type StepState string

// The states of a step.
const (
	StepPending StepState = "pending"
	StepRunning StepState = "running" // intent recorded; the act may or may not have happened
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepSkipped StepState = "skipped"
	StepUndone  StepState = "undone" // rolled back
)

// Step is one step of a run.
type Step struct {
	Run      string    `json:"run"`
	Index    int       `json:"index"`
	Key      string    `json:"key"`  // "publish/set/api"
	Kind     string    `json:"kind"` // check, create, set, test, overlap, retire …
	Stage    string    `json:"stage,omitempty"`
	Consumer string    `json:"consumer,omitempty"`
	Title    string    `json:"title"` // for people: "Publish the new value to api"
	State    StepState `json:"state"`
	Token    string    `json:"token,omitempty"` // stored before the first effect outside the database
	Attempt  int       `json:"attempt"`
	Note     string    `json:"note,omitempty"` // for people: what was seen
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// Delivery is one thing to tell somebody. It is complete when Sent >= Wanted.
type Delivery struct {
	ID        string // stable, chosen by who asks: "r-…/board", "r-…/page-trigger"
	Run       string // "" for what belongs to no run
	Kind      string // "board", "thread", "page_trigger", "page_resolve", "reply", "digest"
	Subject   string // what of the run to tell: a step's key, "" for all
	Token     string // stored before the first call, carried by it
	Ref       string // the vendor's name for what was sent: "C0123/1700000000.000100"
	Wanted    int64
	Sent      int64
	Attempts  int
	LastError string // class only: "rate limited", "unreachable" …
	Holder    string
	Fence     int64
	CreatedAt time.Time
	SentAt    time.Time
}

// Fingerprint recognises a secret value in outgoing text without knowing it. See
// commands/secret for how Roll and MAC are computed.
type Fingerprint struct {
	Secret, Environment string
	Role                string // "live", "pending", "retired"
	Form                string // "raw", "hex", "base64" …
	Length              int    // bytes
	Roll                uint32
	MAC                 []byte
	At                  time.Time
}

// Replica is one running process.
type Replica struct {
	ID   string
	Host string
	PID  int
	Seen time.Time
}

// Orphans is what dead replicas left behind. Only unfinished work is listed.
type Orphans struct {
	Replicas   []string
	Runs       []string
	Deliveries []string
}

// Verification is the result of walking the chain.
type Verification struct {
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries"`
	Head    Hash   `json:"head"`
	BadSeq  int64  `json:"bad_seq,omitempty"` // first entry that does not hold
	Problem string `json:"problem,omitempty"` // plain sentence: "entry 17 was edited: …"
}
