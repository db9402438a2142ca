package sqlcatalog

import (
	"context"
	"errors"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// A registered model is replaced in two cases. When its files are stored, the complete model takes
// over its names, unless only their own names claim that they have the stored content. When another
// file is at the path of one of its files, the model of the new file takes over the names that both
// have. A registered model that loses its last name is marked for removal. A model that rows of other
// programs refer to is not replaced.

// registeredModel is a registered model with its files.
type registeredModel struct {
	id    ingest.ModelID
	files modelFiles
}

var registeredWith = shared("registered-with", `SELECT DISTINCT f.ModelId
		FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
		WHERE f.ContentHash = @p1 AND m.State = 'registered' ORDER BY f.ModelId`)

// registeredLike locks and returns the registered models with the weights of files, or, if there
// are no weights, with all of files. There is more than one only if two processes registered them
// at the same time.
func (t *Tx) registeredLike(files modelFiles) (equal []registeredModel, err error) {
	var ids []ingest.ModelID
	err = t.Each(func(row Scanner) error {
		var id ingest.ModelID
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, registeredWith, files[0].Digest[:])
	key := ingest.ContentKey(files.stored())
	for _, id := range ids {
		if err != nil {
			return nil, err
		}
		var m registeredModel
		if m, err = t.lockRegistered(id); err != nil || m.id == 0 {
			continue
		}
		if ingest.ContentKey(m.files.stored()) == key && (!key.IsZero() || m.files.have(files)) {
			equal = append(equal, m)
		}
	}
	return equal, err
}

// lockRegistered locks a registered model and reads its files. The ID is 0 if the model is no
// longer registered.
func (t *Tx) lockRegistered(id ingest.ModelID) (m registeredModel, err error) {
	if still, err := t.lockIn(ingest.ModelRegistered, id); err != nil || !still {
		return m, err
	}
	m.files, err = t.files(id)
	m.id = id
	return m, err
}

// lockIn locks a model, and reports whether it still exists in that state.
func (t *Tx) lockIn(want ingest.ModelState, id ingest.ModelID) (bool, error) {
	state, _, err := t.state(id)
	if errors.Is(err, ingest.ErrNotFound) { // it was removed since it was found
		return false, nil
	}
	return state == want, err
}

// overtakenBy finds a registered file with other content at a path, unless it has another path as
// well.
var overtakenBy = shared("overtaken", `SELECT f.ModelId, f.FileAtomId
		FROM dbo.FilePaths AS p INNER JOIN dbo.ModelFiles AS f ON f.ModelFileId = p.ModelFileId
			INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
		WHERE {same p.SourcePath 1} AND m.State = 'registered' AND f.ContentHash <> @p2 AND NOT EXISTS (SELECT 1
			FROM dbo.FilePaths AS o WHERE o.ModelFileId = f.ModelFileId AND o.FilePathId <> p.FilePathId)`)

// overtaken returns the registered models that have lost a file: one of files is at its path with
// other content, and its payload is not stored.
func (t *Tx) overtaken(files modelFiles) (models []ingest.ModelID, err error) {
	for i := range files {
		var id ingest.ModelID
		var atom int64
		there, err := t.found(t.One(overtakenBy, Key{files[i].Path}, files[i].Digest[:]), &id, &atom)
		if err != nil {
			return nil, err
		}
		if !there || slices.Contains(models, id) {
			continue
		}
		a, err := scanFileAtom(t.One(fileAtom, atom))
		if err != nil {
			return nil, err
		}
		if !a.HasCopy() && !a.InSegments {
			models = append(models, id)
		}
	}
	return models, nil
}

// replaceRegistered replaces registered models by model, whose files are present, and returns those
// that it marked for removal. overtaken are models with other content at a path of model.
func (t *Tx) replaceRegistered(model ingest.ModelID, present modelFiles, overtaken []ingest.ModelID) (
	marked []ingest.ModelID, err error) {
	if present[0].State == ingest.ModelComplete {
		if marked, err = t.takeNames(model, present); err != nil {
			return nil, err
		}
	}
	if len(overtaken) == 0 {
		return marked, nil
	}
	names, err := t.names(model)
	if err != nil {
		return nil, err
	}
	for _, id := range overtaken {
		old, err := t.lockRegistered(id)
		if err != nil {
			return nil, err
		}
		if old.id == 0 || old.id == model {
			continue
		}
		_, gone, err := t.dropNames(old, func(n ingest.Name) bool { return named(names, n.Name) })
		if err != nil {
			return nil, err
		}
		if gone {
			marked = append(marked, id)
		}
	}
	return marked, nil
}

func named(names []ingest.Name, name string) bool {
	return slices.ContainsFunc(names, func(n ingest.Name) bool { return n.Name == name })
}

// takeNames gives a complete model the names of registered models whose files it all has. A file that
// was not read counts if the complete model was read from its path.
func (t *Tx) takeNames(model ingest.ModelID, present modelFiles) (marked []ingest.ModelID, err error) {
	equal, err := t.registeredLike(present)
	if err != nil || len(equal) == 0 {
		return nil, err
	}
	own, err := t.names(model)
	if err != nil {
		return nil, err
	}
	for _, old := range equal {
		if err := t.computed(old.files, present); err != nil {
			return nil, err
		}
		has := func(n ingest.Name) bool {
			return present.have(old.files.of(n)) && !old.files.trusted(n)
		}
		names, gone, err := t.dropNames(old, has)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if named(own, n.Name) {
				continue
			}
			if err := t.name(model, n.Alias, append(old.files.namedIn(present, n), present.weights()...)); err != nil {
				return nil, err
			}
		}
		if gone {
			marked = append(marked, old.id)
		}
	}
	return marked, nil
}

// namedIn returns the files of a name as those of another model, which has them all.
func (files modelFiles) namedIn(present modelFiles, name ingest.Name) (named []ingest.NamedFile) {
	used := map[ingest.FileID]bool{}
	for _, n := range name.Files {
		for i := range files {
			if files[i].ID != n.ID {
				continue
			}
			own := present.unused(&files[i], used)
			if own == nil {
				own = present.same(&files[i])
			}
			used[own.ID] = true
			named = append(named, ingest.NamedFile{ID: own.ID, Path: n.Path})
		}
	}
	return named
}

// dropNames removes the names of a registered model that drop chooses, and returns them. If no name
// is left, it marks the model for removal.
func (t *Tx) dropNames(old registeredModel, drop func(ingest.Name) bool) (dropped []ingest.Name, marked bool,
	err error) {
	rows, err := t.foreignRows(old.id, false)
	if err != nil || len(rows) > 0 {
		return nil, false, err
	}
	names, err := t.names(old.id)
	if err != nil {
		return nil, false, err
	}
	var left []ingest.Name
	for _, n := range names {
		if drop(n) {
			dropped = append(dropped, n)
		} else {
			left = append(left, n)
		}
	}
	switch {
	case len(dropped) == 0:
		return nil, false, nil
	case len(left) == 0:
		return dropped, true, t.retire(old.id)
	}
	for _, n := range dropped {
		if err := t.Exec(removeName, old.id, Key{n.Name}); err != nil {
			return nil, false, err
		}
	}
	return dropped, false, t.renameMain(old.id, left[0].Name)
}

// retire marks a locked registered model for removal, and removes the atoms that only it needs. It
// keeps those with a payload or an address: that may be the only copy.
func (t *Tx) retire(model ingest.ModelID) error {
	if err := t.releaseAtoms(model, false); err != nil {
		return err
	}
	return t.mark(model)
}

// clearAll deletes the rows of models that are marked for removal.
func (c *Catalog) clearAll(ctx context.Context, lease ingest.Lease, models []ingest.ModelID) error {
	for _, id := range models {
		if err := c.clear(ctx, lease, id); err != nil {
			return err
		}
	}
	return nil
}
