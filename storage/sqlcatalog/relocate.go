package sqlcatalog

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Relocate implements ingest.Maintenance. It clears the payload in the row.
func (c *Catalog) Relocate(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment,
	address ingest.Address) error {
	if err := checkAddress(s, address); err != nil {
		return err
	}
	return c.writeUnder(ctx, lease, func(t *Tx) error { return t.relocate(s, address) })
}

func (t *Tx) relocate(s ingest.StoredSegment, address ingest.Address) error {
	now, err := t.addressOf(s)
	switch {
	case err != nil:
		return err
	case sameObject(now, s.Address):
	case sameObject(now, address) && now.Encoding == address.Encoding: // by an earlier call
		return nil
	default:
		return aboutSegment(s, "%w", ingest.ErrMoved)
	}
	saved := savings{}
	if err := t.place(s, now, []byte{}, address, saved); err != nil {
		return err
	}
	if now.URI != "" {
		if err := t.relocateShared(s, now.URI, address, saved); err != nil {
			return err
		}
	}
	return t.addSaved(saved)
}

func sameObject(a, b ingest.Address) bool { return a.URI == b.URI && a.Name == b.Name }

// Place sets the payload, which may be empty, and the address of a segment's row.
func (t *Tx) Place(s ingest.StoredSegment, payload []byte, address ingest.Address) error {
	now, err := t.addressOf(s)
	if err != nil {
		return err
	}
	saved := savings{}
	if err := t.place(s, now, payload, address, saved); err != nil {
		return err
	}
	return t.addSaved(saved)
}

// addressOf locks the row of a segment and reads its address.
var addressOf = InRow{
	shared("address-of-tensor",
		`SELECT {addressof tensor s} FROM dbo.LayerTensorSegments AS s {update lock}`+tensorRow),
	shared("address-of-file", `SELECT {addressof file s} FROM dbo.FileSegments AS s {update lock}`+fileRow),
}

func (t *Tx) addressOf(s ingest.StoredSegment) (a ingest.Address, err error) {
	statement, args := addressOf.Of(s)
	there, err := t.found(t.One(statement, args...), &a)
	if err == nil && !there {
		err = noRow(s)
	}
	return a, err
}

var (
	// placePayload compares the address again, for an engine that ignores the lock of addressOf.
	placePayload = sharedOfRow("place-payload", `UPDATE `, ` SET {setaddress 6}, RawPayload = @p7`, ` AND {asread 8}`)
	// dropCopy removes the row's address where the row itself does not have it.
	dropCopy = differsOfRow("drop-copy")
)

// place sets the payload and the address of a segment's row that has the address now, and adds what
// that saves to saved.
func (t *Tx) place(s ingest.StoredSegment, now ingest.Address, payload []byte, address ingest.Address,
	saved savings) error {
	statement, args := dropCopy.Of(s)
	if err := t.Exec(statement, args...); err != nil {
		return err
	}
	statement, args = placePayload.Of(s, address, payload, now)
	changed, err := t.Change(statement, args...)
	if err == nil && changed == 0 {
		err = RaceError(rowName(s) + " changed")
	}
	saved[s.File] += bytesSaved(s.Bytes, address) - bytesSaved(s.Bytes, now)
	return err
}

const sharesPayload = ` SET {setaddress 2}
	WHERE AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p1) AND {aturi 3}`

var (
	// placeShared updates the rows with payload @p1 at URI @p3: a seek in the index on AtomId.
	placeShared = []*Statement{shared("place-shared-tensors", `UPDATE dbo.LayerTensorSegments`+sharesPayload),
		shared("place-shared-files", `UPDATE dbo.FileSegments`+sharesPayload),
		differs("place-shared-copies-tensor"), differs("place-shared-copies-file")}
	// sharingFiles counts these rows, and what they save, by file. It locks them, so that only an
	// INSERT changes their number.
	sharingFiles = shared("sharing-files", `SELECT COALESCE(r.FileId, 0), {count}, COALESCE(SUM(r.Saved), 0) FROM (
			SELECT l.ModelFileId AS FileId, `+savedBy("tensor")+` AS Saved
			FROM dbo.LayerTensorSegments AS s {update lock}
			INNER JOIN dbo.ModelLayers AS l ON l.LayerId = s.LayerId
			WHERE s.AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p1) AND {aturi 2 tensor s}
			UNION ALL SELECT s.ModelFileId, `+savedBy("file")+` FROM dbo.FileSegments AS s {update lock}
			WHERE s.AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p1) AND {aturi 2 file s}
		) AS r GROUP BY COALESCE(r.FileId, 0)`)
)

// relocateShared sets the address of the rows that share the payload of a segment at uri.
func (t *Tx) relocateShared(s ingest.StoredSegment, uri string, address ingest.Address, saved savings) error {
	left := int64(0)
	err := t.Each(func(row Scanner) error {
		var file ingest.FileID
		var rows, before int64
		err := row.Scan(&file, &rows, &before)
		left += rows
		saved[file] += rows*bytesSaved(s.Bytes, address) - before
		return err
	}, sharingFiles, s.Digest[:], uri)
	if err != nil || left == 0 {
		return err
	}
	for _, statement := range placeShared {
		if t.c.text(statement) == "" {
			continue
		}
		changed, err := t.Change(statement, s.Digest[:], address, uri)
		if err != nil {
			return err
		}
		left -= changed
	}
	if left != 0 {
		return RaceError(fmt.Sprintf("rows that share the payload of %s changed", rowName(s)))
	}
	return nil
}
