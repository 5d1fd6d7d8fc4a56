package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/jobs"
)

// theLease is the one that production uses.
const theLease = 3 * time.Second

func TestAKilledProcessIsReplaced(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store})
		if err != nil {
			t.Fatalf("building the clerk: %v", err)
		}
		first := spawn(t, d, theLease, 3, "never")
		submit(t, store, clerk, "r-1")
		first.expect("acting 3")
		var second *child
		if d.kind == onPostgres { // the other replica has been there all along
			second = spawn(t, d, theLease, 0, "")
		}
		first.signal(syscall.SIGKILL)
		killed := time.Now()
		if d.kind == onSQLite {
			_ = first.cmd.Wait()
			second = spawn(t, d, theLease, 0, "")
		}
		second.expect("claimed r-1")
		t.Logf("gone on %s after SIGKILL", time.Since(killed).Round(time.Millisecond))
		second.expect("finished r-1")
		wholeProcedure(t, store, "r-1", stepsOfChild)
		// The heir got a wake-up of its own: what the dead process does to its old one,
		// should it turn out to be alive, touches nobody.
		if got := texts(t, store, `SELECT kind FROM river_job WHERE state = 'cancelled'`); len(got) != 1 || got[0] != "run" {
			t.Errorf("cancelled wake-ups: %v, want the dead process's one", got)
		}
	})
}

// A process may die between taking a wake-up and claiming what it is about: nothing is
// held then, so no orphan is found.
func TestAWakeUpThatADeadProcessHadTakenRingsAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store})
		if err != nil {
			t.Fatalf("building the clerk: %v", err)
		}
		submit(t, store, clerk, "r-1")
		by := `attempted_by = ARRAY['ghost']`
		if d.kind == onSQLite {
			by = `attempted_by = jsonb('["ghost"]')`
		}
		execute(t, store, `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = CURRENT_TIMESTAMP, `+by)
		start(t, jobs.Config{Store: store, Work: finish(store), Exclusive: d.exclusive()})
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
	})
}

// Fail-over of the database: every connection of ours is cut, again and again.
func TestARunSurvivesLostConnections(t *testing.T) {
	t.Parallel()
	d := fresh(t, onPostgres)
	store, saboteur := d.open(t), d.open(t)
	e := start(t, jobs.Config{Store: store, Work: procedure(store, 10, taking(50*time.Millisecond), mute)})
	submit(t, store, e, "r-1")
	for range 5 {
		time.Sleep(150 * time.Millisecond)
		execute(t, saboteur, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	judge := d.open(t) // reading is not tried again by itself, so not over a connection that was cut
	wholeProcedure(t, judge, "r-1", 10)
	submit(t, store, e, "r-2") // and the next one is heard of, too
	wholeProcedure(t, judge, "r-2", 10)
}

// A replica that sleeps through its lease and wakes up must find that it is nobody.
func TestAPausedProcessCanNeitherCommitNorAct(t *testing.T) {
	t.Parallel()
	d := fresh(t, onPostgres)
	store := d.open(t)
	goOn := filepath.Join(t.TempDir(), "go on")
	paused := spawn(t, d, theLease, 2, goOn)
	clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store})
	if err != nil {
		t.Fatalf("building the clerk: %v", err)
	}
	submit(t, store, clerk, "r-1")
	was := strings.Fields(paused.expect("claimed r-1 by"))[3]
	paused.expect("acting 2")
	paused.signal(syscall.SIGSTOP)
	stopped := time.Now()

	claimed := make(chan ledger.Run, 1)
	release := make(chan struct{})
	rest := procedure(store, stepsOfChild, taking(time.Millisecond), mute)
	heir := start(t, jobs.Config{Store: store, Work: func(ctx context.Context, r ledger.Run) error {
		claimed <- r
		<-release // hold the run until the paused process has had its say
		return rest(ctx, r)
	}})
	r := receive(t, "the run is taken over", claimed)
	t.Logf("taken over %s after SIGSTOP", time.Since(stopped).Round(time.Millisecond))
	if string(r.Memo) != "1" {
		t.Errorf("the heir starts after step %s, want 1: step 2 was never committed", r.Memo)
	}

	touch(t, goOn)
	paused.signal(syscall.SIGCONT)
	if got := paused.expect("refused"); got != "refused result 2: fenced" {
		t.Errorf("the paused process said %q; its commit must be fenced", got)
	}
	close(release)
	wholeProcedure(t, store, "r-1", stepsOfChild)

	// It is of use again, under a name it never had.
	stop(t, heir)
	submit(t, store, clerk, "r-2")
	if is := strings.Fields(paused.expect("claimed r-2 by"))[3]; is == was || was == "" {
		t.Errorf("the process works as %s, the replica that was declared dead", is)
	}
	paused.expect("finished r-2")
	for {
		select {
		case line := <-paused.lines:
			if strings.Contains(line, "r-1") {
				t.Errorf("the paused process went on with the run: %q", line)
			}
			continue
		default:
		}
		break
	}
	wholeProcedure(t, store, "r-2", stepsOfChild)
}

// With the database to itself a process may sleep as long as it likes.
func TestAPausedProcessWithTheDatabaseToItselfGoesOn(t *testing.T) {
	t.Parallel()
	d := fresh(t, onSQLite)
	store := d.open(t)
	clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store})
	if err != nil {
		t.Fatalf("building the clerk: %v", err)
	}
	goOn := filepath.Join(t.TempDir(), "go on")
	paused := spawn(t, d, 600*time.Millisecond, 2, goOn)
	submit(t, store, clerk, "r-1")
	paused.expect("acting 2")
	paused.signal(syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // longer than its lease
	touch(t, goOn)
	paused.signal(syscall.SIGCONT)
	paused.expect("finished r-1")
	wholeProcedure(t, store, "r-1", stepsOfChild)
	if r := getRun(t, store, "r-1"); r.Fence != 1 {
		t.Errorf("the run was claimed %d times, want once", r.Fence)
	}
}

func TestAReplicaTakenForDeadDropsItsWorkAndGoesOnUnderANewName(t *testing.T) {
	t.Parallel()
	d := fresh(t, onPostgres)
	store := d.open(t)
	type claim struct {
		replica string
		fence   int64
	}
	claims := make(chan claim, 10)
	causes := make(chan error, 10)
	e := start(t, jobs.Config{Store: store, Work: func(ctx context.Context, r ledger.Run) error {
		claims <- claim{jobs.ReplicaID(ctx), r.Fence}
		if r.Fence > 1 {
			return finish(store)(ctx, r)
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	}})
	submit(t, store, e, "r-1")
	first := receive(t, "the run is claimed", claims)
	other := d.open(t) // another replica's view of things, which happens to be wrong
	update(t, other, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Bury(ctx, first.replica)
		return err
	})
	if cause := receive(t, "the work is cancelled", causes); !errors.Is(cause, ledger.ErrFenced) {
		t.Errorf("the work was cancelled because %v, want %v", cause, ledger.ErrFenced)
	}
	second := receive(t, "the run is claimed anew", claims)
	if second.replica == first.replica || second.fence <= first.fence {
		t.Errorf("claimed anew as %+v, which does not differ enough from %+v", second, first)
	}
	eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
}

// Where the lease cannot be renewed, work must have stopped before others may begin.
func TestWorkIsCancelledBeforeALeaseThatCannotBeRenewedRunsOut(t *testing.T) {
	t.Parallel()
	d := fresh(t, onPostgres)
	store := d.open(t)
	began := make(chan struct{}, 10)
	ended := make(chan error, 10)
	e := start(t, jobs.Config{Store: store, Lease: theLease, Work: func(ctx context.Context, r ledger.Run) error {
		if r.Fence > 1 {
			return finish(store)(ctx, r)
		}
		began <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}})
	submit(t, store, e, "r-1")
	receive(t, "the work begins", began)

	// A database that accepts connections and answers nothing about replicas.
	tx, err := pgPool(t, store).Begin(t.Context())
	if err != nil {
		t.Fatalf("opening a transaction: %v", err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE `+replicaTable+` IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatalf("locking the replicas: %v", err)
	}
	if cause := receive(t, "the work is cancelled", ended); !errors.Is(cause, ledger.ErrFenced) {
		t.Errorf("the work was cancelled because %v, want %v", cause, ledger.ErrFenced)
	}
	if r := getRun(t, store, "r-1"); r.Fence != 1 || r.Holder == "" {
		t.Errorf("the run was already taken (fence %d, holder %q) when the work was cancelled", r.Fence, r.Holder)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatalf("unlocking the replicas: %v", err)
	}
	eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
}

// Two replicas and many runs that are given back all the time: at no moment may two
// hold one run, and no fence may serve twice.
func TestTwoReplicasNeverWorkOneRunAtOnce(t *testing.T) {
	t.Parallel()
	d := fresh(t, onPostgres)
	store := d.open(t)
	execute(t, store, `CREATE TABLE test_claims (run text, fence bigint, replica text, ended boolean NOT NULL DEFAULT false, PRIMARY KEY (run, fence))`)
	execute(t, store, `CREATE UNIQUE INDEX ON test_claims (run) WHERE NOT ended`)
	const runs, rounds = 30, 6

	work := func(ctx context.Context, r ledger.Run) error {
		pool := pgPool(t, store)
		// The index refuses a second open claim of one run.
		if _, err := pool.Exec(ctx, `INSERT INTO test_claims VALUES ($1, $2, $3)`, r.ID, r.Fence, jobs.ReplicaID(ctx)); err != nil {
			t.Errorf("two replicas work %s at once, or a fence served twice: %v", r.ID, err)
			return err
		}
		time.Sleep(time.Duration(r.Fence%3) * 5 * time.Millisecond)
		if _, err := pool.Exec(ctx, `UPDATE test_claims SET ended = true WHERE run = $1 AND fence = $2`, r.ID, r.Fence); err != nil {
			t.Errorf("ending a claim: %v", err)
		}
		switch {
		case r.Fence >= rounds:
			return finish(store)(ctx, r)
		case r.Fence%2 == 0:
			return jobs.After(3 * time.Millisecond)
		}
		return jobs.ErrHandOver
	}
	one := start(t, jobs.Config{Store: store, Replica: "one", Work: work})
	start(t, jobs.Config{Store: d.open(t), Replica: "two", Work: work})
	ids := make([]string, runs)
	for i := range ids {
		ids[i] = fmt.Sprintf("r-%d", i)
	}
	submit(t, store, one, ids...)
	for range 200 { // wake-ups too many
		update(t, store, func(ctx context.Context, tx ledger.Tx) error {
			return one.EnqueueRun(ctx, tx, ids[time.Now().UnixNano()%runs], time.Time{})
		})
	}
	for _, id := range ids {
		eventually(t, "run "+id+" succeeds", func() bool { return getRun(t, store, id).State == ledger.Succeeded })
	}
	var claims, replicas int
	if err := pgPool(t, store).QueryRow(t.Context(),
		`SELECT count(*), count(DISTINCT replica) FROM test_claims`).Scan(&claims, &replicas); err != nil {
		t.Fatalf("counting the claims: %v", err)
	}
	if claims != runs*rounds {
		t.Errorf("%d claims, want %d", claims, runs*rounds)
	}
	if replicas != 2 {
		t.Errorf("%d replicas took part, want both", replicas)
	}
}

// A client that is asked for work while everything is dead already must find it.
func TestWhatTheDeadLeftIsFoundAtStart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store})
		if err != nil {
			t.Fatalf("building the clerk: %v", err)
		}
		submit(t, store, clerk, "r-1")
		// A predecessor claimed the run, and its lease would last for a minute yet.
		update(t, store, func(ctx context.Context, tx ledger.Tx) error {
			if err := tx.Beat(ctx, ledger.Replica{ID: "predecessor.1"}, time.Minute); err != nil {
				return err
			}
			_, err := tx.ClaimRun(ctx, "r-1", "predecessor.1")
			return err
		})
		start(t, jobs.Config{
			Store: store, Work: finish(store), Exclusive: d.exclusive(),
			Dead: map[bool][]string{false: {"predecessor.1"}}[d.exclusive()],
		})
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
	})
}
