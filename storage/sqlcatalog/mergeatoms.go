package sqlcatalog

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

var (
	// seesAllKeys returns 1 if this login sees the foreign keys of all tables.
	seesAllKeys = differs("sees-all-keys")
	// blockAtom locks an atom exclusively until the commit: the check of another transaction's
	// foreign key waits for it, and for no weaker lock. Without it, a row that refers to the atom
	// since moveReferences would be deleted with it, or lose its reference.
	blockAtom = shared("block-atom", `UPDATE dbo.Atoms SET ReferenceCount = ReferenceCount WHERE AtomId = @p1`)
	// A foreign key completes countOfAtom and moveToAtom.
	countOfAtom = Own("count-references-of-atom", `SELECT {count} FROM `)
	moveToAtom  = Own("move-references-of-atom", `UPDATE `)
	// absorbAtom fills the empty columns of an atom from another one.
	absorbAtom = shared("absorb-atom", `UPDATE dbo.Atoms SET Subtype = @p3, {set SourceUri 5}, {set PayloadLocator 6},
			Metadata = COALESCE(Metadata, (SELECT o.Metadata FROM dbo.Atoms AS o WHERE o.AtomId = @p2)),
			CanonicalText = COALESCE(CanonicalText, (SELECT o.CanonicalText FROM dbo.Atoms AS o WHERE o.AtomId = @p2)),
			ReferenceCount = ReferenceCount + (SELECT o.ReferenceCount FROM dbo.Atoms AS o WHERE o.AtomId = @p2),
			SourceType = @p4, UpdatedAt = {now}
		WHERE AtomId = @p1`)
	removeAtom = shared("remove-atom", `DELETE FROM dbo.Atoms WHERE AtomId = @p1 AND ContentHash = @p2`)
)

// mergeAtoms merges two locked atoms of the same content, and returns the one that it keeps: the
// one with a payload in its row, or else the one with more references.
func (t *Tx) mergeAtoms(one, other ingest.FileAtom) (*ingest.FileAtom, error) {
	if hasCopy(one) && hasCopy(other) {
		return nil, &ingest.AtomClashError{Atom: one.ID, Other: other.ID, Reason: "each has a copy of the content: " +
			"check one copy, and remove the payload or address of the other"}
	}
	var sees int
	if err := t.One(seesAllKeys).Scan(&sees); err != nil {
		return nil, err
	}
	if sees == 0 { // such a key may delete or change rows with the atom
		return nil, &ingest.AtomClashError{Atom: one.ID, Other: other.ID, Reason: "this login may not see all tables " +
			"that refer to them: GRANT VIEW DEFINITION TO ingest_writer, in this database, or to the user"}
	}
	all, err := t.keysOfDatabase()
	if err != nil {
		return nil, err
	}
	keys := all.to("Atoms")
	keep, lose := other, one
	if !other.InRow {
		more, err := t.moreReferences(keys, one.ID, other.ID)
		if err != nil {
			return nil, err
		}
		if more || one.InRow {
			keep, lose = one, other
		}
	}
	if err := t.Exec(blockAtom, lose.ID); err != nil {
		return nil, err
	}
	if err := t.moveReferences(keys, keep.ID, lose.ID); err != nil {
		return nil, err
	}
	if err := t.absorb(&keep, lose); err != nil {
		return nil, err
	}
	return &keep, t.recount(keys, keep.ID)
}

// moreReferences reports whether more rows refer to atom one than to atom other.
func (t *Tx) moreReferences(keys []foreignKey, one, other int64) (bool, error) {
	var sum int64
	for _, k := range keys {
		for id, sign := range map[int64]int64{one: 1, other: -1} {
			var rows int64
			if err := t.One(countOfAtom.and(k.table+` WHERE `+k.ofAtom(1, ` AND `)), id).Scan(&rows); err != nil {
				return false, fmt.Errorf("rows of %s that refer to atom %d: %w", k.name, id, err)
			}
			sum += sign * rows
		}
	}
	return sum > 0, nil
}

// ofAtom returns conditions for rows that refer to the atom whose ID is a parameter.
func (k foreignKey) ofAtom(parameter int, separator string) string {
	all := make([]string, len(k.columns))
	for i := range k.columns {
		all[i] = fmt.Sprintf(`%s = (SELECT o.%s FROM dbo.Atoms AS o WHERE o.AtomId = @p%d)`, k.columns[i], k.keys[i],
			parameter)
	}
	return strings.Join(all, separator)
}

// moveReferences changes all references to lose into references to keep.
func (t *Tx) moveReferences(keys []foreignKey, keep, lose int64) error {
	for _, k := range keys {
		err := t.Exec(moveToAtom.and(k.table+` SET `+k.ofAtom(1, `, `)+` WHERE `+k.ofAtom(2, ` AND `)), keep, lose)
		if err != nil && (t.c.dialect.Duplicate(err) || t.c.dialect.Refused(err)) {
			return &ingest.AtomClashError{Atom: keep, Other: lose, Reason: fmt.Sprintf(
				"a key of %s does not allow to change %s from atom %d to atom %d: %v", k.name,
				strings.Join(k.columns, ", "), lose, keep, err)}
		}
		if err != nil {
			return fmt.Errorf("rows of %s that refer to atom %d: %w", k.name, lose, err)
		}
	}
	return nil
}

// absorb fills the empty columns of keep from lose, and removes lose.
func (t *Tx) absorb(keep *ingest.FileAtom, lose ingest.FileAtom) error {
	keep.Locator = cmp.Or(keep.Locator, lose.Locator)
	keep.SourceURI = cmp.Or(keep.SourceURI, lose.SourceURI)
	keep.Subtype = cmp.Or(keep.Subtype, lose.Subtype)
	keep.InSegments = keep.InSegments || lose.InSegments
	if keep.SourceType == "" || keep.SourceType == segmentSource { // gc would delete such a row without segments
		keep.SourceType = cmp.Or(lose.SourceType, fileSource)
	}
	err := t.Exec(absorbAtom, keep.ID, lose.ID, Text{Column: "Atoms.Subtype", Value: keep.Subtype, Null: true},
		keep.SourceType, Text{Column: "Atoms.SourceUri", Value: keep.SourceURI, Null: true}, locatorText(*keep))
	if err == nil && !hasCopy(*keep) && lose.Address.URI != "" { // lose has no payload, or it would be kept
		keep.Address = lose.Address
		err = t.Exec(addressAtom, keep.ID, keep.Digest[:], keep.Address)
	}
	if err != nil {
		return err
	}
	n, err := t.Change(removeAtom, lose.ID, lose.Digest[:])
	switch {
	case err != nil && t.c.dialect.Refused(err):
		return RaceError(fmt.Sprintf("a row refers to atom %d since its references moved: %v", lose.ID, err))
	case err == nil && n == 0:
		return RaceError(fmt.Sprintf("atom %d changed", lose.ID))
	}
	return err
}

// recount corrects the ReferenceCount of an atom of this program.
func (t *Tx) recount(keys []foreignKey, id int64) error {
	return t.Exec(correctCounts.and(unreferencedBy(keys)), id-1, id)
}
