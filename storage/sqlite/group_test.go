package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// grouped is a catalogue with a table of marks that calls of Write set. It counts commits.
type grouped struct {
	*Catalog
	t       *testing.T
	commits atomic.Int32
	refuse  atomic.Bool // fails commits
}

func openGrouped(t *testing.T) *grouped {
	t.Helper()
	usual := groupTime
	groupTime = time.Hour
	t.Cleanup(func() { groupTime = usual })
	g := &grouped{Catalog: openAt(t, filepath.Join(t.TempDir(), "catalogue.db")), t: t}
	g.exec(`CREATE TABLE Marks (Mark INTEGER PRIMARY KEY, Parent INTEGER
		REFERENCES Models (ModelId) DEFERRABLE INITIALLY DEFERRED, Filler BLOB)`)
	writer, err := g.conns.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	err = writer.Raw(func(raw any) error {
		raw.(*conn).driverConn.(driver.HookRegisterer).RegisterCommitHook(func() int32 {
			if g.refuse.Load() {
				return 1
			}
			g.commits.Add(1)
			return 0
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *grouped) exec(text string) {
	g.t.Helper()
	if _, err := g.conns.writer.Exec(text); err != nil {
		g.t.Fatal(err)
	}
}

// marks are the marks that are committed.
func (g *grouped) marks() (marks []int) {
	g.t.Helper()
	rows, err := g.conns.writer.Query(`SELECT Mark FROM Marks ORDER BY Mark`)
	if err != nil {
		g.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var mark int
		if err := rows.Scan(&mark); err != nil {
			g.t.Fatal(err)
		}
		marks = append(marks, mark)
	}
	if err := rows.Err(); err != nil {
		g.t.Fatal(err)
	}
	return marks
}

func (g *grouped) want(commits int32, marks ...int) {
	g.t.Helper()
	if got := g.marks(); !slices.Equal(got, marks) {
		g.t.Errorf("marks %v are committed, want %v", got, marks)
	}
	if n := g.commits.Load(); n != commits {
		g.t.Errorf("%d commits, want %d", n, commits)
	}
}

type work func(*sqlcatalog.Tx) error

func mark(n int) work {
	return func(t *sqlcatalog.Tx) error { return execute(t, `INSERT INTO Marks (Mark) VALUES (?)`, n) }
}

// waiting waits until n calls wait for their turn.
func (g *grouped) waiting(n int) {
	for {
		g.conns.turns.mu.Lock()
		there := len(g.conns.turns.waiting)
		g.conns.turns.mu.Unlock()
		if there == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// writes is writesAfter mark 0.
func (g *grouped) writes(calls ...func() error) []error { return g.writesAfter(mark(0), calls...) }

// writesAfter calls each function while the turn is that of first, and returns their errors and
// that of first. They take their turns in this order.
func (g *grouped) writesAfter(first work, calls ...func() error) []error {
	errs := make([]error, len(calls)+1)
	ended := make(chan int)
	run := func(i int, call func() error) {
		defer func() { ended <- i }()
		errs[i] = errors.New("it did not return")
		errs[i] = call()
	}
	start := sync.OnceFunc(func() {
		for i, call := range calls {
			go run(i, call)
			g.waiting(i + 1)
		}
	})
	go run(len(calls), g.write(func(t *sqlcatalog.Tx) error {
		start()
		return first(t)
	}))
	for range errs {
		<-ended
	}
	return errs
}

func (g *grouped) write(do work) func() error { return g.writeUntil(context.Background(), do) }

func (g *grouped) writeUntil(ctx context.Context, do work) func() error {
	return func() error { return g.conns.Write(ctx, true, do) }
}

func (g *grouped) succeeded(errs []error, except ...int) {
	g.t.Helper()
	for i, err := range errs {
		if failed := slices.Contains(except, i); (err != nil) != failed {
			g.t.Errorf("call %d: error is %v", i, err)
		}
	}
}

func TestWritesShareCommits(t *testing.T) {
	g := openGrouped(t)
	var calls []func() error
	want := []int{0}
	for i := range groupCalls + 20 {
		calls = append(calls, g.write(mark(i+1)))
		want = append(want, i+1)
	}
	g.succeeded(g.writes(calls...))
	g.want(2, want...)
	g.succeeded([]error{g.write(mark(1000))()}) // waits for no other call
}

// A failed call leaves no changes, and does not touch the others.
func TestWriteFailsAlone(t *testing.T) {
	fault := errors.New("fault")
	ignores := func(t *sqlcatalog.Tx) error {
		_ = t.Exec(sqlcatalog.Own("ignored", `INSERT OR ROLLBACK INTO Marks (Mark) VALUES (100), (100)`))
		return nil
	}
	fails := func(t *sqlcatalog.Tx) error { return errors.Join(mark(100)(t), fault) }
	for name, c := range map[string]struct {
		do   work
		want string
	}{
		"error":     {fails, "fault"},
		"duplicate": {func(t *sqlcatalog.Tx) error { return errors.Join(mark(100)(t), mark(100)(t)) }, "UNIQUE"},
		"exit": {func(t *sqlcatalog.Tx) error {
			_ = mark(100)(t)
			runtime.Goexit()
			return nil
		}, "did not return"},
		"foreign key at the commit": {func(t *sqlcatalog.Tx) error {
			return execute(t, `INSERT INTO Marks (Mark, Parent) VALUES (100, 999)`)
		}, "FOREIGN KEY"},
		"rolls back everything": {func(t *sqlcatalog.Tx) error {
			return execute(t, `INSERT OR ROLLBACK INTO Marks (Mark) VALUES (100), (100)`)
		}, "UNIQUE"},
		"ignores that everything was rolled back": {ignores, "no transaction is active"},
	} {
		t.Run(name, func(t *testing.T) {
			g := openGrouped(t)
			errs := g.writes(g.write(mark(1)), g.write(c.do), g.write(mark(2)))
			g.succeeded(errs, 1)
			if err := errs[1]; err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %s", err, c.want)
			}
			if got := g.marks(); !slices.Equal(got, []int{0, 1, 2}) {
				t.Errorf("marks %v are committed", got)
			}
			errs = g.writesAfter(c.do, g.write(mark(3))) // as the first one
			g.succeeded(errs, 1)
			if got := g.marks(); !slices.Equal(got, []int{0, 1, 2, 3}) {
				t.Errorf("marks %v are committed", got)
			}
		})
	}
}

func TestWritePanics(t *testing.T) {
	g := openGrouped(t)
	panics := func() (err error) {
		defer func() { err = errors.New(recover().(string)) }()
		return g.conns.Write(t.Context(), false, func(t *sqlcatalog.Tx) error {
			_ = mark(100)(t)
			panic("fault")
		})
	}
	errs := g.writes(g.write(mark(1)), panics, g.write(mark(2)))
	g.succeeded(errs, 1)
	if err := panics(); err == nil || errs[1].Error() != "fault" {
		t.Errorf("panics became %v and %v", errs[1], err)
	}
	g.succeeded([]error{g.conns.Write(t.Context(), false, mark(3))})
	g.want(4, 0, 1, 2, 3)
}

// If the commit fails, no call of the group succeeds.
func TestSharedCommitFails(t *testing.T) {
	for name, fail := range map[string]func(*grouped) error{
		"refused": func(g *grouped) error { g.refuse.Store(true); return nil },
		"removed": func(g *grouped) error { return os.Remove(g.conns.path) },
	} {
		t.Run(name, func(t *testing.T) {
			g := openGrouped(t)
			last := func(t *sqlcatalog.Tx) error { return errors.Join(fail(g), mark(2)(t)) }
			g.succeeded(g.writes(g.write(mark(1)), g.write(last)), 0, 1, 2)
			if got := g.marks(); len(got) > 0 {
				t.Errorf("marks %v are committed", got)
			}
		})
	}
}

// endless is a statement that only an interrupt ends.
const endless = `WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) `

// An interrupt of a statement rolls back the whole transaction. The other calls run again.
func TestWriteInterrupted(t *testing.T) {
	for name, statement := range map[string]string{
		"reads":  endless + `SELECT count(*) FROM n`,
		"writes": `INSERT INTO Marks (Mark) ` + endless + `SELECT x + 100 FROM n`,
	} {
		t.Run(name, func(t *testing.T) {
			g := openGrouped(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			interrupted := g.writeUntil(ctx, func(t *sqlcatalog.Tx) error {
				time.AfterFunc(10*time.Millisecond, cancel)
				return errors.Join(mark(100)(t), execute(t, statement))
			})
			var runs atomic.Int32
			before := g.write(func(t *sqlcatalog.Tx) error { runs.Add(1); return mark(1)(t) })
			errs := g.writes(before, interrupted, g.write(mark(2)))
			if runs.Load() != 2 {
				t.Errorf("the call before ran %d times, want 2", runs.Load())
			}
			g.succeeded(errs, 1)
			if !errors.Is(errs[1], context.Canceled) {
				t.Errorf("error is %v", errs[1])
			}
			if got := g.marks(); !slices.Equal(got, []int{0, 1, 2}) {
				t.Errorf("marks %v are committed", got)
			}
		})
	}
}

// A call whose context ends before its turn never runs.
func TestWriteCancelledInTheQueue(t *testing.T) {
	g := openGrouped(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancels := func(t *sqlcatalog.Tx) error { cancel(); return mark(1)(t) }
	ran := false
	errs := g.writes(g.write(cancels), g.writeUntil(ctx, func(*sqlcatalog.Tx) error { ran = true; return nil }),
		g.write(mark(2)))
	g.succeeded(errs, 1)
	if ran || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("it ran: %t, and its error is %v", ran, errs[1])
	}
	g.want(1, 0, 1, 2)
}

// A full disk may roll back the whole transaction. The other calls run again.
func TestFullDiskInAGroup(t *testing.T) {
	g := openGrouped(t)
	g.exec(`PRAGMA max_page_count = 1`) // as many as there are
	full := g.write(func(t *sqlcatalog.Tx) error {
		return execute(t, `INSERT INTO Marks (Mark, Filler) VALUES (100, zeroblob(1000000))`)
	})
	errs := g.writes(g.write(mark(1)), full, g.write(mark(2)))
	g.succeeded(errs[:1])
	g.succeeded(errs[2:])
	want := []int{0, 1, 2}
	if errs[1] == nil { // the new connection has no limit
		want = append(want, 100)
	}
	if got := g.marks(); !slices.Equal(got, want) {
		t.Errorf("marks %v are committed, want %v", got, want)
	}
}

// A large batch is not part of a group.
func TestLargeBatchCommitsAlone(t *testing.T) {
	g := openGrouped(t)
	lease, err := g.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("a", 1000)
	e, err := f.begin(t.Context(), g.Catalog, lease)
	if err != nil {
		t.Fatal(err)
	}
	g.commits.Store(0)
	for b := range f.batches(e, 1000) {
		record := func() error { return g.Record(t.Context(), lease, b) }
		g.succeeded(g.writes(g.write(mark(1)), record, g.write(mark(2)), g.write(mark(3))))
	}
	g.want(3, 0, 1, 2, 3)
	for bytes, want := range map[int]bool{0: false, 1 << 18: false, 1 << 19: true} {
		payload := make([]byte, bytes)
		if got := large(&ingest.Batch{Segments: []ingest.NewSegment{{Payload: payload}, {Payload: payload},
			{Payload: payload}}}); got != want {
			t.Errorf("a batch with three payloads of %d bytes is large: %t", bytes, got)
		}
	}
}

// Close waits for the calls that came before it; later ones fail.
func TestCloseWaitsForWrites(t *testing.T) {
	g := openGrouped(t)
	closed := func() error { return g.Close() }
	errs := g.writes(g.write(mark(1)), g.write(mark(2)), closed, g.write(mark(3)))
	g.succeeded(errs, 3)
	db := pool(g.conns.path, nil, 1)
	defer db.Close()
	var n sql.NullInt64
	if err := db.QueryRow(`SELECT sum(Mark) FROM Marks`).Scan(&n); err != nil || n.Int64 != 3 {
		t.Errorf("sum of marks is %v: %v", n, err)
	}
}

// TestManyWritesAtOnce makes many calls at once. Exactly those that succeed leave changes.
func TestManyWritesAtOnce(t *testing.T) {
	g := openGrouped(t)
	groupTime = 2 * time.Millisecond
	fault := errors.New("fault")
	const writers, each = 8, 25
	errs := make([]error, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := w*each + i
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Duration(n%7)*time.Millisecond, func() {
					if n%3 == 0 {
						cancel()
					}
				})
				errs[n] = g.conns.Write(ctx, false, func(t *sqlcatalog.Tx) error {
					if err := mark(n)(t); err != nil {
						return err
					}
					switch n % 5 {
					case 1:
						return fault
					case 2: // long enough to be interrupted
						return execute(t, endless+`SELECT x FROM n LIMIT 3000`)
					}
					return nil
				})
				cancel()
			}
		})
	}
	wg.Wait()
	var want []int
	for n, err := range errs {
		switch {
		case err == nil:
			want = append(want, n)
		case !errors.Is(err, fault) && !errors.Is(err, context.Canceled):
			t.Errorf("call %d: %v", n, err)
		}
	}
	if got := g.marks(); !slices.Equal(got, want) {
		t.Errorf("marks %v are committed, want %v", got, want)
	}
}
