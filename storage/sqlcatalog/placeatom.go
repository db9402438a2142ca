package sqlcatalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

var (
	// lockFileAtom reads a row and locks it until the commit. For an engine without such locks, the
	// conditions of the statements below skip a row whose hash, path, payload or address has changed.
	lockFileAtom = shared("lock-file-atom", `SELECT`+fileAtomColumns+`{update lock} WHERE a.AtomId = @p1`)
	touchAtom    = shared("touch-atom", `UPDATE dbo.Atoms SET ContentHash = @p3, UpdatedAt = {now}
		WHERE AtomId = @p1 AND ContentHash = @p2 AND {ataddress 4} AND {equal PayloadLocator 5}`)
	addressAtom = shared("address-atom",
		`UPDATE dbo.Atoms SET {setaddressonly 3} WHERE AtomId = @p1 AND ContentHash = @p2 AND BlobUri IS NULL`)
	fillAtom = shared("fill-atom",
		`UPDATE dbo.Atoms SET Payload = @p3 WHERE AtomId = @p1 AND ContentHash = @p2 AND Payload IS NULL`)
	sizeAtom = shared("size-atom", `SELECT {bytes Payload} FROM dbo.Atoms WHERE AtomId = @p1`)
	hashAtom = shared("hash-atom", `SELECT {bytes Payload}, {sha256 Payload} FROM dbo.Atoms WHERE AtomId = @p1`)
)

// PlaceAtom implements ingest.Atoms. The server hashes a payload in its row before the commit.
func (c *Catalog) PlaceAtom(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	place ingest.AtomPlace) (placed ingest.FileAtom, changed bool, err error) {
	if err := c.checkPlace(atom, place); err != nil {
		return placed, false, err
	}
	p := &placing{AtomPlace: place, atom: atom}
	if place.Payload != nil {
		if done, err := c.fillFile(ctx, lease, p); done || err != nil {
			return p.placed, p.changed && err == nil, err
		}
		if err := p.read(); err != nil {
			return placed, false, err
		}
	}
	write := c.writeUnder
	if place.Payload != nil {
		write = c.writeLong // the server is silent while it hashes
	}
	err = write(ctx, lease, func(t *Tx) error {
		if err := p.begin(t); err != nil {
			return err
		}
		return p.finish(t)
	})
	return p.placed, p.changed && err == nil, err
}

// placing is one call of PlaceAtom.
type placing struct {
	ingest.AtomPlace
	atom    ingest.FileAtom // as the caller read it
	payload []byte          // for a parameter
	// Set by the last attempt:
	placed  ingest.FileAtom
	changed bool
	set     bool // it changed the row
	fill    bool // it also filled the row's payload
	address ingest.Address
}

// checkPlace refuses a payload that the row cannot take, before it is read.
func (c *Catalog) checkPlace(atom ingest.FileAtom, place ingest.AtomPlace) error {
	switch most, _ := c.MaxAtomPayload(); {
	case place.Payload != nil && atom.InRow, place.Address.URI != "" && atom.Address.URI != "":
		return fmt.Errorf("atom %d already has its payload", atom.ID)
	case place.Payload == nil:
	case most == 0:
		return fmt.Errorf("atom %d: the table Atoms has no column Payload", atom.ID)
	case place.Bytes > most:
		return fmt.Errorf("atom %d: a row takes at most %d bytes, and the payload has %d", atom.ID, most, place.Bytes)
	}
	return nil
}

// read reads the payload and checks its digest.
func (p *placing) read() error {
	p.payload = make([]byte, p.Bytes)
	if n, err := p.Payload.ReadAt(p.payload, 0); int64(n) < p.Bytes {
		return fmt.Errorf("atom %d: read the payload at byte %d of %d: %w", p.atom.ID, n, p.Bytes, err)
	}
	if got := ingest.Sum(p.payload); got != p.Digest {
		return &ingest.MismatchError{Want: p.Digest, Got: got}
	}
	return nil
}

// fillFile is PlaceAtom for an engine that writes payloads as files. It hashes the payload while
// writing.
func (c *Catalog) fillFile(ctx context.Context, lease ingest.Lease, p *placing) (bool, error) {
	whole := sha256.New()
	p.payload = []byte{}
	return c.dialect.FillFile(ctx, FileFill{
		Begin: func(t *Tx) (int64, error) {
			if err := t.Hold(lease); err != nil {
				return 0, err
			}
			err := p.begin(t)
			if err != nil || !p.fill {
				return 0, err
			}
			return p.placed.ID, nil
		},
		Payload: func() io.Reader {
			whole.Reset()
			return io.TeeReader(io.NewSectionReader(p.Payload, 0, p.Bytes), whole)
		},
		Finish: func(t *Tx) error {
			if got := ingest.Digest(whole.Sum(nil)); p.fill && got != p.Digest {
				return &ingest.MismatchError{Want: p.Digest, Got: got}
			}
			if err := p.finish(t); err != nil {
				return err
			}
			return t.Fence(lease)
		},
	})
}

// begin changes the row, except for a payload that is written as a file.
func (p *placing) begin(t *Tx) error {
	p.placed, p.changed, p.set, p.fill = ingest.FileAtom{}, false, false, false
	now, other, err := t.lockFileAtoms(p.atom.ID, p.Digest)
	if err != nil {
		return err
	}
	switch {
	case now == nil && other != nil && (isAt(*other, p.AtomPlace) || other.HasCopy()): // an earlier attempt merged them
		return p.did(t, *other)
	case now == nil:
		return nil
	case now.Digest == p.Digest && now.Locator == p.atom.Locator && isAt(*now, p.AtomPlace): // so did one
		return p.did(t, *now)
	case !sameFileAtom(*now, p.atom):
		p.placed = *now
		return nil
	case other != nil:
		if now, err = t.mergeAtoms(*now, *other); err != nil {
			return err
		}
	}
	return p.change(t, *now)
}

// did sets the result if an earlier attempt wrote the row. The payload in it may be another
// program's.
func (p *placing) did(t *Tx, now ingest.FileAtom) (err error) {
	var wrong error
	if p.Payload != nil && now.InRow {
		wrong, err = t.checkAtom(now.ID, p.AtomPlace)
	}
	p.placed, p.changed = now, wrong == nil
	return err
}

// lockFileAtoms locks an atom, and another one with digest, in the order of their IDs. It returns
// nil for an atom that does not exist.
func (t *Tx) lockFileAtoms(id int64, digest ingest.Digest) (now, other *ingest.FileAtom, err error) {
	ids := []int64{id}
	found, err := scanFileAtom(t.One(fileAtomWithDigest, digest[:]))
	switch {
	case err != nil && !noRows(err):
		return nil, nil, err
	case err == nil && found.ID != id:
		ids = append(ids, found.ID)
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
			other = &a
		}
	}
	return now, other, nil
}

// sameFileAtom reports whether a row is still as it was read.
func sameFileAtom(now, was ingest.FileAtom) bool {
	return now.Digest == was.Digest && now.Locator == was.Locator && now.InRow == was.InRow &&
		(!now.InRow || now.Bytes == was.Bytes) && now.Address.URI == was.Address.URI &&
		now.Address.Name == was.Address.Name &&
		now.Address.ETag == was.Address.ETag // another ETag: the blob was written again since it was read
}

// locatorText is the argument for PayloadLocator.
func locatorText(a ingest.FileAtom) Text {
	return Text{Column: "Atoms.PayloadLocator", Value: a.Locator, Null: true, Whole: true}
}

// isAt reports whether the bytes of the atom are where place says.
func isAt(a ingest.FileAtom, place ingest.AtomPlace) bool {
	return (place.Payload == nil || a.InRow && a.Bytes == place.Bytes) &&
		(place.Address.URI == "" || a.Address.URI == place.Address.URI)
}

// change changes one row. It keeps the payload or address of a merged atom.
func (p *placing) change(t *Tx, now ingest.FileAtom) error {
	p.fill = p.Payload != nil && !now.HasCopy()
	if p.address = now.Address; p.address.URI == "" {
		p.address = p.Address
	}
	changed, err := t.Change(touchAtom, now.ID, now.Digest[:], p.Digest[:], now.Address, locatorText(now))
	if err == nil && changed > 0 && p.address.URI != now.Address.URI {
		changed, err = t.Change(addressAtom, now.ID, p.Digest[:], p.address)
	}
	if err == nil && changed > 0 && p.fill {
		changed, err = t.Change(fillAtom, now.ID, p.Digest[:], p.payload)
	}
	if err == nil && changed == 0 {
		err = RaceError(fmt.Sprintf("atom %d changed", now.ID))
	}
	p.placed, p.changed, p.set = now, true, true
	return err
}

// finish reads the row and checks it.
func (p *placing) finish(t *Tx) error {
	if !p.set {
		return nil
	}
	if p.fill {
		if wrong, err := t.checkAtom(p.placed.ID, p.AtomPlace); err != nil || wrong != nil {
			return cmp.Or(err, wrong)
		}
	}
	placed, err := scanFileAtom(t.One(fileAtom, p.placed.ID))
	if got := placed.Address; err == nil && (got.URI != p.address.URI || got.Container != p.address.Container ||
		got.Name != p.address.Name || got.ETag != p.address.ETag) {
		err = fmt.Errorf("atom %d: its columns are too short for the address %s", p.placed.ID,
			ingest.Printable(p.address.URI))
	}
	p.placed = placed
	return err
}

// checkAtom checks that the payload of a row has the digest; wrong says how it differs. T-SQL hashes
// at most 2 GB; checkAtom compares only the size of a larger payload.
func (t *Tx) checkAtom(id int64, place ingest.AtomPlace) (wrong, err error) {
	var bytes int64
	if place.Bytes > math.MaxInt32 {
		err := t.One(sizeAtom, id).Scan(&bytes)
		if err == nil && bytes != place.Bytes {
			wrong = fmt.Errorf("atom %d: %d bytes were sent, and the server has %d", id, place.Bytes, bytes)
		}
		return wrong, err
	}
	var sum []byte
	if err := t.One(hashAtom, id).Scan(&bytes, &sum); err != nil {
		return nil, err
	}
	var got ingest.Digest
	copy(got[:], sum)
	if bytes != place.Bytes || got != place.Digest {
		wrong = fmt.Errorf("atom %d: %d bytes with SHA-256 %s were sent, and the server has %d with %s", id,
			place.Bytes, place.Digest, bytes, got)
	}
	return wrong, nil
}
