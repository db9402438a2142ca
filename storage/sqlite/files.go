package sqlite

import (
	"database/sql"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const selectFiles = `SELECT f.ModelFileId, f.ModelId, f.FileIdx, f.Role, f.Format, f.FileName, f.SourcePath, f.ByteSize, f.ModifiedNs,
	f.ClaimedHash, f.ContentHash, f.SegmentBytes, f.TensorCount, f.RecordedBytes, f.SegmentCount, f.BytesStored, f.BytesShared,
	coalesce(f.FileAtomId, 0), coalesce(m.State, 'complete') FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId `

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

func scanFile(row scanner) (storage.ModelFile, error) {
	var f storage.ModelFile
	var claim, digest []byte
	var modified int64
	err := row.Scan(&f.ID, &f.Model, &f.Index, &f.Role, &f.Format, &f.Name, &f.Path, &f.Bytes, &modified, &claim, &digest,
		&f.SegmentBytes, &f.Tensors, &f.Recorded, &f.Segments, &f.Stored, &f.Shared, &f.Atom, &f.State)
	f.SetColumns(modified, claim, digest)
	return f, err
}

// files returns the files of a model in their order.
func (t *tx) files(model ingest.ModelID) (storage.ModelFiles, error) {
	var files storage.ModelFiles
	err := t.each(func(rows *sql.Rows) error {
		f, err := scanFile(rows)
		files = append(files, f)
		return err
	}, selectFiles+`WHERE f.ModelId = ? ORDER BY f.FileIdx`, model)
	return files, err
}

// names returns the names of a model, the first one first.
func (t *tx) names(model ingest.ModelID) ([]ingest.Name, error) {
	var names storage.NameRows
	err := t.each(func(rows *sql.Rows) error {
		var id int64
		var name ingest.Alias
		var f sql.NullInt64
		if err := rows.Scan(&id, &name.Name, &name.URI, &f); err != nil {
			return err
		}
		names.Add(id, name, ingest.FileID(f.Int64))
		return nil
	}, `SELECT n.ModelNameId, n.Name, n.SourceUri, f.ModelFileId FROM ModelNames n
		LEFT JOIN ModelNameFiles nf ON nf.ModelNameId = n.ModelNameId
		LEFT JOIN ModelFiles f ON f.ModelFileId = nf.ModelFileId
		WHERE n.ModelId = ? ORDER BY n.ModelNameId, f.FileIdx`, model)
	return names.Names, err
}
