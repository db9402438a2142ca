package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// The statements of Record. Each runs once for a segment, so it sets as few columns as possible.
const (
	insertAtom = `INSERT OR IGNORE INTO Atoms (ContentHash, Modality, SourceType, ReferenceCount, ByteSize, CreatedAt)
		VALUES (?, 'model', 'ingest_segment', 1, ?, ?)`
	selectAtom = `SELECT AtomId, ReferenceCount, ByteSize FROM Atoms WHERE ContentHash = ?`
	// insertSmall replaces a payload that is damaged.
	insertSmall = `INSERT INTO SmallPayloads (PayloadAtomId, Payload) VALUES (?, ?) ON CONFLICT DO UPDATE
		SET Payload = excluded.Payload WHERE Payload IS NOT excluded.Payload`
	countAtom = `UPDATE Atoms SET ReferenceCount = ReferenceCount + 1 WHERE AtomId = ?`

	selectTensorSegment = `SELECT a.ContentHash FROM LayerTensorSegments s LEFT JOIN Atoms a ON a.AtomId = s.AtomId
		WHERE s.LayerId = ? AND s.SegmentOrdinal = ?`
	insertTensorSegment = `INSERT INTO LayerTensorSegments
		(LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, ByteOffset, ByteSize, AtomId,
		BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash, CreatedAt,
		RawPayload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ifnull(?, x''))`

	selectFileSegment = `SELECT a.ContentHash FROM FileSegments s LEFT JOIN Atoms a ON a.AtomId = s.AtomId
		WHERE s.ModelFileId = ? AND s.SegmentOrdinal = ?`
	insertFileSegment = `INSERT INTO FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
		BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash, CreatedAt,
		RawPayload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ifnull(?, x''))`
)

// segmentWriter writes the rows of a batch.
type segmentWriter struct {
	insertAtom, selectAtom, countAtom        *statement
	insertSmall                              *statement
	selectTensorSegment, insertTensorSegment *statement
	selectFileSegment, insertFileSegment     *statement
	file                                     ingest.FileID
	inRows                                   bool
	// CreatedAt: computing the default for each row costs a seventh of the whole
	now   driver.Value
	added sqlcatalog.Added
}

// Record implements sqlcatalog.Rows. It inserts the rows one by one.
func (d *dialect) Record(ctx context.Context, r *sqlcatalog.Recording) error {
	return d.Write(ctx, false, func(t *sqlcatalog.Tx) error {
		if r.Batch.InRows { // keeps the small cache from here on: payload pages are written once, and not read again
			if err := execute(t, payloadCache); err != nil {
				return err
			}
		}
		known, err := r.Look(t)
		if err != nil {
			return err
		}
		added, err := writeSegments(t, r, known)
		if err != nil {
			return err
		}
		return r.Note(t, added)
	})
}

// RecordIn implements sqlcatalog.Rows.
func (d *dialect) RecordIn(t *sqlcatalog.Tx, r *sqlcatalog.Recording) (sqlcatalog.Added, error) {
	return writeSegments(t, r, 0)
}

// writeSegments inserts the segments of a batch that have no row. It looks for rows only of those
// that begin before byte recorded.
func writeSegments(t *sqlcatalog.Tx, r *sqlcatalog.Recording, recorded int64) (sqlcatalog.Added, error) {
	var now string
	if err := one(t, `SELECT `+nowText).Scan(&now); err != nil {
		return sqlcatalog.Added{}, err
	}
	w := &segmentWriter{file: r.Batch.File, inRows: r.Batch.InRows, now: now}
	err := inBulk(t, func(b *bulk) error {
		if err := w.prepare(b); err != nil {
			return err
		}
		for i := range r.Batch.Segments {
			s := &r.Batch.Segments[i]
			err := t.Err()
			if err == nil {
				err = w.write(s, s.Offset < recorded)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", r.Name(s), err)
			}
		}
		return nil
	})
	return w.added, err
}

func (w *segmentWriter) prepare(b *bulk) error {
	for _, p := range []struct {
		at    **statement
		query string
	}{
		{&w.insertAtom, insertAtom}, {&w.selectAtom, selectAtom}, {&w.countAtom, countAtom},
		{&w.insertSmall, insertSmall},
		{&w.selectTensorSegment, selectTensorSegment}, {&w.insertTensorSegment, insertTensorSegment},
		{&w.selectFileSegment, selectFileSegment}, {&w.insertFileSegment, insertFileSegment},
	} {
		var err error
		if *p.at, err = b.prepare(p.query); err != nil {
			return err
		}
	}
	return nil
}

// write inserts the rows of a segment. If it was recorded and another program deleted its row, the
// row is inserted again but not counted again.
func (w *segmentWriter) write(s *ingest.NewSegment, recorded bool) error {
	if recorded {
		there, err := w.exists(s)
		if err != nil || there {
			return err
		}
	}
	atom, shared, err := w.atom(s)
	if err != nil {
		return err
	}
	if err := w.insert(s, atom); err != nil {
		return err
	}
	if !w.inRows && s.Payload != nil {
		if _, _, err := w.insertSmall.exec(atom, s.Payload); err != nil {
			return err
		}
	}
	w.added.Rows++
	if recorded {
		return nil
	}
	w.added.Segments++
	if shared {
		w.added.Shared += s.Bytes
	} else {
		w.added.Stored += s.Bytes
	}
	return nil
}

// exists reports whether the segment has a row. It returns an error if that has other content.
func (w *segmentWriter) exists(s *ingest.NewSegment) (bool, error) {
	var row []driver.Value
	var err error
	if s.Layer == 0 {
		row, err = w.selectFileSegment.first(int64(w.file), int64(s.Ordinal))
	} else {
		row, err = w.selectTensorSegment.first(int64(s.Layer), int64(s.Ordinal))
	}
	if err != nil || row == nil {
		return false, err
	}
	if digest, _ := row[0].([]byte); !bytes.Equal(digest, s.Digest[:]) {
		return false, sqlcatalog.ErrOtherContent
	}
	return true, nil
}

// atom finds or adds the segment's atom and counts the reference. shared reports whether another
// row refers to the atom. If not, a removed model left it.
func (w *segmentWriter) atom(s *ingest.NewSegment) (id int64, shared bool, err error) {
	inserted, id, err := w.insertAtom.exec(s.Digest[:], s.Bytes, w.now)
	if err != nil || inserted == 1 {
		return id, false, err
	}
	row, err := w.selectAtom.first(s.Digest[:])
	if err != nil {
		return 0, false, err
	}
	if row == nil { // OR IGNORE ignores any constraint
		return 0, false, fmt.Errorf("cannot add an atom with digest %s", s.Digest)
	}
	id, shared = row[0].(int64), row[1].(int64) > 0
	if _, _, err = w.countAtom.exec(id); err != nil {
		return 0, false, err
	}
	return id, shared, nil
}

func (w *segmentWriter) insert(s *ingest.NewSegment, atom int64) error {
	var payload driver.Value
	if w.inRows {
		payload = s.Payload
	}
	a := addressColumns(s.Address)
	var err error
	if s.Layer == 0 {
		_, _, err = w.insertFileSegment.exec(int64(w.file), int64(s.Ordinal), s.Offset, s.Bytes, atom,
			a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], w.now, payload)
	} else {
		_, _, err = w.insertTensorSegment.exec(int64(s.Layer), int64(s.Ordinal), s.First, s.Count, s.Type,
			s.Offset, s.Bytes, atom, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], w.now, payload)
	}
	return err
}

// addressColumns are the values of sqlcatalog.AddressNames.
func addressColumns(a ingest.Address) [8]driver.Value {
	text := func(s string) driver.Value {
		if s == "" {
			return nil
		}
		return s
	}
	columns := [8]driver.Value{text(a.URI), text(a.Container), text(a.Name), text(a.ETag), a.Bytes, nil, text(a.Codec)}
	if !a.Modified.IsZero() {
		columns[5] = a.Modified.UTC().Format(time.RFC3339Nano)
	}
	if a.Codec != "" {
		columns[7] = a.Stored[:]
	}
	return columns
}
