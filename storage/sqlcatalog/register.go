package sqlcatalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Register implements ingest.Writer.
func (c *Catalog) Register(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	content []ingest.FileContent) (ingest.ModelID, error) {
	files, err := filesToRegister(model, content)
	if err != nil {
		return 0, err
	}
	var id ingest.ModelID
	var replaced []ingest.ModelID
	err = c.writeUnder(ctx, lease, func(t *Tx) (err error) {
		r := &registration{Tx: t, lease: lease, model: model, files: slices.Clone(files), content: content}
		id, replaced, err = r.register()
		return err
	})
	if err == nil {
		err = c.clearAll(ctx, lease, replaced)
	}
	if err != nil {
		return 0, err
	}
	return id, nil
}

// filesToRegister returns the files of a model with their digests.
func filesToRegister(model *ingest.Model, content []ingest.FileContent) (modelFiles, error) {
	if len(content) != len(model.Files) {
		return nil, fmt.Errorf("model of %d files with the content of %d", len(model.Files), len(content))
	}
	files := make(modelFiles, len(content))
	for i := range model.Files {
		f := &model.Files[i]
		files[i].StoredFile = ingest.StoredFile{Index: i, Role: f.Role, Path: f.Path, Bytes: f.Bytes,
			Modified: f.Modified, Expected: f.Expected, Digest: content[i].Digest, Tensors: int64(len(f.Tensors))}
		if err := files[i].checkClaim(); err != nil {
			return nil, fmt.Errorf("register %s: %w", ingest.Printable(f.Path), err)
		}
	}
	return files, nil
}

// registration is one call of Register, in its transaction.
type registration struct {
	*Tx
	lease   ingest.Lease
	model   *ingest.Model
	files   modelFiles // of model; the IDs are set when their rows are known
	content []ingest.FileContent
}

// register returns the model that has the name, and the models that it replaced, whose rows are to
// be deleted.
func (r *registration) register() (id ingest.ModelID, replaced []ingest.ModelID, err error) {
	if err := r.lockAtoms(); err != nil {
		return 0, nil, err
	}
	overtaken, err := r.overtaken(r.files)
	if err != nil {
		return 0, nil, err
	}
	id, err = r.stored()
	if err == nil && id == 0 {
		id, err = r.registered()
	}
	if err == nil && id == 0 {
		id, err = r.add(r.model, r.files, r.content)
	}
	if err == nil {
		err = r.giveName(id)
	}
	var present modelFiles
	if err == nil {
		present, err = r.Tx.files(id)
	}
	if err != nil {
		return 0, nil, err
	}
	replaced, err = r.replaceRegistered(id, present, overtaken)
	return id, replaced, err
}

// lockAtoms inserts missing atoms and locks existing ones, in the order of their digests. If two
// transactions register or complete the same content, the second one waits here, and then sees the
// rows of the first.
func (r *registration) lockAtoms() error {
	order := slices.Clone(r.files)
	slices.SortFunc(order, func(a, b modelFile) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	for i := range order {
		if err := r.Exec(addFileAtom, order[i].Digest[:], order[i].Bytes); err != nil {
			return err
		}
	}
	return nil
}

// stored returns the complete model that has all of the files; 0 if there is none, or if a file was
// not read and only its name claims that it has the stored content.
func (r *registration) stored() (id ingest.ModelID, err error) {
	key := ingest.ContentKey(r.files.stored())
	if key.IsZero() || slices.ContainsFunc(r.content, func(c ingest.FileContent) bool { return c.Trusted }) {
		return 0, nil
	}
	if there, err := r.found(r.One(twinOf, key[:]), &id); err != nil || !there {
		return 0, err
	}
	if still, err := r.lockIn(ingest.ModelComplete, id); err != nil || !still {
		return 0, err
	}
	present, err := r.Tx.files(id)
	if err != nil || !present.have(r.files) {
		return 0, err
	}
	used := map[ingest.FileID]bool{}
	for i := range r.files {
		f := &r.files[i]
		own := present.unused(f, used)
		if own == nil {
			own = present.same(f)
		}
		f.ID, f.Atom, used[own.ID] = own.ID, own.Atom, true
		if err := r.jobAtom(r.lease, f.Atom, true); err != nil {
			return 0, err
		}
		if err := r.rememberPath(f, f.ID); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// registered returns the registered model with the same weights, and adds the files that it lacks;
// 0 if there is none.
func (r *registration) registered() (ingest.ModelID, error) {
	equal, err := r.registeredLike(r.files)
	if err != nil || len(equal) == 0 {
		return 0, err
	}
	target, present := equal[0].id, equal[0].files
	lacking := *r.model
	lacking.Files = nil
	var content []ingest.FileContent
	var at []int
	used := map[ingest.FileID]bool{}
	for i := range r.files {
		f := &r.files[i]
		known := present.unused(f, used)
		if known == nil {
			lacking.Files = append(lacking.Files, r.model.Files[i])
			content, at = append(content, r.content[i]), append(at, i)
			continue
		}
		f.ID, used[known.ID] = known.ID, true
		if err := r.again(f, r.content[i]); err != nil {
			return 0, err
		}
	}
	if len(at) == 0 {
		return target, nil
	}
	files := make(modelFiles, len(at))
	for i, j := range at {
		files[i] = r.files[j]
	}
	added, err := r.add(&lacking, files, content)
	if err != nil {
		return 0, err
	}
	for i, j := range at {
		r.files[j].ID = files[i].ID
		for _, s := range []*Statement{moveFile, moveLayers} {
			if err := r.Exec(s, files[i].ID, target); err != nil {
				return 0, err
			}
		}
	}
	return target, r.Exec(removeModel, added) // its files and layers have moved; only its name is left
}

// registerAgain records the path of a registered file, which may have moved.
var registerAgain = shared("register-again",
	`UPDATE dbo.ModelFiles SET {set FileName 2}, {set SourcePath 3}, ModifiedNs = @p4,
		HashState = CASE WHEN @p5 = 1 THEN {empty} END WHERE ModelFileId = @p1`)

// again updates the row of a file that is registered already.
func (r *registration) again(f *modelFile, content ingest.FileContent) error {
	err := r.Exec(registerAgain, f.ID, fileName(f.Path), sourcePath(f.Path), f.Modified.UnixNano(),
		content.Trusted)
	if err == nil {
		err = r.describe(f, content, false)
	}
	if err == nil {
		err = r.rememberPath(f, f.ID)
	}
	return err
}

// add inserts a registered model with files, and sets their IDs.
func (r *registration) add(model *ingest.Model, files modelFiles,
	content []ingest.FileContent) (ingest.ModelID, error) {
	entry, err := r.addModel(r.lease, model, ingest.ModelRegistered, make([]int64, len(files)))
	if err != nil {
		return 0, err
	}
	for i := range files {
		files[i].ID = entry.Files[i].ID
		if err := r.addFile(&files[i], content[i]); err != nil {
			return 0, err
		}
	}
	return entry.ID, nil
}

var finishRegistered = shared("finish-registered",
	`UPDATE dbo.ModelFiles SET FileAtomId = @p2, ContentHash = @p3,
		HashState = CASE WHEN @p4 = 1 THEN {empty} END WHERE ModelFileId = @p1`)

// addFile connects a new file with its atom.
func (r *registration) addFile(f *modelFile, content ingest.FileContent) error {
	if err := r.Exec(countFileAtom, f.Digest[:]); err != nil {
		return err
	}
	if err := r.describe(f, content, true); err != nil {
		return err
	}
	if err := r.Exec(finishRegistered, f.ID, f.Atom, f.Digest[:], content.Trusted); err != nil {
		return err
	}
	return r.rememberPath(f, f.ID)
}

// describeRegistered skips the rows of other programs and of stored files.
var describeRegistered = shared("describe-registered", `UPDATE dbo.Atoms SET Subtype = @p2, {set SourceUri 3},
			SourceType = @p4, {set PayloadLocator 5}, Metadata = {jsononly Atoms.Metadata 6},
			UpdatedAt = CASE WHEN SourceType = 'ingest_segment' THEN NULL ELSE {now} END
		WHERE ContentHash = @p1 AND `+ours+` AND NOT EXISTS (SELECT 1
			FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
			WHERE f.FileAtomId = Atoms.AtomId AND COALESCE(m.State, 'complete') = 'complete')`)

// describe records the file's path in its atom, sets f.Atom, and relates the atom to the job.
func (r *registration) describe(f *modelFile, content ingest.FileContent, fresh bool) error {
	a := newRegisteredAtom(ingest.Alias{Name: r.model.Name, URI: r.model.URI}, f.StoredFile, content, time.Now())
	changed, err := r.Change(describeRegistered, f.Digest[:],
		Text{Column: "Atoms.Subtype", Value: a.Subtype, Null: true},
		Text{Column: "Atoms.SourceUri", Value: a.SourceURI}, a.SourceType,
		Text{Column: "Atoms.PayloadLocator", Value: a.PayloadLocator, Whole: true}, a.Metadata)
	if err != nil {
		return err
	}
	if err := r.One(findAtom, f.Digest[:]).Scan(&f.Atom); err != nil {
		return err
	}
	return r.jobAtom(r.lease, f.Atom, !fresh || changed == 0)
}

// giveName adds the name to the model. The name covers the model's weights and the files registered
// under it.
func (r *registration) giveName(id ingest.ModelID) error {
	all, err := r.Tx.files(id)
	if err != nil {
		return err
	}
	var named []ingest.NamedFile
	for i := range r.files {
		named = append(named, ingest.NamedFile{ID: r.files[i].ID, Path: r.model.Files[i].Name})
	}
	return r.name(id, ingest.Alias{Name: r.model.Name, URI: r.model.URI}, append(named, all.weights()...))
}

// fileFrom finds a complete file that was read from a path.
var fileFrom = shared("file-from", `SELECT 1 FROM dbo.FilePaths WHERE {same SourcePath 1} AND ModelFileId = @p2`)

// computed clears Trusted of the files that were read when those of a complete model were.
func (t *Tx) computed(files, complete modelFiles) error {
	for i := range files {
		f := &files[i]
		same := complete.same(f)
		if !f.Trusted || same == nil {
			continue
		}
		var one int
		there, err := t.found(t.One(fileFrom, Key{f.Path}, same.ID), &one)
		if err != nil {
			return err
		}
		f.Trusted = !there
	}
	return nil
}
