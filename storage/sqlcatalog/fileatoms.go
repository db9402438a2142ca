package sqlcatalog

import (
	"context"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// A page of file atoms has fewer rows than others, and maxMetadata limits the bytes of each row:
// other programs write Metadata.
const (
	atomRows    = 100
	maxMetadata = `65536`
)

// fileAtomColumns are the columns of an ingest.FileAtom. A registered file has no segments, so its
// RecordedBytes are not its ByteSize.
const fileAtomColumns = ` a.AtomId, a.ContentHash, a.Modality, COALESCE(a.Subtype, ''), COALESCE(a.SourceType, ''),
	{read a.SourceUri}, {readjsononly a.Metadata ` + maxMetadata + `}, {jsonbytes a.Metadata},
	{read a.PayloadLocator}, {haspayload a}, {payloadbytes a}, COALESCE(a.ByteSize, 0), {addressonly a},
	CASE WHEN EXISTS (SELECT 1 FROM dbo.ModelFiles AS f
		INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId WHERE f.FileAtomId = a.AtomId
		AND f.RecordedBytes = f.ByteSize AND ` + isComplete + `) THEN 1 ELSE 0 END,
	{time a.CreatedAt} FROM dbo.Atoms AS a `

var (
	// fileAtomPage scans the table in key order, because no index selects file atoms.
	fileAtomPage = shared("file-atoms", `SELECT {top @p2}`+fileAtomColumns+`WHERE a.AtomId > @p1
		AND ({notnull a.PayloadLocator} OR a.BlobUri IS NOT NULL OR {haspayload a} = 1) ORDER BY a.AtomId {limit @p2}`)
	fileAtom           = shared("file-atom", `SELECT`+fileAtomColumns+`WHERE a.AtomId = @p1`)
	fileAtomWithDigest = shared("file-atom-with-digest", `SELECT`+fileAtomColumns+`WHERE a.ContentHash = @p1`)
)

func scanFileAtom(row Scanner) (a ingest.FileAtom, err error) {
	var digest, metadata []byte
	var payload, bytes, size int64
	err = row.Scan(&a.ID, &digest, &a.Modality, &a.Subtype, &a.SourceType, readText(&a.SourceURI), readJSON(&metadata),
		&size, readText(&a.Locator), &a.InRow, &payload, &bytes, &a.Address, &a.InSegments, &a.Created)
	if len(metadata) > 0 {
		a.Metadata = metadata
	}
	a.LargeMetadata = size > 0 && len(metadata) == 0
	copy(a.Digest[:], digest)
	switch {
	case a.InRow:
		a.Bytes = payload
	case a.Address.Bytes > 0:
		a.Bytes = a.Address.Bytes
	default:
		a.Bytes = bytes
	}
	return a, err
}

// FileAtoms implements ingest.Atoms.
func (c *Catalog) FileAtoms(ctx context.Context) iter.Seq2[ingest.FileAtom, error] {
	return paged(func(last ingest.FileAtom) (page []ingest.FileAtom, err error) {
		err = c.readLong(ctx, func(t *Tx) error {
			page = page[:0]
			return t.Each(func(row Scanner) error {
				a, err := scanFileAtom(row)
				page = append(page, a)
				return err
			}, fileAtomPage, last.ID, atomRows)
		})
		return page, err
	})
}

// FileAtom implements ingest.Atoms.
func (c *Catalog) FileAtom(ctx context.Context, id int64) (ingest.FileAtom, error) {
	return c.oneFileAtom(ctx, fmt.Sprintf("atom %d", id), fileAtom, id)
}

// FileAtomWithDigest implements ingest.Atoms.
func (c *Catalog) FileAtomWithDigest(ctx context.Context, digest ingest.Digest) (ingest.FileAtom, error) {
	return c.oneFileAtom(ctx, "atom of "+digest.String(), fileAtomWithDigest, digest[:])
}

func (c *Catalog) oneFileAtom(ctx context.Context, what string, s *Statement, arg any) (a ingest.FileAtom, err error) {
	err = c.read(ctx, func(t *Tx) error {
		a, err = scanFileAtom(t.One(s, arg))
		if noRows(err) {
			err = fmt.Errorf("%s: %w", what, ingest.ErrNotFound)
		}
		return err
	})
	return a, err
}

// ReadAtom implements ingest.Atoms.
func (c *Catalog) ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) error {
	bytes, err := c.dialect.ReadAtom(ctx, atom, offset, into)
	where := fmt.Sprintf("payload of atom %d", atom.ID)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", where, err)
	case bytes == NoRow:
		return fmt.Errorf("atom %d with SHA-256 %s: %w", atom.ID, atom.Digest, ingest.ErrNotFound)
	case bytes == NoPayload:
		return fmt.Errorf("atom %d: %w", atom.ID, ingest.ErrNoPayload)
	case bytes < offset+int64(len(into)):
		return &ingest.SizeError{Where: where, Want: offset + int64(len(into)), Got: bytes}
	}
	return nil
}

// MaxAtomPayload implements ingest.Atoms.
func (c *Catalog) MaxAtomPayload() (bytes int64, streamed bool) { return c.dialect.MaxAtomPayload() }
