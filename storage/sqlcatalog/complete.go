package sqlcatalog

import (
	"context"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Complete implements ingest.Writer. A merge is recorded, so a repeated call returns the same
// model.
func (c *Catalog) Complete(ctx context.Context, lease ingest.Lease, model, into ingest.ModelID) (ingest.ModelID,
	error) {
	var id ingest.ModelID
	var replaced []ingest.ModelID
	err := c.writeLong(ctx, lease, func(t *Tx) error {
		merged, err := t.mergedInto(model)
		if err != nil || merged != 0 {
			id = merged
			return err
		}
		id, replaced, err = t.complete(lease, model, into)
		return err
	})
	if err == nil && id != model {
		err = c.clearIfFree(ctx, lease, model)
	}
	if err == nil {
		err = c.clearAll(ctx, lease, replaced)
	}
	if err != nil {
		return 0, err
	}
	return id, nil
}

var mergedInto = shared("merged-into", `SELECT IntoModelId FROM dbo.ModelMerges WHERE ModelId = @p1`)

// mergedInto returns the model that this one was merged into; 0 for none.
func (t *Tx) mergedInto(model ingest.ModelID) (id ingest.ModelID, err error) {
	_, err = t.found(t.One(mergedInto, model), &id)
	return id, err
}

// complete returns the model that this one is complete as, and the registered models that it
// replaced, whose rows are to be deleted.
func (t *Tx) complete(lease ingest.Lease, model, into ingest.ModelID) (id ingest.ModelID, replaced []ingest.ModelID,
	err error) {
	state, job, err := t.state(model)
	if err != nil || state == ingest.ModelComplete {
		return model, nil, err
	}
	if state != ingest.ModelOpen {
		return 0, nil, fmt.Errorf("model %d is %s: it cannot be completed", model, state)
	}
	if job != lease.Job {
		return 0, nil, fmt.Errorf("model %d belongs to job %d: %w", model, job, ingest.ErrLeaseLost)
	}
	files, err := t.files(model)
	if err != nil {
		return 0, nil, err
	}
	for i := range files {
		if err := t.whole(&files[i]); err != nil {
			return 0, nil, fmt.Errorf("model %d: %s: %w", model, files[i].Path, err)
		}
	}
	return t.completeWith(lease, model, into, files)
}

// completeWith is complete for a model whose files are whole.
func (t *Tx) completeWith(lease ingest.Lease, model, into ingest.ModelID, files modelFiles) (id ingest.ModelID,
	replaced []ingest.ModelID, err error) {
	overtaken, err := t.overtaken(files)
	if err != nil {
		return 0, nil, err
	}
	key := ingest.ContentKey(files.stored())
	target, err := t.twin(key, files, model, into)
	if err != nil {
		return 0, nil, err
	}
	if target == 0 {
		err = t.finish(lease, model, files, key)
		target = model
	} else if err = t.merge(lease, model, target, files); err == nil {
		files, err = t.files(target)
	}
	if err == nil {
		replaced, err = t.replaceRegistered(target, files, overtaken)
	}
	return target, replaced, err
}

// stateOf locks the row until the commit, so that verbs on the same model run one after the other.
var stateOf = shared("state", `SELECT COALESCE(State, 'complete'), COALESCE(IngestionJobId, 0)
	FROM dbo.Models {update lock} WHERE ModelId = @p1`)

// state locks a model and returns its state and job.
func (t *Tx) state(model ingest.ModelID) (state ingest.ModelState, job int64, err error) {
	there, err := t.found(t.One(stateOf, model), &state, &job)
	if err == nil && !there {
		err = fmt.Errorf("model %d: %w", model, ingest.ErrNotFound)
	}
	return state, job, err
}

// wholeFile is answered by the unique indexes alone: (LayerId, SegmentOrdinal) and (ModelFileId,
// SegmentOrdinal) include ByteSize.
var wholeFile = shared("whole", `SELECT {count}, COALESCE(SUM(r.ByteSize), 0) FROM (
		SELECT s.ByteSize FROM dbo.ModelLayers AS l
			INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = @p1
		UNION ALL SELECT ByteSize FROM dbo.FileSegments WHERE ModelFileId = @p1) AS r`)

// whole returns an error unless rows cover the file and its digest is the expected one. It counts
// the rows, since another program may have deleted some after Record counted them.
func (t *Tx) whole(f *modelFile) error {
	var rows, bytes int64
	if err := t.One(wholeFile, f.ID).Scan(&rows, &bytes); err != nil {
		return err
	}
	return f.checkWhole(rows, bytes)
}

// twinOf finds the complete model whose weights have the key @p1. The key's range stays locked
// until the commit, so that the second of two models with the same weights finds the first.
var twinOf = differs("twin")

// twin returns the complete model to merge this one into; 0 for none.
func (t *Tx) twin(key ingest.Digest, files modelFiles, model, into ingest.ModelID) (ingest.ModelID, error) {
	if into != 0 && into != model {
		return into, t.fits(files, into)
	}
	if key.IsZero() {
		return 0, nil
	}
	var id ingest.ModelID
	_, err := t.found(t.One(twinOf, key[:]), &id)
	return id, err
}

// fits returns an error unless into is complete and has all weights among files.
func (t *Tx) fits(files modelFiles, into ingest.ModelID) error {
	state, _, err := t.state(into)
	if err != nil {
		return err
	}
	if state != ingest.ModelComplete {
		return fmt.Errorf("model %d, the merge target: %w", into, ingest.ErrIncomplete)
	}
	present, err := t.files(into)
	if err != nil {
		return err
	}
	return present.checkWeights(into, files)
}

var (
	finishModel = shared("finish",
		`UPDATE dbo.Models SET State = 'complete', IngestionDate = {now} WHERE ModelId = @p1`)
	// dropKeys deletes the keys of a model whose state changes: that of its source or of its
	// weights.
	dropKeys = differs("drop-keys")
	// completeKey adds the key of a complete model's weights. It is unique among complete models.
	completeKey = differs("complete-key")
)

// finish makes a model complete.
func (t *Tx) finish(lease ingest.Lease, model ingest.ModelID, files modelFiles, key ingest.Digest) error {
	name, err := t.firstName(model)
	if err != nil {
		return err
	}
	for i := range files {
		if err := t.finishFile(lease, name, &files[i]); err != nil {
			return err
		}
		files[i].State = ingest.ModelComplete
	}
	for _, s := range []*Statement{finishModel, dropKeys} {
		if err := t.Exec(s, model); err != nil {
			return err
		}
	}
	if key.IsZero() {
		return nil
	}
	return t.Exec(completeKey, key[:], model)
}

var firstName = shared("first-name", `SELECT {top 1} {read n.Name}, {read n.SourceUri}
	FROM dbo.ModelNames AS n WHERE n.ModelId = @p1 ORDER BY n.ModelNameId {limit 1}`)

func (t *Tx) firstName(model ingest.ModelID) (name ingest.Alias, err error) {
	return name, t.One(firstName, model).Scan(readText(&name.Name), readText(&name.URI))
}

var finishFile = shared("finish-file",
	`UPDATE dbo.ModelFiles SET FileAtomId = @p1, HashState = NULL WHERE ModelFileId = @p2`)

// finishFile adds the file's atom, records the path that it was read from, and clears its hash
// state.
func (t *Tx) finishFile(lease ingest.Lease, name ingest.Alias, f *modelFile) error {
	var err error
	if f.Atom, err = t.fileAtom(lease, name, f); err != nil {
		return err
	}
	if err := t.Exec(finishFile, f.Atom, f.ID); err != nil {
		return err
	}
	return t.rememberPath(f, f.ID)
}

var (
	changePath = shared("change-path", `UPDATE dbo.FilePaths SET ModelFileId = @p2, ByteSize = @p3, ModifiedNs = @p4
		WHERE {same SourcePath 1}`)
	addPath = shared("add-path", `INSERT INTO dbo.FilePaths
			({key SourcePath}ModelFileId, ByteSize, ModifiedNs, {cols SourcePath})
		VALUES ({keyed 1}@p2, @p3, @p4, {vals 5})`)
)

// rememberPath records that id is the complete file that was read from f's path.
func (t *Tx) rememberPath(f *modelFile, id ingest.FileID) error {
	args := []any{Key{f.Path}, id, f.Bytes, f.Modified.UnixNano()}
	n, err := t.Change(changePath, args...)
	if err != nil || n > 0 {
		return err
	}
	return t.Exec(addPath, append(args, Text{Column: "FilePaths.SourcePath", Value: f.Path})...)
}

var (
	// addFileAtom adds the atom if there is none, as that of an unreferenced segment. It locks the
	// hash's range in the unique index, and only that range: a model is completed once.
	addFileAtom = shared("add-file-atom", `INSERT INTO dbo.Atoms
			(ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
		SELECT @p1, 'model', 'ingest_segment', 0, @p2
		WHERE NOT EXISTS (SELECT 1 FROM dbo.Atoms {range lock} WHERE ContentHash = @p1)`)
	countFileAtom = shared("count-file-atom",
		`UPDATE dbo.Atoms SET ReferenceCount = ReferenceCount + 1 WHERE ContentHash = @p1`)
	describeAtom = shared("describe-atom", `UPDATE dbo.Atoms
		SET Subtype = @p2, {set SourceUri 3}, SourceType = @p4, {set PayloadLocator 5},
			Metadata = {jsononly Atoms.Metadata 6}, UpdatedAt = CASE WHEN @p7 = 1 THEN NULL ELSE {now} END
		WHERE ContentHash = @p1 AND (SourceType = 'ingest_segment' OR `+ours+` AND EXISTS (SELECT 1
			FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
			WHERE f.FileAtomId = Atoms.AtomId AND m.State = 'registered'))`)
	findAtom = shared("find-atom", `SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1`)
)

// fileAtom finds or adds the atom of a whole file. If the file is a single segment, the segment's
// atom exists already and becomes the file's as well, unless another file has described it. The
// atom of a registered file becomes that of a stored one.
func (t *Tx) fileAtom(lease ingest.Lease, name ingest.Alias, f *modelFile) (int64, error) {
	digest := f.Digest[:]
	added, err := t.Change(addFileAtom, digest, f.Bytes)
	if err != nil {
		return 0, err
	}
	if err := t.Exec(countFileAtom, digest); err != nil {
		return 0, err
	}
	a := newFileAtom(name, &f.StoredFile, time.Now())
	described, err := t.Change(describeAtom, digest, Text{Column: "Atoms.Subtype", Value: a.Subtype, Null: true},
		Text{Column: "Atoms.SourceUri", Value: a.SourceURI},
		a.SourceType, Text{Column: "Atoms.PayloadLocator", Value: a.PayloadLocator, Whole: true}, a.Metadata, added)
	if err != nil {
		return 0, err
	}
	var id int64
	if err := t.One(findAtom, digest).Scan(&id); err != nil {
		return 0, err
	}
	return id, t.jobAtom(lease, id, described == 0)
}

// noteAtom does not rely on a unique index: other programs write the table, too. Only this process
// writes the job's rows.
var noteAtom = shared("job-atom", `INSERT INTO dbo.IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
	SELECT @p1, @p2, @p3
	WHERE NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms WHERE IngestionJobId = @p1 AND AtomId = @p2)`)

// jobAtom records that the job refers to the atom.
func (t *Tx) jobAtom(lease ingest.Lease, atom int64, duplicate bool) error {
	return t.Exec(noteAtom, lease.Job, atom, duplicate)
}
