package sqlcatalog

import (
	"context"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

var (
	clearLocator = shared("clear-locator", `UPDATE dbo.Atoms SET {set PayloadLocator 4}, UpdatedAt = {now}
		WHERE AtomId = @p1 AND ContentHash = @p2 AND {ataddress 3} AND {equal PayloadLocator 5}`)
	clearLocatorOfRow = shared("clear-locator-of-row", clearLocator.text+` AND {sha256 Payload} = ContentHash`)
	restoreLocator    = shared("restore-locator", `UPDATE dbo.Atoms SET `+restored)
	// restoreLocatorOfRow names a column that the table may lack.
	restoreLocatorOfRow = shared("restore-locator-of-row", `UPDATE dbo.Atoms SET Payload = NULL, `+restored)
)

const restored = `{setaddressonly 6}, {set PayloadLocator 4}, UpdatedAt = {now}
	WHERE AtomId = @p1 AND ContentHash = @p2 AND {ataddress 3} AND {equal PayloadLocator 5}`

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
	if err != nil || !now.HasCopy() {
		return false, err
	}
	empty := now.Locator == ""
	if empty {
		now.Locator = atom.Locator // an earlier attempt cleared it, if the rest is the same
	}
	if !sameFileAtom(now, atom) || empty {
		return sameFileAtom(now, atom), nil
	}
	statement := clearLocator
	if now.InRow && now.Bytes <= math.MaxInt32 { // T-SQL hashes at most 2 GB
		statement = clearLocatorOfRow
	}
	n, err := t.Change(statement, now.ID, now.Digest[:], now.Address, locatorText(ingest.FileAtom{}), locatorText(now))
	return n > 0, err
}

// RestoreLocator implements ingest.Atoms.
func (c *Catalog) RestoreLocator(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	locator string) (restored bool, err error) {
	if locator == "" {
		return false, fmt.Errorf("atom %d: no path to restore", atom.ID)
	}
	err = c.writeUnder(ctx, lease, func(t *Tx) error {
		restored, err = t.restoreLocator(atom, locator)
		return err
	})
	return restored && err == nil, err
}

func (t *Tx) restoreLocator(atom ingest.FileAtom, locator string) (bool, error) {
	now, err := scanFileAtom(t.One(lockFileAtom, atom.ID))
	if noRows(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	after := atom
	after.Locator, after.InRow, after.Address = locator, false, ingest.Address{}
	if sameFileAtom(now, after) { // an earlier attempt restored it
		return true, nil
	}
	if !sameFileAtom(now, atom) {
		return false, nil
	}
	statement := restoreLocator
	if now.InRow {
		statement = restoreLocatorOfRow
	}
	n, err := t.Change(statement, now.ID, now.Digest[:], now.Address, locatorText(after), locatorText(now),
		ingest.Address{})
	return n > 0, err
}
