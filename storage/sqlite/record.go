package sqlite

import (
	"context"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// Record implements sqlcatalog.Dialect.
func (d *dialect) Record(ctx context.Context, r *sqlcatalog.Recording) error {
	return d.Write(ctx, false, func(t *sqlcatalog.Tx) error {
		if err := t.Hold(r.Lease); err != nil {
			return err
		}
		if r.Batch.InRows { // from here on: their pages are written once and not looked at again
			if err := execute(t, payloadCache); err != nil {
				return err
			}
		}
		recorded, err := r.Look(t)
		if err != nil {
			return err
		}
		added, err := writeSegments(t, r, recorded)
		if err != nil {
			return err
		}
		return r.Note(t, added)
	})
}
