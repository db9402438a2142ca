package catalogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ByHand changes rows directly, to the state that a wrong clock or a kill between two transactions
// leaves behind. The catalogues that each driver's test passes to Run must implement it.
type ByHand interface {
	// SetLease sets a job's lease to expire after ahead, by the clock of the database. given is the TTL
	// that it was granted; 0 is unknown, as in rows of versions that did not record it.
	SetLease(t *testing.T, job int64, ahead, given time.Duration)
	// Mark marks a model for removal and does nothing else.
	Mark(t *testing.T, model ingest.ModelID)
	// Overwrite sets the payload in the row of a segment outside tensors.
	Overwrite(t *testing.T, segment ingest.StoredSegment, payload []byte)
	// AllowOldRows lets the columns of LayerTensorSegments that this program added be NULL, as in the
	// database of another program.
	AllowOldRows(t *testing.T)
	// AddressTables are the tables with the addresses of segments whose payload is in the row, too.
	AddressTables() []string
	// Exec executes a statement that all engines know, with named arguments p1, p2, ...
	Exec(t *testing.T, statement string, args ...any)
	// Count returns the number that a query selects.
	Count(t *testing.T, query string, args ...any) int64
}

// OldRows are the statements of AllowOldRows for SQLite. Other connections notice the last two.
var OldRows = []string{`PRAGMA writable_schema = ON`,
	`UPDATE sqlite_schema SET sql = replace(replace(replace(sql, 'ByteOffset            INTEGER NOT NULL',
			'ByteOffset INTEGER'), 'ByteSize              INTEGER NOT NULL', 'ByteSize INTEGER'),
			'AtomId                INTEGER NOT NULL', 'AtomId INTEGER')
		WHERE name = 'LayerTensorSegments'`,
	`PRAGMA writable_schema = RESET`, `CREATE TABLE Changed (Id)`, `DROP TABLE Changed`}

func byHand(t *testing.T, c ingest.Catalog) ByHand {
	t.Helper()
	hand, ok := c.(ByHand)
	if !ok {
		t.Fatalf("%T does not implement ByHand", c)
	}
	return hand
}

var clockTests = []test{
	{name: "a lease that expires later than its TTL allows is cut back", run: func(t *testing.T, db Database) {
		for name, given := range map[string]time.Duration{"/known": short, "/unknown": 0} {
			c := db(t)
			request := jobRequest(name, 1)
			request.TTL = short
			lease, err := c.Open(t.Context(), request)
			must(t, err)
			byHand(t, c).SetLease(t, lease.Job, 59*time.Minute, given)
			request.Holder = holder(2)
			_, err = c.Open(t.Context(), request)
			wantBusy(t, err, short)
			time.Sleep(lapse) // the refused request has cut the lease back all the same
			next, err := c.Open(t.Context(), request)
			must(t, err)
			want(t, "job", next.Job, lease.Job)
			wantIs(t, c.Renew(t.Context(), lease), ingest.ErrLeaseLost)
		}
	}},
	{name: "a lease that blocks another job is cut back as well", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest("/a", 1)
		request.TTL = short
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		byHand(t, c).SetLease(t, lease.Job, 59*time.Minute, short)
		_, err = c.Open(t.Context(), exclusive("gc", 2))
		wantBusy(t, err, short)
		time.Sleep(lapse)
		_, err = c.Open(t.Context(), exclusive("gc", 2))
		must(t, err)
	}},
	{name: "a holder keeps a lease that was cut back, and a lease within its TTL is respected",
		run: func(t *testing.T, db Database) {
			c := db(t)
			a := start(t, c, "/a")
			byHand(t, c).SetLease(t, a.lease.Job, 2*long, long)
			_, err := c.Open(t.Context(), jobRequest("/a", 2))
			wantBusy(t, err, long)
			must(t, c.Renew(t.Context(), a.lease))
			request := jobRequest("/a", 2)
			request.TTL = short // the request's own TTL does not matter
			_, err = c.Open(t.Context(), request)
			wantBusy(t, err, long)
			time.Sleep(lapse)
			_, err = c.Open(t.Context(), request)
			wantIs(t, err, ingest.ErrBusy)
		}},
}

// wantBusy checks that err is a BusyError whose wait is at most most.
func wantBusy(t *testing.T, err error, most time.Duration) {
	t.Helper()
	var busy *ingest.BusyError
	if !errors.As(err, &busy) || busy.Until > most {
		t.Fatalf("error is %v, want one that says to wait for at most %s", err, most)
	}
}

// SegmentTables are the AddressTables of a catalogue that has no others for copies.
var SegmentTables = []string{"LayerTensorSegments", "FileSegments"}
