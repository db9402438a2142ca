package sqlite

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
	_, err = t.exec(`INSERT INTO ModelMerges (ModelId, IntoModelId) VALUES (?, ?)`, model, target)
	return err
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
	err := t.all([]string{
		`UPDATE ModelFiles SET ModelId = ?2, FileIdx = (SELECT coalesce(max(FileIdx), -1) + 1 FROM ModelFiles WHERE ModelId = ?2)
			WHERE ModelFileId = ?1`,
		`UPDATE ModelLayers SET ModelId = ?2, LayerIdx = LayerIdx
			- (SELECT min(LayerIdx) FROM ModelLayers WHERE ModelFileId = ?1)
			+ (SELECT coalesce(max(LayerIdx), -1) + 1 FROM ModelLayers WHERE ModelId = ?2)
			WHERE ModelFileId = ?1`,
	}, f.ID, target)
	if err != nil {
		return err
	}
	return t.finishFile(lease, name, f)
}

// drop removes a model's rows and takes back its references.
func (t *tx) drop(model ingest.ModelID) error {
	return t.all([]string{
		`UPDATE Atoms SET ReferenceCount = ReferenceCount - gone.N FROM (
			SELECT AtomId, count(*) AS N FROM (
				SELECT s.AtomId FROM ModelLayers l JOIN LayerTensorSegments s ON s.LayerId = l.LayerId WHERE l.ModelId = ?1
				UNION ALL
				SELECT s.AtomId FROM ModelFiles f JOIN FileSegments s ON s.ModelFileId = f.ModelFileId WHERE f.ModelId = ?1
				UNION ALL
				SELECT FileAtomId FROM ModelFiles WHERE ModelId = ?1 AND FileAtomId IS NOT NULL)
			GROUP BY AtomId) AS gone WHERE Atoms.AtomId = gone.AtomId`,
		`DELETE FROM Models WHERE ModelId = ?1`,
	}, model)
}

// Abandon implements ingest.Writer. A model that another job left behind may
// be removed, one that a live job works on may not.
func (c *Catalog) Abandon(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	return c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
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
