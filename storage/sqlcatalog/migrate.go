package sqlcatalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// During a migration, the row of a segment may have both its payload and an address; readers use
// the row. Each verb changes a row only if it is still as the caller read it. Repeating a verb
// after a lost answer changes nothing.
var (
	// addAddress skips a row that has an address or no payload by now.
	addAddress = sharedOfRow("add-address", `UPDATE `, ` SET {setaddress 6}`,
		` AND BlobUri IS NULL AND {bytes RawPayload} = ByteSize`)
	// adopt is addAddress for a row without an atom. The hash in the same statement ensures that the
	// payload is still the one that was copied.
	adopt = shared("adopt-segment", `UPDATE dbo.LayerTensorSegments
		SET AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p4), ByteSize = @p5, {setaddress 6}
		WHERE `+Adoptable)
	// addPayload fills a row whose payload is only in the store.
	addPayload = sharedOfRow("add-payload", `UPDATE `, ` SET RawPayload = @p7`,
		` AND {asread 6} AND {bytes RawPayload} = 0`)
	// keepAddress records the address of a row that addPayload or adopt changed, in a dialect whose rows
	// have no address beside a payload. It is empty in others.
	keepAddress = differsOfRow("keep-address")
	// checkPayloadRow counts a row whose payload has the segment's hash, before it is committed.
	checkPayloadRow = sharedOfRow("check-payload", `SELECT {count} FROM `, ``, ` AND {sha256 RawPayload} = @p4`)
	// clearPayload empties a row whose payload is also in the store. The hash keeps a payload that
	// another program has written since the copy.
	clearPayload = sharedOfRow("clear-payload", `UPDATE `, ` SET RawPayload = {empty}`,
		` AND {asread 6} AND {sha256 RawPayload} = @p4`)
	// clearAddress removes an address. The hash ensures that the row has the payload.
	clearAddress = sharedOfRow("clear-address", `UPDATE `, ` SET {setaddress 7}`,
		` AND {asread 6} AND {sha256 RawPayload} = @p4`)
)

// Adoptable is the condition of adopt, for a dialect that has its own statement.
const Adoptable = `LayerTensorSegmentId = @p1 AND LayerId = @p2 AND SegmentOrdinal = @p3 AND AtomId IS NULL
	AND BlobUri IS NULL AND {bytes RawPayload} = @p5 AND {sha256 RawPayload} = @p4
	AND EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerId = @p2 AND l.ModelFileId IS NULL)`

// AddAddresses implements ingest.Migration.
func (c *Catalog) AddAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	for _, m := range moves {
		if err := checkAddress(m.Segment, m.Address); err != nil {
			return nil, err
		}
	}
	return c.move(ctx, lease, moves, mover{statement: addAddress, then: (*Tx).adopt,
		args:  func(m ingest.Move) []any { return []any{m.Address} },
		saves: func(m ingest.Move) int64 { return bytesSaved(m.Segment.Bytes, m.Address) }})
}

// adopt adds the address, and an atom, to a row of another program that has no atom.
func (t *Tx) adopt(m ingest.Move, changed int64) (int64, error) {
	s := m.Segment
	if changed > 0 || s.File != 0 {
		return changed, nil
	}
	if err := t.Exec(addFileAtom, s.Digest[:], s.Bytes); err != nil {
		return 0, err
	}
	changed, err := t.Change(adopt, s.RowID, s.Layer, s.Ordinal, s.Digest[:], s.Bytes, m.Address)
	if err == nil && changed > 0 {
		err = t.Exec(countFileAtom, s.Digest[:])
	}
	if err == nil && changed > 0 {
		statement, args := keepAddress.Of(s, m.Address)
		err = t.Exec(statement, args...)
	}
	return changed, err
}

// AddPayloads implements ingest.Migration.
func (c *Catalog) AddPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	for _, m := range moves {
		if err := checkPayload(m.Segment, m.Payload); err != nil {
			return nil, err
		}
	}
	return c.move(ctx, lease, moves, mover{statement: addPayload, then: (*Tx).afterPayload,
		args: func(m ingest.Move) []any { return []any{m.Segment.Address, m.Payload} }})
}

// afterPayload has the database hash the payload that was written to a row, and keeps the row's
// address.
func (t *Tx) afterPayload(m ingest.Move, changed int64) (int64, error) {
	if changed == 0 {
		return 0, nil
	}
	statement, args := keepAddress.Of(m.Segment, m.Segment.Address)
	if err := t.Exec(statement, args...); err != nil {
		return 0, err
	}
	statement, args = checkPayloadRow.Of(m.Segment)
	var rows int64
	err := t.One(statement, args...).Scan(&rows)
	if err == nil && rows != 1 {
		err = errors.New("the database does not return the payload that was written")
	}
	return changed, err
}

// ClearPayloads implements ingest.Migration.
func (c *Catalog) ClearPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return c.move(ctx, lease, moves, mover{statement: clearPayload,
		args: func(m ingest.Move) []any { return []any{m.Segment.Address} }})
}

// ClearAddresses implements ingest.Migration.
func (c *Catalog) ClearAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return c.move(ctx, lease, moves, mover{statement: clearAddress,
		args:  func(m ingest.Move) []any { return []any{m.Segment.Address, ingest.Address{}} },
		saves: func(m ingest.Move) int64 { return -bytesSaved(m.Segment.Bytes, m.Segment.Address) }})
}

// maxMoves is the maximum number of rows that one transaction changes: far fewer than the 5,000
// locks at which SQL Server locks the whole table.
const maxMoves = 1000

// mover is a verb that moves payloads.
type mover struct {
	statement InRow
	args      func(ingest.Move) []any
	// then gets the number of rows that the statement changed, 0 or 1, and returns that of both;
	// nil for nothing to do.
	then func(*Tx, ingest.Move, int64) (int64, error)
	// saves is the change of BytesSaved for a row that changed; nil for none.
	saves func(ingest.Move) int64
}

// move executes a statement for each row, in one transaction: in the order of the digests, in which
// other transactions lock atoms, too.
func (c *Catalog) move(ctx context.Context, lease ingest.Lease, moves []ingest.Move, by mover) (moved []bool,
	err error) {
	if len(moves) > maxMoves {
		return nil, fmt.Errorf("%d rows at once, at most %d", len(moves), maxMoves)
	}
	moved = make([]bool, len(moves))
	order := make([]int, len(moves))
	for i := range moves {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return bytes.Compare(moves[a].Segment.Digest[:], moves[b].Segment.Digest[:])
	})
	err = c.writeUnder(ctx, lease, func(t *Tx) error {
		saved := savings{}
		for _, i := range order {
			m := moves[i]
			statement, all := by.statement.Of(m.Segment, by.args(m)...)
			changed, err := t.Change(statement, all...)
			if err == nil && by.then != nil {
				changed, err = by.then(t, m, changed)
			}
			if err != nil {
				return aboutSegment(m.Segment, "%w", err)
			}
			if changed > 0 && by.saves != nil {
				saved[m.Segment.File] += by.saves(m)
			}
			moved[i] = moved[i] || changed > 0 // an earlier attempt may have changed it, and its answer was lost
		}
		return t.addSaved(saved)
	})
	return moved, err
}
