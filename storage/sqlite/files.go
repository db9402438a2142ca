package sqlite

import (
	"database/sql"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

const selectFiles = `SELECT f.ModelFileId, f.ModelId, f.FileIdx, f.Role, f.Format, f.FileName, f.SourcePath, f.ByteSize, f.ModifiedNs,
	f.ClaimedHash, f.ContentHash, f.SegmentBytes, f.TensorCount, f.RecordedBytes, f.SegmentCount, f.BytesStored, f.BytesShared,
	coalesce(f.FileAtomId, 0), coalesce(m.State, 'complete') FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId `

// file is a row of ModelFiles.
type file struct {
	ingest.StoredFile
	segments, stored, shared int64
	atom                     int64 // 0 until the model is complete
	state                    ingest.ModelState
}

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

func scanFile(row scanner) (file, error) {
	var f file
	var claim, digest []byte
	var modified int64
	err := row.Scan(&f.ID, &f.Model, &f.Index, &f.Role, &f.Format, &f.Name, &f.Path, &f.Bytes, &modified, &claim, &digest,
		&f.SegmentBytes, &f.Tensors, &f.Recorded, &f.segments, &f.stored, &f.shared, &f.atom, &f.state)
	f.Modified = time.Unix(0, modified).UTC()
	copy(f.Claim[:], claim)
	if f.state == ingest.ModelComplete || f.Recorded == f.Bytes {
		copy(f.Digest[:], digest)
	}
	return f, err
}

// files returns the files of a model in their order.
func (t *tx) files(model ingest.ModelID) ([]file, error) {
	var files []file
	err := t.each(func(rows *sql.Rows) error {
		f, err := scanFile(rows)
		files = append(files, f)
		return err
	}, selectFiles+`WHERE f.ModelId = ? ORDER BY f.FileIdx`, model)
	return files, err
}

// stored are the files as the library knows them.
func stored(files []file) []ingest.StoredFile {
	list := make([]ingest.StoredFile, len(files))
	for i := range files {
		list[i] = files[i].StoredFile
	}
	return list
}

// names returns the names of a model, the first one first.
func (t *tx) names(model ingest.ModelID) ([]ingest.Name, error) {
	var names []ingest.Name
	var last int64
	err := t.each(func(rows *sql.Rows) error {
		var id int64
		var name ingest.Naming
		var f sql.NullInt64
		if err := rows.Scan(&id, &name.Name, &name.URI, &f); err != nil {
			return err
		}
		if id != last {
			names, last = append(names, ingest.Name{Naming: name}), id
		}
		if f.Valid {
			n := &names[len(names)-1]
			n.Files = append(n.Files, ingest.FileID(f.Int64))
		}
		return nil
	}, `SELECT n.ModelNameId, n.Name, n.SourceUri, f.ModelFileId FROM ModelNames n
		LEFT JOIN ModelNameFiles nf ON nf.ModelNameId = n.ModelNameId
		LEFT JOIN ModelFiles f ON f.ModelFileId = nf.ModelFileId
		WHERE n.ModelId = ? ORDER BY n.ModelNameId, f.FileIdx`, model)
	return names, err
}
