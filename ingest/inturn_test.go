package ingest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// inTurn makes an ingest.TurnTaker of a catalogue that writes one batch at a time: the waiting is that of one which writes
// several, and so are the deadlocks for which one is begun anew. What is left out is that a database locks rows.
type inTurn struct {
	*sqlite.Catalog
	rows ingest.RowStore
}

// RecordInTurn implements ingest.TurnTaker.
func (c *inTurn) RecordInTurn(ctx context.Context, lease ingest.Lease, batch *ingest.Batch, turn *ingest.Turn) error {
	for {
		err := c.attempt(ctx, lease, batch, turn)
		if err != nil {
			turn.RolledBack()
		}
		if !errors.Is(err, ingest.ErrOutOfTurn) && !errors.Is(err, errDeadlock) {
			return err
		}
	}
}

var errDeadlock = errors.New("deadlock")

func (c *inTurn) attempt(ctx context.Context, lease ingest.Lease, batch *ingest.Batch, turn *ingest.Turn) error {
	if err := turn.Begin(ctx); err != nil {
		return err
	}
	turn.Locked()
	for range rand.IntN(5) {
		runtime.Gosched()
	}
	if rand.IntN(4) == 0 {
		return errDeadlock
	}
	if err := turn.End(ctx); err != nil {
		return err
	}
	return c.rows.RecordPayloads(ctx, lease, batch)
}
