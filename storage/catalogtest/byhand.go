package catalogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ByHand changes rows as no verb does: what a wrong clock, or a kill between two transactions, leaves
// behind. Each driver's
// test gives its handles these methods.
type ByHand interface {
	// SetLease makes a job's lease good for so long from now, by the clock of the database. given is what
	// it was given for; 0 is not
	// known, as to a version that did not note it.
	SetLease(t *testing.T, job int64, ahead, given time.Duration)
	// Mark marks a model for removal, and does nothing more.
	Mark(t *testing.T, model ingest.ModelID)
	// Overwrite puts bytes into the row of a segment that belongs to no tensor.
	Overwrite(t *testing.T, segment ingest.StoredSegment, payload []byte)
	// Exec executes a statement in words that all engines share, with the arguments p1, p2, ... (sql.Named).
	Exec(t *testing.T, statement string, args ...any)
	// Count returns the number that a query has as its answer.
	Count(t *testing.T, query string, args ...any) int64
}

func byHand(t *testing.T, c ingest.Catalog) ByHand {
	t.Helper()
	hand, ok := c.(ByHand)
	if !ok {
		t.Fatalf("the handle, a %T, does not change rows by hand", c)
	}
	return hand
}

var clockTests = []test{
	{name: "a lease that is further ahead than it was given for is cut back", run: func(t *testing.T, db Database) {
		for name, given := range map[string]time.Duration{"/known": short, "/unknown": 0} {
			c := db(t)
			ask := claim(name, 1)
			ask.TTL = short
			lease, err := c.Open(t.Context(), ask)
			must(t, err)
			byHand(t, c).SetLease(t, lease.Job, 59*time.Minute, given)
			ask.Holder = holder(2)
			_, err = c.Open(t.Context(), ask)
			wantBusy(t, err, short)
			time.Sleep(lapse) // that it was cut back has stayed so, although the request was refused
			next, err := c.Open(t.Context(), ask)
			must(t, err)
			want(t, "job", next.Job, lease.Job)
			wantIs(t, c.Renew(t.Context(), lease), ingest.ErrLeaseLost)
		}
	}},
	{name: "so is one that is in the way of another job", run: func(t *testing.T, db Database) {
		c := db(t)
		ask := claim("/a", 1)
		ask.TTL = short
		lease, err := c.Open(t.Context(), ask)
		must(t, err)
		byHand(t, c).SetLease(t, lease.Job, 59*time.Minute, short)
		_, err = c.Open(t.Context(), alone("gc", 2))
		wantBusy(t, err, short)
		time.Sleep(lapse)
		_, err = c.Open(t.Context(), alone("gc", 2))
		must(t, err)
	}},
	{name: "its holder keeps it, and one that was given for as long is respected",
		run: func(t *testing.T, db Database) {
			c := db(t)
			a := start(t, c, "/a")
			byHand(t, c).SetLease(t, a.lease.Job, 2*long, long)
			_, err := c.Open(t.Context(), claim("/a", 2))
			wantBusy(t, err, long)
			must(t, c.Renew(t.Context(), a.lease))
			ask := claim("/a", 2)
			ask.TTL = short // the request's own does not matter
			_, err = c.Open(t.Context(), ask)
			wantBusy(t, err, long)
			time.Sleep(lapse)
			_, err = c.Open(t.Context(), ask)
			wantIs(t, err, ingest.ErrBusy)
		}},
}

// wantBusy wants a refusal that says to wait, at most for so long.
func wantBusy(t *testing.T, err error, most time.Duration) {
	t.Helper()
	var busy *ingest.BusyError
	if !errors.As(err, &busy) || busy.Until > most {
		t.Fatalf("error is %v, want one that says to wait for at most %s", err, most)
	}
}
