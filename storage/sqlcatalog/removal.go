package sqlcatalog

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// A model is removed in steps. First, one transaction marks it: from then on no lookup finds it,
// and nothing is merged into it. Then its rows are deleted a thousand at a time, because deleting
// all rows of a large model at once locks whole tables, fills the log, and takes as long again to
// roll back. The next removal, or gc, finishes one that was interrupted.

// batchRows is how many rows one transaction deletes. With the rows of the indexes, and the atoms,
// it stays below the 5,000 locks at which SQL Server locks a whole table.
const batchRows = `1000`

const (
	tensorBatch = `(SELECT {top ` + batchRows + `} s.LayerTensorSegmentId
		FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId
		WHERE l.ModelId = @p1 ORDER BY l.LayerIdx, l.LayerId, s.SegmentOrdinal {limit ` + batchRows + `})`
	fileBatch = `(SELECT {top ` + batchRows + `} s.FileSegmentId
		FROM dbo.ModelFiles AS f INNER JOIN dbo.FileSegments AS s ON s.ModelFileId = f.ModelFileId
		WHERE f.ModelId = @p1 ORDER BY f.FileIdx, f.ModelFileId, s.SegmentOrdinal {limit ` + batchRows + `})`
)

// TensorReferences and FileReferences count the references to atoms from the rows that the next
// transaction deletes. A dialect's release-tensors and release-files use them: columns AtomId and
// Pieces.
const (
	TensorReferences = `SELECT x.AtomId, {count} AS Pieces FROM dbo.LayerTensorSegments AS x
		WHERE x.LayerTensorSegmentId IN ` + tensorBatch + ` GROUP BY x.AtomId`
	FileReferences = `SELECT x.AtomId, {count} AS Pieces FROM dbo.FileSegments AS x
		WHERE x.FileSegmentId IN ` + fileBatch + ` GROUP BY x.AtomId`
)

var (
	markModel = shared("mark-model", `UPDATE dbo.Models SET State = 'removing' WHERE ModelId = @p1`)

	// A statement that releases atoms and the one that deletes the rows select the same rows:
	// nothing else changes the rows of a model that is marked and locked.
	releaseTensors = differs("release-tensors")
	removeTensors  = shared("remove-tensors",
		`DELETE FROM dbo.LayerTensorSegments WHERE LayerTensorSegmentId IN `+tensorBatch)
	releaseFiles = differs("release-files")
	removeFiles  = shared("remove-files", `DELETE FROM dbo.FileSegments WHERE FileSegmentId IN `+fileBatch)
	removeLayers = shared("remove-layers", `DELETE FROM dbo.ModelLayers WHERE LayerId IN
		(SELECT {top `+batchRows+`} l.LayerId FROM dbo.ModelLayers AS l
			WHERE l.ModelId = @p1 ORDER BY l.LayerIdx, l.LayerId {limit `+batchRows+`})`)

	// The other rows, a few for each file and name, are deleted with the model and its atoms.
	releaseFileAtoms = shared("release-file-atoms", `UPDATE dbo.Atoms SET ReferenceCount = ReferenceCount
			- (SELECT COUNT(*) FROM dbo.ModelFiles AS f WHERE f.ModelId = @p1 AND f.FileAtomId = Atoms.AtomId)
		WHERE AtomId IN (SELECT f.FileAtomId FROM dbo.ModelFiles AS f WHERE f.ModelId = @p1)`)
	removeModel = shared("remove-model", `DELETE FROM dbo.Models WHERE ModelId = @p1`)
)

// mark marks a model for removal. The transaction has locked it.
func (t *Tx) mark(model ingest.ModelID) error {
	for _, s := range []*Statement{markModel, dropKeys} {
		if err := t.Exec(s, model); err != nil {
			return err
		}
	}
	return nil
}

// clear deletes the rows of a marked model, batch by batch.
func (c *Catalog) clear(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	for _, stage := range [][]*Statement{{releaseTensors, removeTensors}, {releaseFiles, removeFiles}, {removeLayers},
		{removeModel}} {
		for more := true; more; {
			err := c.writeLong(ctx, lease, func(t *Tx) (err error) {
				more, err = t.clear(model, stage)
				return err
			})
			if err != nil {
				return fmt.Errorf("removing the rows of model %d: %w", model, err)
			}
		}
	}
	return nil
}

// clear executes the statements of one transaction, and reports whether the last one changed any
// rows. The last transaction also removes the model's atoms: no segment needs them any more.
func (t *Tx) clear(model ingest.ModelID, stage []*Statement) (more bool, err error) {
	state, _, err := t.state(model)
	switch {
	case errors.Is(err, ingest.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case state != ingest.ModelRemoving:
		return false, fmt.Errorf("model %d is %s, not marked for removal", model, state)
	}
	if stage[0] == removeModel {
		err = t.releaseAtoms(model, true)
	}
	var n int64
	for _, s := range stage {
		if err == nil {
			n, err = t.Change(s, model)
		}
	}
	if err != nil && t.c.dialect.Refused(err) {
		err = fmt.Errorf("rows of other programs refer to it: `ingest rm %d --cascade` deletes those that "+
			"this login can see: %w", model, err)
	}
	return n > 0, err
}

// clearIfFree is clear for a model that is not being removed with the rows of other programs. It
// deletes nothing, and returns a *ForeignRowsError, if such rows refer to it.
func (c *Catalog) clearIfFree(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	if err := c.read(ctx, func(t *Tx) error { return t.blocked(model) }); err != nil {
		return err
	}
	return c.clear(ctx, lease, model)
}

// Abandon implements ingest.Writer. It refuses a model that another live job works on, or that rows
// of other programs refer to.
func (c *Catalog) Abandon(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	err := c.writeUnder(ctx, lease, func(t *Tx) error {
		state, job, err := t.state(model)
		switch {
		case err != nil:
			return err
		case state == ingest.ModelRemoving:
			return t.blocked(model)
		case state != ingest.ModelOpen:
			return fmt.Errorf("model %d is %s: it cannot be abandoned", model, state)
		}
		if err := t.idle(lease, job); err != nil {
			return err
		}
		if err := t.blocked(model); err != nil {
			return err
		}
		return t.mark(model)
	})
	if errors.Is(err, ingest.ErrNotFound) { // by an earlier call
		return nil
	}
	if err != nil {
		return err
	}
	return c.clear(ctx, lease, model)
}

// Remove implements ingest.Maintenance.
func (c *Catalog) Remove(ctx context.Context, lease ingest.Lease, model ingest.ModelID, cascade bool) error {
	err := c.writeLong(ctx, lease, func(t *Tx) error {
		state, job, err := t.state(model)
		if err != nil {
			return err
		}
		if state == ingest.ModelOpen {
			if err := t.idle(lease, job); err != nil {
				return err
			}
		}
		// Marked models are removed even if rows lose their key.
		rows, err := t.foreignRows(model, state == ingest.ModelRemoving)
		if err != nil {
			return err
		}
		if refused := (&ingest.ForeignRowsError{Model: model, Rows: rows}); refused.Refuses(cascade) {
			return refused
		}
		if state == ingest.ModelRemoving {
			return nil
		}
		return t.mark(model)
	})
	if errors.Is(err, ingest.ErrNotFound) { // by an earlier call
		return nil
	}
	if err != nil {
		return err
	}
	if cascade {
		if err := c.removeForeign(ctx, lease, model); err != nil {
			return err
		}
	}
	return c.clear(ctx, lease, model)
}

// The rows of model @p1, and the rows of others with the same payload.
const (
	tensorsOf = `dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelId`
	filesIn   = `dbo.ModelFiles AS l INNER JOIN dbo.FileSegments AS s ON s.ModelFileId = l.ModelFileId WHERE l.ModelId`
	samePlace = ` <> @p1 AND s.AtomId = g.AtomId AND COALESCE(s.BlobUri, '') = g.Place AND {bytes s.RawPayload} = 0)`
	inStore   = `SELECT s.AtomId, COALESCE(s.BlobUri, '') AS Place,
		CASE WHEN s.Codec IS NULL THEN s.ByteSize ELSE s.BlobSizeBytes END AS Bytes FROM `
)

var (
	// weighRows adds up the payloads in rows.
	weighRows = shared("weigh-rows", `SELECT {sum r.ByteSize} FROM (
			SELECT COALESCE(s.ByteSize, {bytes s.RawPayload}) AS ByteSize FROM `+tensorsOf+` = @p1
				AND {bytes s.RawPayload} > 0
			UNION ALL SELECT s.ByteSize FROM `+filesIn+` = @p1 AND {bytes s.RawPayload} > 0) AS r`)
	// weighStored adds up, each once, the payloads in a store, and the small ones, that no other model
	// needs; those that others need, too; and of the first, the small ones of whole files, whose atoms
	// are deleted with the model. It seeks in the indexes on AtomId for each.
	weighStored = shared("weigh-stored", `SELECT {sum CASE WHEN w.Others = 0 THEN w.Bytes ELSE 0 END},
			{sum CASE WHEN w.Others = 0 THEN 0 ELSE w.Bytes END},
			{sum CASE WHEN w.Others = 0 AND w.Whole = 1 THEN w.Bytes ELSE 0 END}
		FROM (SELECT g.Bytes, CASE WHEN g.Place = '' AND EXISTS (SELECT 1 FROM dbo.ModelFiles AS f
				WHERE f.ModelId = @p1 AND f.FileAtomId = g.AtomId) THEN 1 ELSE 0 END AS Whole,
				CASE WHEN EXISTS (SELECT 1 FROM `+tensorsOf+samePlace+`
				OR EXISTS (SELECT 1 FROM `+filesIn+samePlace+` THEN 1 ELSE 0 END AS Others
			FROM (SELECT r.AtomId, r.Place, MAX(r.Bytes) AS Bytes FROM (
				`+inStore+tensorsOf+` = @p1 AND {bytes s.RawPayload} = 0
				UNION ALL `+inStore+filesIn+` = @p1 AND {bytes s.RawPayload} = 0) AS r
				GROUP BY r.AtomId, r.Place) AS g) AS w`)
)

// Removal implements ingest.Maintenance.
func (c *Catalog) Removal(ctx context.Context, model ingest.ModelID) (r ingest.Removal, err error) {
	err = c.readLong(ctx, func(t *Tx) error {
		r = ingest.Removal{}
		if r.Model, err = t.summary(model); err != nil {
			return err
		}
		if err := t.One(weighRows, model).Scan(&r.InRows); err != nil {
			return err
		}
		var whole int64
		if err := t.One(weighStored, model).Scan(&r.Freed, &r.Shared, &whole); err != nil {
			return err
		}
		if err := t.weighWhole(model, &r); err != nil {
			return err
		}
		r.Freed, r.InRows = addBytes(r.Freed, r.InRows), addBytes(r.InRows, whole)
		r.Foreign, err = t.foreignRows(model, r.Model.State == ingest.ModelRemoving)
		return err
	})
	return r, err
}

// wholeCopies selects the atoms of a model's files that have a payload or an address, and that no
// other model's files have.
var wholeCopies = shared("whole-copies", `SELECT {haspayload a}, {payloadbytes a}, COALESCE(a.BlobSizeBytes, 0),
		CASE WHEN {notnull a.PayloadLocator} THEN 1 ELSE 0 END
	FROM dbo.Atoms AS a WHERE a.AtomId IN (SELECT f.FileAtomId FROM dbo.ModelFiles AS f WHERE f.ModelId = @p1)
		AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS o WHERE o.FileAtomId = a.AtomId AND o.ModelId <> @p1)
		AND (a.BlobUri IS NOT NULL OR {haspayload a} = 1) AND `+ours)

// weighWhole adds the files that are stored whole.
func (t *Tx) weighWhole(model ingest.ModelID, r *ingest.Removal) error {
	return t.Each(func(row Scanner) error {
		var inRow, hasPath bool
		var payload, blob int64
		err := row.Scan(&inRow, &payload, &blob, &hasPath)
		if inRow {
			r.InRows = addBytes(r.InRows, payload)
		} else {
			r.Freed = addBytes(r.Freed, blob)
		}
		if !hasPath {
			r.OnlyCopies++
		}
		return err
	}, wholeCopies, model)
}

// addBytes adds sizes; the sum is at most the largest integer.
func addBytes(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
