package sqlcatalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	// unreadColumns reads what a FileAtom lacks: whether this program wrote the atom, and whether two
	// columns of other programs have values.
	unreadColumns = shared("unread-columns", `SELECT CASE WHEN `+ours+` THEN 1 ELSE 0 END,
			CASE WHEN SpatialKey IS NULL THEN 0 ELSE 1 END, CASE WHEN ComponentStream IS NULL THEN 0 ELSE 1 END
		FROM dbo.Atoms WHERE AtomId = @p1`)
	// absorbAtom fills the empty columns of an atom from another one.
	absorbAtom = shared("absorb-atom", `UPDATE dbo.Atoms SET Subtype = @p3, {set SourceUri 5}, {set PayloadLocator 6},
			Metadata = COALESCE({jsononly Atoms.Metadata 7}, Metadata),
			IsActive = CASE WHEN IsActive = 1 OR EXISTS (SELECT 1 FROM dbo.Atoms AS o
				WHERE o.AtomId = @p2 AND o.IsActive = 1) THEN 1 ELSE 0 END,
			CanonicalText = COALESCE(CanonicalText, (SELECT o.CanonicalText FROM dbo.Atoms AS o WHERE o.AtomId = @p2)),
			ReferenceCount = ReferenceCount + (SELECT o.ReferenceCount FROM dbo.Atoms AS o WHERE o.AtomId = @p2),
			SourceType = @p4, UpdatedAt = {now}
		WHERE AtomId = @p1`)
	// disownAtom makes an atom one of another program, which gc and the removal of a model keep.
	disownAtom = shared("disown-atom", `UPDATE dbo.Atoms SET ByteSize = {nosize} WHERE AtomId = @p1`)
	removeAtom = shared("remove-atom", `DELETE FROM dbo.Atoms WHERE AtomId = @p1 AND ContentHash = @p2`)
)

// merged is an atom with what decides whether it can be merged.
type merged struct {
	ingest.FileAtom
	ours            bool
	spatial, stream bool // SpatialKey and ComponentStream are not NULL
}

// spare reports whether nothing is lost with the columns of the atom: it is that of a segment, or of
// a file in segments, whose path and source are also in ModelFiles and ModelNames.
func (m *merged) spare() bool { return m.ours && (m.InSegments || m.SourceType == segmentSource) }

// mergeAtoms merges two locked atoms of the same content, and returns the one that it keeps.
func (t *Tx) mergeAtoms(one, other ingest.FileAtom) (*ingest.FileAtom, error) {
	if one.HasCopy() && other.HasCopy() {
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
	keep, lose := &merged{FileAtom: other}, &merged{FileAtom: one}
	for _, m := range []*merged{keep, lose} {
		if err := t.One(unreadColumns, m.ID).Scan(&m.ours, &m.spatial, &m.stream); err != nil {
			return nil, err
		}
	}
	swap := false
	switch {
	case keep.InRow:
	case lose.InRow:
		swap = true
	case keep.spare() != lose.spare():
		swap = keep.spare()
	case keep.ours != lose.ours:
		swap = keep.ours
	default:
		if swap, err = t.moreReferences(keys, lose.ID, keep.ID); err != nil {
			return nil, err
		}
	}
	if swap {
		keep, lose = lose, keep
	}
	metadata, reason := keep.take(lose)
	if reason != "" {
		return nil, &ingest.AtomClashError{Atom: keep.ID, Other: lose.ID, Reason: reason}
	}
	if err := t.Exec(blockAtom, lose.ID); err != nil {
		return nil, err
	}
	if err := t.moveReferences(keys, keep.ID, lose.ID); err != nil {
		return nil, err
	}
	if err := t.absorb(&keep.FileAtom, lose.FileAtom, metadata); err != nil {
		return nil, err
	}
	if keep.ours && !lose.ours {
		if err := t.Exec(disownAtom, keep.ID); err != nil {
			return nil, err
		}
	}
	return &keep.FileAtom, t.recount(keys, keep.ID)
}

// take returns the Metadata of both atoms, empty if keep's does not change, or the reason why lose
// cannot be merged into keep without a loss.
func (keep *merged) take(lose *merged) (metadata, reason string) {
	for _, c := range []struct{ column, keep, lose string }{
		{"PayloadLocator", keep.Locator, lose.Locator},
		{"SourceUri", keep.SourceURI, lose.SourceURI},
		{"Modality", keep.Modality, lose.Modality},
	} {
		if c.keep != "" && c.lose != "" && c.keep != c.lose && !lose.spare() {
			return "", fmt.Sprintf("%s of atom %d is %s, and that of atom %d is %s: make them equal", c.column, keep.ID,
				ingest.Printable(c.keep), lose.ID, ingest.Printable(c.lose))
		}
	}
	for column, lost := range map[string]bool{"SpatialKey": lose.spatial && !keep.spatial,
		"ComponentStream": lose.stream && !keep.stream} {
		if lost {
			return "", fmt.Sprintf("atom %d has a %s, and atom %d, which would remain, has none: copy it", lose.ID,
				column, keep.ID)
		}
	}
	if lose.LargeMetadata || keep.LargeMetadata && len(lose.Metadata) > 0 {
		return "", "Metadata of one has more than 64 KiB: shorten it, or set it to NULL"
	}
	metadata, err := mergeMetadata(keep.Metadata, lose.Metadata)
	if err != nil {
		return "", fmt.Sprintf("Metadata of one is not a JSON object: correct it, or set it to NULL: %v", err)
	}
	return metadata, ""
}

// mergeMetadata appends the keys of lose to keep that keep lacks. It returns an empty text if there
// are none.
func mergeMetadata(keep, lose json.RawMessage) (string, error) {
	switch {
	case len(lose) == 0 || bytes.Equal(keep, lose):
		return "", nil
	case len(keep) == 0:
		return string(lose), nil
	}
	var has, more map[string]json.RawMessage
	if err := cmp.Or(json.Unmarshal(keep, &has), json.Unmarshal(lose, &more)); err != nil {
		return "", err
	}
	if has == nil || more == nil {
		return "", errors.New("it is null")
	}
	delete(more, "digest_computed") // the digest is that of the bytes
	maps.DeleteFunc(more, func(key string, _ json.RawMessage) bool { _, known := has[key]; return known })
	switch {
	case len(more) == 0:
		return "", nil
	case len(has) == 0:
		return mustJSON(more), nil
	}
	return strings.TrimSuffix(strings.TrimSpace(string(keep)), "}") + "," + mustJSON(more)[1:], nil
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

// absorb fills the empty columns of keep from lose, sets its Metadata unless that is empty, and
// removes lose.
func (t *Tx) absorb(keep *ingest.FileAtom, lose ingest.FileAtom, metadata string) error {
	keep.Locator = cmp.Or(keep.Locator, lose.Locator)
	keep.SourceURI = cmp.Or(keep.SourceURI, lose.SourceURI)
	keep.Subtype = cmp.Or(keep.Subtype, lose.Subtype)
	keep.InSegments = keep.InSegments || lose.InSegments
	if keep.SourceType == "" || keep.SourceType == segmentSource { // gc would delete such a row without segments
		keep.SourceType = cmp.Or(lose.SourceType, fileSource)
	}
	err := t.Exec(absorbAtom, keep.ID, lose.ID, Text{Column: "Atoms.Subtype", Value: keep.Subtype, Null: true},
		keep.SourceType, Text{Column: "Atoms.SourceUri", Value: keep.SourceURI, Null: true}, locatorText(*keep),
		Text{Column: "Atoms.Metadata", Value: metadata, Null: true})
	if err == nil && !keep.HasCopy() && lose.Address.URI != "" { // lose has no payload, or it would be kept
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
