package sqlcatalog

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// The row of a segment may have its payload and an address at once, while payloads move: it is read from the row then.
// Each verb here changes a row only if it is still as the caller read it, and repeating one after a lost answer
// changes nothing: the rows are then as it left them.
var (
	// addAddress leaves a row alone that another process gave an address or took the payload from.
	addAddress = sharedOfRow("add-address", `UPDATE `, ` SET {setaddress 6}`,
		` AND BlobUri IS NULL AND {bytes RawPayload} = ByteSize`)
	// addPayload fills a row whose payload is only where its address says.
	addPayload = sharedOfRow("add-payload", `UPDATE `, ` SET RawPayload = @p7`,
		` AND BlobUri = @p6 AND {bytes RawPayload} = 0`)
	// clearPayload empties a row whose address has the payload. The hash makes sure that the payload in the row is
	// the one that was copied, whatever other programs have written there since.
	clearPayload = sharedOfRow("clear-payload", `UPDATE `, ` SET RawPayload = {empty}`,
		` AND BlobUri = @p6 AND {sha256 RawPayload} = @p4`)
	// clearAddress forgets an address. The hash makes sure that the row itself has the payload.
	clearAddress = sharedOfRow("clear-address", `UPDATE `, ` SET {setaddress 7}`,
		` AND BlobUri = @p6 AND {sha256 RawPayload} = @p4`)
)

// AddAddresses implements ingest.Migration.
func (c *Catalog) AddAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	for _, m := range moves {
		if err := checkAddress(m.Segment, m.Address); err != nil {
			return nil, err
		}
	}
	return c.move(ctx, lease, moves, addAddress, func(m ingest.Move) []any { return []any{m.Address} })
}

// AddPayloads implements ingest.Migration.
func (c *Catalog) AddPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	for _, m := range moves {
		if err := checkPayload(m.Segment, m.Payload); err != nil {
			return nil, err
		}
	}
	return c.move(ctx, lease, moves, addPayload, func(m ingest.Move) []any {
		return []any{m.Segment.Address.URI, m.Payload}
	})
}

// ClearPayloads implements ingest.Migration.
func (c *Catalog) ClearPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return c.move(ctx, lease, moves, clearPayload, func(m ingest.Move) []any { return []any{m.Segment.Address.URI} })
}

// ClearAddresses implements ingest.Migration.
func (c *Catalog) ClearAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return c.move(ctx, lease, moves, clearAddress, func(m ingest.Move) []any {
		return []any{m.Segment.Address.URI, ingest.Address{}}
	})
}

// maxMoves is how many rows one transaction changes: far fewer than the 5,000 locks at which SQL Server would lock the
// whole table.
const maxMoves = 1000

// move executes a statement for each row, in one transaction.
func (c *Catalog) move(ctx context.Context, lease ingest.Lease, moves []ingest.Move, in InRow,
	args func(ingest.Move) []any) (moved []bool, err error) {
	if len(moves) > maxMoves {
		return nil, fmt.Errorf("%d rows at once, at most %d", len(moves), maxMoves)
	}
	moved = make([]bool, len(moves))
	err = c.writeUnder(ctx, lease, func(t *Tx) error {
		for i, m := range moves {
			statement, all := in.Of(m.Segment, args(m)...)
			changed, err := t.Change(statement, all...)
			if err != nil {
				return aboutSegment(m.Segment, "%w", err)
			}
			moved[i] = moved[i] || changed > 0 // by an attempt whose answer was lost, if not by this one
		}
		return nil
	})
	return moved, err
}
