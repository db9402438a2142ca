package sqlserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// merge moves into target the names of model and the files that target lacks,
// and removes what is left of model.
func (t *tx) merge(lease ingest.Lease, model, target ingest.ModelID, files storage.ModelFiles) error {
	if _, _, err := t.state(target); err != nil { // which locks it against a merge of another model
		return err
	}
	present, err := t.files(target)
	if err != nil {
		return err
	}
	names, err := t.names(model)
	if err != nil {
		return err
	}
	name, err := t.firstName(model)
	if err != nil {
		return err
	}
	became := make(map[ingest.FileID]ingest.FileID, len(files))
	for i := range files {
		f := &files[i]
		if twin := present.Same(f); twin != nil {
			became[f.ID] = twin.ID
			err = t.reuseFile(lease, f, twin)
		} else {
			became[f.ID] = f.ID
			err = t.moveFile(lease, name, f, target)
			present = append(present, *f)
		}
		if err != nil {
			return err
		}
	}
	for _, n := range names {
		for i := range n.Files {
			n.Files[i] = became[n.Files[i]]
		}
		if err := t.name(target, n.Alias, append(present.Weights(), n.Files...)); err != nil {
			return err
		}
	}
	if err := t.drop(model); err != nil {
		return err
	}
	return t.exec(`/* ingest: note-merge */ INSERT INTO dbo.ModelMerges (ModelId, IntoModelId) VALUES (@p1, @p2)`, int64(model), int64(target))
}

// reuseFile notes that the file which was read is a complete one that we have.
func (t *tx) reuseFile(lease ingest.Lease, f, twin *storage.ModelFile) error {
	if err := t.jobAtom(lease, twin.Atom, true); err != nil {
		return err
	}
	return t.rememberPath(f, twin.ID)
}

// moveFile makes a file the last one of target, and its tensors target's last ones.
func (t *tx) moveFile(lease ingest.Lease, name ingest.Alias, f *storage.ModelFile, target ingest.ModelID) error {
	err := t.do([]string{
		`/* ingest: move-file */ UPDATE dbo.ModelFiles SET ModelId = @p2,
			FileIdx = (SELECT COALESCE(MAX(x.FileIdx), -1) + 1 FROM dbo.ModelFiles AS x WHERE x.ModelId = @p2) WHERE ModelFileId = @p1`,
		`/* ingest: move-layers */ UPDATE dbo.ModelLayers SET ModelId = @p2, LayerIdx = LayerIdx
			- (SELECT MIN(x.LayerIdx) FROM dbo.ModelLayers AS x WHERE x.ModelFileId = @p1)
			+ (SELECT COALESCE(MAX(x.LayerIdx), -1) + 1 FROM dbo.ModelLayers AS x WHERE x.ModelId = @p2) WHERE ModelFileId = @p1`,
	}, int64(f.ID), int64(target))
	if err != nil {
		return err
	}
	return t.finishFile(lease, name, f)
}

// drop removes a model's rows and takes back its references. Names, files, layers and segments go
// with the model.
func (t *tx) drop(model ingest.ModelID) error {
	return t.do([]string{
		`/* ingest: release-atoms */ UPDATE a SET ReferenceCount = a.ReferenceCount - gone.Pieces FROM dbo.Atoms AS a INNER JOIN (
			SELECT r.AtomId, COUNT_BIG(*) AS Pieces FROM (
				SELECT s.AtomId FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelId = @p1
				UNION ALL
				SELECT s.AtomId FROM dbo.ModelFiles AS f INNER JOIN dbo.FileSegments AS s ON s.ModelFileId = f.ModelFileId WHERE f.ModelId = @p1
				UNION ALL
				SELECT FileAtomId FROM dbo.ModelFiles WHERE ModelId = @p1 AND FileAtomId IS NOT NULL) AS r
			GROUP BY r.AtomId) AS gone ON gone.AtomId = a.AtomId`,
		`/* ingest: drop-model */ DELETE FROM dbo.Models WHERE ModelId = @p1`,
	}, int64(model))
}

// Abandon implements ingest.Writer. A model that another job left behind may
// be removed, one that a live job works on may not.
func (c *Catalog) Abandon(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	return c.writeLong(ctx, lease, func(tx *tx) error {
		state, job, err := tx.state(model)
		switch {
		case errors.Is(err, ingest.ErrNotFound): // by an earlier call
			return nil
		case err != nil:
			return err
		case state == ingest.ModelComplete:
			return fmt.Errorf("model %d is complete: it cannot be abandoned", model)
		}
		if err := tx.idle(lease, job); err != nil {
			return err
		}
		return tx.drop(model)
	})
}
