package sqlcatalog

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

var (
	// lockFileAtom reads a row, and keeps it as it is until the commit. Where an engine has no such lock, the hash, the
	// payload and the address in the conditions of the statements below refuse a row that changed since.
	lockFileAtom = shared("lock-file-atom", `SELECT`+fileAtomColumns+`{update lock} WHERE a.AtomId = @p1`)
	touchAtom    = shared("touch-atom", `UPDATE dbo.Atoms SET ContentHash = @p3, UpdatedAt = {now}
		WHERE AtomId = @p1 AND ContentHash = @p2 AND COALESCE(BlobUri, '') = @p4`)
	addressAtom = shared("address-atom",
		`UPDATE dbo.Atoms SET {setaddressonly 3} WHERE AtomId = @p1 AND ContentHash = @p2 AND BlobUri IS NULL`)
	fillAtom = shared("fill-atom",
		`UPDATE dbo.Atoms SET Payload = @p3 WHERE AtomId = @p1 AND ContentHash = @p2 AND Payload IS NULL`)
	hashAtom     = shared("hash-atom", `SELECT {bytes Payload}, {sha256 Payload} FROM dbo.Atoms WHERE AtomId = @p1`)
	clearLocator = shared("clear-locator", `UPDATE dbo.Atoms SET {set PayloadLocator 4}, UpdatedAt = {now}
		WHERE AtomId = @p1 AND ContentHash = @p2 AND COALESCE(BlobUri, '') = @p3`)
	clearLocatorOfRow = shared("clear-locator-of-row", clearLocator.text+` AND {sha256 Payload} = ContentHash`)
)

// PlaceAtom implements ingest.Atoms. A payload is hashed by the server, before the commit, where the row has it.
func (c *Catalog) PlaceAtom(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	place ingest.AtomPlace) (placed ingest.FileAtom, changed bool, err error) {
	payload, err := c.atomPayload(atom, place)
	if err != nil {
		return placed, false, err
	}
	write := c.writeUnder
	if place.Payload != nil {
		write = c.writeLong // the server is silent while it hashes
	}
	err = write(ctx, lease, func(t *Tx) error {
		placed, changed, err = t.placeAtom(atom, place, payload)
		return err
	})
	return placed, changed && err == nil, err
}

// atomPayload reads the payload for a row, and makes sure that it is the right one.
func (c *Catalog) atomPayload(atom ingest.FileAtom, place ingest.AtomPlace) ([]byte, error) {
	switch most := c.MaxAtomPayload(); {
	case place.Payload != nil && atom.InRow, place.Address.URI != "" && atom.Address.URI != "":
		return nil, fmt.Errorf("atom %d has its payload already, and it is not replaced", atom.ID)
	case place.Payload == nil:
		return nil, nil
	case most == 0:
		return nil, fmt.Errorf("atom %d: the table Atoms has no column Payload", atom.ID)
	case place.Bytes > most:
		return nil, fmt.Errorf("atom %d: a row takes at most %d bytes, and the payload has %d", atom.ID, most,
			place.Bytes)
	}
	payload := make([]byte, place.Bytes)
	if n, err := place.Payload.ReadAt(payload, 0); int64(n) < place.Bytes {
		return nil, fmt.Errorf("atom %d: read the payload at byte %d of %d: %w", atom.ID, n, place.Bytes, err)
	}
	if got := ingest.Sum(payload); got != place.Digest {
		return nil, &ingest.MismatchError{Want: place.Digest, Got: got}
	}
	return payload, nil
}

func (t *Tx) placeAtom(atom ingest.FileAtom, place ingest.AtomPlace, payload []byte) (ingest.FileAtom, bool, error) {
	now, twin, err := t.lockFileAtoms(atom.ID, place.Digest)
	if err != nil {
		return ingest.FileAtom{}, false, err
	}
	switch {
	case now == nil && twin != nil && (isAt(*twin, place) || hasCopy(*twin)): // an attempt made them one
		return *twin, true, nil
	case now == nil:
		return ingest.FileAtom{}, false, nil
	case now.Digest == place.Digest && now.Locator == atom.Locator && isAt(*now, place): // it placed the atom
		return *now, true, nil
	case !sameFileAtom(*now, atom):
		return *now, false, nil
	case twin != nil:
		now, err = t.mergeAtoms(*now, *twin)
		if err != nil {
			return ingest.FileAtom{}, false, err
		}
	}
	placed, err := t.setPlace(*now, place, payload)
	return placed, err == nil, err
}

// lockFileAtoms locks an atom and the other one with digest, in the order of their numbers. Each is nil if it is not
// there.
func (t *Tx) lockFileAtoms(id int64, digest ingest.Digest) (now, twin *ingest.FileAtom, err error) {
	ids := []int64{id}
	other, err := scanFileAtom(t.One(fileAtomWithDigest, digest[:]))
	switch {
	case err != nil && !noRows(err):
		return nil, nil, err
	case err == nil && other.ID != id:
		ids = append(ids, other.ID)
	}
	slices.Sort(ids)
	for _, one := range ids {
		a, err := scanFileAtom(t.One(lockFileAtom, one))
		switch {
		case err != nil && !noRows(err):
			return nil, nil, err
		case one == id && err == nil:
			now = &a
		case one != id && (err != nil || a.Digest != digest):
			return nil, nil, RaceError(fmt.Sprintf("atom %d changed", one))
		case one != id:
			twin = &a
		}
	}
	return now, twin, nil
}

// sameFileAtom reports whether a row is still as it was read.
func sameFileAtom(now, was ingest.FileAtom) bool {
	return now.Digest == was.Digest && now.Locator == was.Locator && now.InRow == was.InRow &&
		(!now.InRow || now.Bytes == was.Bytes) && now.Address.URI == was.Address.URI
}

// hasCopy reports whether the row or a store has the bytes, by the row.
func hasCopy(a ingest.FileAtom) bool { return a.InRow || a.Address.URI != "" }

// isAt reports whether the bytes of the atom are where place says.
func isAt(a ingest.FileAtom, place ingest.AtomPlace) bool {
	return (place.Payload == nil || a.InRow && a.Bytes == place.Bytes) &&
		(place.Address.URI == "" || a.Address.URI == place.Address.URI)
}

// setPlace changes one row. What an atom that became one with another has already stays.
func (t *Tx) setPlace(now ingest.FileAtom, place ingest.AtomPlace, payload []byte) (ingest.FileAtom, error) {
	address := now.Address
	if address.URI == "" {
		address = place.Address
	}
	fill := place.Payload != nil && !hasCopy(now)
	changed, err := t.Change(touchAtom, now.ID, now.Digest[:], place.Digest[:], now.Address.URI)
	if err == nil && changed > 0 && address.URI != now.Address.URI {
		changed, err = t.Change(addressAtom, now.ID, place.Digest[:], address)
	}
	if err == nil && changed > 0 && fill {
		changed, err = t.Change(fillAtom, now.ID, place.Digest[:], payload)
	}
	if err == nil && changed == 0 {
		err = RaceError(fmt.Sprintf("atom %d changed", now.ID))
	}
	if err != nil {
		return ingest.FileAtom{}, err
	}
	if fill {
		if err := t.checkAtom(now.ID, place); err != nil {
			return ingest.FileAtom{}, err
		}
	}
	placed, err := scanFileAtom(t.One(fileAtom, now.ID))
	if got := placed.Address; err == nil && (got.URI != address.URI || got.Container != address.Container ||
		got.Name != address.Name || got.ETag != address.ETag) {
		err = fmt.Errorf("atom %d: its columns do not hold all of the address %s", now.ID,
			ingest.Printable(address.URI))
	}
	return placed, err
}

// checkAtom makes sure that the payload of a row is what was sent.
func (t *Tx) checkAtom(id int64, place ingest.AtomPlace) error {
	var bytes int64
	var sum []byte
	if err := t.One(hashAtom, id).Scan(&bytes, &sum); err != nil {
		return err
	}
	var got ingest.Digest
	copy(got[:], sum)
	if bytes != place.Bytes || got != place.Digest {
		return fmt.Errorf("atom %d: the server has %d bytes with SHA-256 %s, and was sent %d with %s", id, bytes, got,
			place.Bytes, place.Digest)
	}
	return nil
}

// ClearLocator implements ingest.Atoms.
func (c *Catalog) ClearLocator(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom) (cleared bool,
	err error) {
	write := c.writeUnder
	if atom.InRow {
		write = c.writeLong // the server is silent while it hashes
	}
	err = write(ctx, lease, func(t *Tx) error {
		cleared, err = t.clearLocator(atom)
		return err
	})
	return cleared && err == nil, err
}

func (t *Tx) clearLocator(atom ingest.FileAtom) (bool, error) {
	now, err := scanFileAtom(t.One(lockFileAtom, atom.ID))
	if noRows(err) {
		return false, nil
	}
	if err != nil || !hasCopy(now) {
		return false, err
	}
	empty := now.Locator == ""
	if empty {
		now.Locator = atom.Locator // an attempt whose answer was lost cleared it, if the rest is the same
	}
	if !sameFileAtom(now, atom) || empty {
		return sameFileAtom(now, atom), nil
	}
	statement := clearLocator
	if now.InRow && now.Bytes <= math.MaxInt32 { // T-SQL hashes no more
		statement = clearLocatorOfRow
	}
	n, err := t.Change(statement, now.ID, now.Digest[:], now.Address.URI,
		Text{Column: "Atoms.PayloadLocator", Null: true})
	return n > 0, err
}
