package sqlserver

import (
	"database/sql"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const fileColumns = `f.ModelFileId, f.ModelId, f.FileIdx, f.Role, f.RoleExact, f.Format, f.FormatExact, f.FileName, f.FileNameExact,
	f.SourcePath, f.SourcePathExact, f.ByteSize, f.ModifiedNs, f.ClaimedHash, f.ContentHash, f.SegmentBytes, f.TensorCount, f.RecordedBytes,
	f.SegmentCount, f.BytesStored, f.BytesShared, COALESCE(f.FileAtomId, 0), COALESCE(m.State, N'complete')
	FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId `

func scanFile(row scanner) (storage.ModelFile, error) {
	var f storage.ModelFile
	var role, format, name, path exact
	var claim, digest []byte
	var modified int64
	err := row.Scan(&f.ID, &f.Model, &f.Index, &role.text, &role.bytes, &format.text, &format.bytes, &name.text, &name.bytes,
		&path.text, &path.bytes, &f.Bytes, &modified, &claim, &digest, &f.SegmentBytes, &f.Tensors, &f.Recorded,
		&f.Segments, &f.Stored, &f.Shared, &f.Atom, &f.State)
	f.Role, f.Format, f.Name, f.Path = ingest.Role(role.String()), format.String(), name.String(), path.String()
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
	}, `/* ingest: files */ SELECT `+fileColumns+`WHERE f.ModelId = @p1 ORDER BY f.FileIdx`, model)
	return files, err
}

// names returns the names of a model, the first one first.
func (t *tx) names(model ingest.ModelID) ([]ingest.Name, error) {
	var names storage.NameRows
	err := t.each(func(rows *sql.Rows) error {
		var id int64
		var name, uri exact
		var f sql.NullInt64
		if err := rows.Scan(&id, &name.text, &name.bytes, &uri.text, &uri.bytes, &f); err != nil {
			return err
		}
		names.Add(id, ingest.Alias{Name: name.String(), URI: uri.String()}, ingest.FileID(f.Int64))
		return nil
	}, `/* ingest: names */ SELECT n.ModelNameId, n.Name, n.NameExact, n.SourceUri, n.SourceUriExact, f.ModelFileId FROM dbo.ModelNames AS n
		LEFT JOIN dbo.ModelNameFiles AS nf ON nf.ModelNameId = n.ModelNameId
		LEFT JOIN dbo.ModelFiles AS f ON f.ModelFileId = nf.ModelFileId
		WHERE n.ModelId = @p1 ORDER BY n.ModelNameId, f.FileIdx`, model)
	return names.Names, err
}
