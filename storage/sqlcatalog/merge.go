package sqlcatalog

import "github.com/hartonomous/ingest/ingest"

var noteMerge = shared("note-merge", `INSERT INTO dbo.ModelMerges (ModelId, IntoModelId) VALUES (@p1, @p2)`)

// merge moves to target the names of model and the files that target lacks, and marks model for
// removal.
func (t *Tx) merge(lease ingest.Lease, model, target ingest.ModelID, files modelFiles) error {
	if _, _, err := t.state(target); err != nil { // locks it: merges into it run one after the other
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
	became, used := make(map[ingest.FileID]ingest.FileID, len(files)), map[ingest.FileID]bool{}
	for i := range files {
		f := &files[i]
		if twin := present.unused(f, used); twin != nil {
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
		used[became[f.ID]] = true
	}
	for _, n := range names {
		for i := range n.Files {
			n.Files[i].ID = became[n.Files[i].ID]
		}
		if err := t.name(target, n.Alias, append(n.Files, present.weights()...)); err != nil {
			return err
		}
	}
	if err := t.mark(model); err != nil {
		return err
	}
	return t.Exec(noteMerge, model, target)
}

// reuseFile records that twin, a complete file, stands for f.
func (t *Tx) reuseFile(lease ingest.Lease, f, twin *modelFile) error {
	if err := t.jobAtom(lease, twin.Atom, true); err != nil {
		return err
	}
	return t.rememberPath(f, twin.ID)
}

var (
	moveFile = shared("move-file", `UPDATE dbo.ModelFiles SET ModelId = @p2,
			FileIdx = (SELECT COALESCE(MAX(x.FileIdx), -1) + 1 FROM dbo.ModelFiles AS x WHERE x.ModelId = @p2)
		WHERE ModelFileId = @p1`)
	moveLayers = shared("move-layers", `UPDATE dbo.ModelLayers SET ModelId = @p2, LayerIdx = LayerIdx
			- (SELECT MIN(x.LayerIdx) FROM dbo.ModelLayers AS x WHERE x.ModelFileId = @p1)
			+ (SELECT COALESCE(MAX(x.LayerIdx), -1) + 1 FROM dbo.ModelLayers AS x WHERE x.ModelId = @p2)
		WHERE ModelFileId = @p1`)
)

// moveFile appends a file to target, and its tensors to target's.
func (t *Tx) moveFile(lease ingest.Lease, name ingest.Alias, f *modelFile, target ingest.ModelID) error {
	for _, s := range []*Statement{moveFile, moveLayers} {
		if err := t.Exec(s, f.ID, target); err != nil {
			return err
		}
	}
	return t.finishFile(lease, name, f)
}
