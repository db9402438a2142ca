package sqlcatalog

import (
	"database/sql"

	"github.com/hartonomous/ingest/ingest"
)

// fileColumns are the columns of a file, with the state of its model. A registered file has a state of
// its hash, an empty one, if the file was not read.
const fileColumns = ` f.ModelFileId, f.ModelId, f.FileIdx, {read f.Role}, {read f.Format}, {read f.FileName},
	{read f.SourcePath}, f.ByteSize, f.ModifiedNs, f.ClaimedHash, f.ContentHash, f.SegmentBytes, f.TensorCount,
	f.RecordedBytes, f.SegmentCount, f.BytesStored, f.BytesShared, f.BytesSaved,
	COALESCE(f.FileAtomId, 0), COALESCE(m.State, 'complete'), CASE WHEN f.HashState IS NULL THEN 0 ELSE 1 END
	FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId `

var (
	filesOf = shared("files",
		`SELECT`+fileColumns+`WHERE f.ModelId >= @p1 AND f.ModelId <= @p2 ORDER BY f.ModelId, f.FileIdx`)
	oneFile = shared("file", `SELECT`+fileColumns+`WHERE f.ModelFileId = @p1`)
)

func scanFile(from Scanner) (modelFile, error) {
	var f modelFile
	var role string
	var expected, digest []byte
	var modified int64
	err := from.Scan(&f.ID, &f.Model, &f.Index, readText(&role), readText(&f.Format), readText(&f.Name),
		readText(&f.Path), &f.Bytes, &modified, &expected, &digest, &f.SegmentBytes, &f.Tensors, &f.Recorded,
		&f.Segments, &f.Stored, &f.Shared, &f.Saved, &f.Atom, &f.State, &f.Trusted)
	f.Role = ingest.Role(role)
	f.setColumns(modified, expected, digest)
	f.Trusted = f.Trusted && f.Whole
	return f, err
}

// files returns the files of a model in their order.
func (t *Tx) files(model ingest.ModelID) (modelFiles, error) {
	all, err := t.filesBetween(model, model)
	return all[model], err
}

// filesBetween returns the files of the models from first to last, by model.
func (t *Tx) filesBetween(first, last ingest.ModelID) (map[ingest.ModelID]modelFiles, error) {
	all := make(map[ingest.ModelID]modelFiles)
	err := t.Each(func(row Scanner) error {
		f, err := scanFile(row)
		all[f.Model] = append(all[f.Model], f)
		return err
	}, filesOf, first, last)
	return all, err
}

var namesOf = shared("names", `SELECT n.ModelId, n.ModelNameId, {read n.Name}, {read n.SourceUri}, f.ModelFileId,
		{read nf.RelativePath}
	FROM dbo.ModelNames AS n
	LEFT JOIN dbo.ModelNameFiles AS nf ON nf.ModelNameId = n.ModelNameId
	LEFT JOIN dbo.ModelFiles AS f ON f.ModelFileId = nf.ModelFileId
	WHERE n.ModelId >= @p1 AND n.ModelId <= @p2 ORDER BY n.ModelId, n.ModelNameId, f.FileIdx`)

// names returns the names of a model, the first one first.
func (t *Tx) names(model ingest.ModelID) ([]ingest.Name, error) {
	all, err := t.namesBetween(model, model)
	return all[model], err
}

// namesBetween returns the names of the models from first to last, by model.
func (t *Tx) namesBetween(first, last ingest.ModelID) (map[ingest.ModelID][]ingest.Name, error) {
	rows := make(map[ingest.ModelID]*nameRows)
	err := t.Each(func(row Scanner) error {
		var model ingest.ModelID
		var id int64
		var name ingest.Alias
		var file sql.NullInt64
		var path string
		err := row.Scan(&model, &id, readText(&name.Name), readText(&name.URI), &file, readText(&path))
		if err != nil {
			return err
		}
		if rows[model] == nil {
			rows[model] = &nameRows{}
		}
		rows[model].add(id, name, ingest.NamedFile{ID: ingest.FileID(file.Int64), Path: path})
		return nil
	}, namesOf, first, last)
	all := make(map[ingest.ModelID][]ingest.Name, len(rows))
	for model, r := range rows {
		all[model] = r.Names
	}
	return all, err
}
