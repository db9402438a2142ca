package sqlcatalog

import (
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

var (
	atomsOfModel = shared("atoms-of-model", `SELECT DISTINCT FileAtomId FROM dbo.ModelFiles
		WHERE ModelId = @p1 AND FileAtomId IS NOT NULL ORDER BY FileAtomId`)
	forgetAtoms = shared("forget-atoms", `UPDATE dbo.ModelFiles SET FileAtomId = NULL WHERE ModelId = @p1`)
	// unneededAtom locks an atom of this program to which only rows of its jobs refer.
	unneededAtom = shared("unneeded-atom",
		`SELECT 1 FROM dbo.Atoms {update lock} WHERE AtomId = @p1`+withoutCopy+` AND `+ours+nothingRefers+`
			AND NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms AS j
				INNER JOIN dbo.IngestionJobs AS b ON b.IngestionJobId = j.IngestionJobId
				WHERE j.AtomId = Atoms.AtomId AND b.PipelineName NOT IN ('models', 'register', 'migrate'))`)
	removeNotes    = shared("remove-notes", `DELETE FROM dbo.IngestionJobAtoms WHERE AtomId = @p1`)
	removeUnneeded = shared("remove-unneeded-atom", `DELETE FROM dbo.Atoms WHERE AtomId = @p1`+withoutCopy)
)

// withoutCopy leaves out atoms with a payload or an address, unless @p2 is 1.
const withoutCopy = ` AND (@p2 = 1 OR BlobUri IS NULL AND {haspayload} = 0)`

// releaseAtoms removes the atoms of a model's files that nothing else refers to, those with a payload
// or an address only if copies is set. Without a model, other commands would still migrate and
// verify their files, and gc would keep their copies.
func (t *Tx) releaseAtoms(model ingest.ModelID, copies bool) error {
	var atoms []int64
	err := t.Each(func(row Scanner) error {
		var id int64
		err := row.Scan(&id)
		atoms = append(atoms, id)
		return err
	}, atomsOfModel, model)
	if err != nil || len(atoms) == 0 {
		return err
	}
	for _, s := range []*Statement{releaseFileAtoms, forgetAtoms} {
		if err := t.Exec(s, model); err != nil {
			return err
		}
	}
	keys, err := t.keysOfDatabase()
	if err != nil {
		return err
	}
	others := unreferencedBy(keys.to("Atoms")) + notesUnreferencedBy(keys.others("IngestionJobAtoms"))
	for _, id := range atoms {
		if err := t.removeUnneededAtom(id, copies, others); err != nil {
			return err
		}
	}
	return nil
}

// notesUnreferencedBy returns a condition for atoms whose notes no other program refers to.
func notesUnreferencedBy(keys []foreignKey) string {
	var others strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&others, ` AND NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms AS j INNER JOIN %s AS o ON %s
			WHERE j.AtomId = Atoms.AtomId)`, k.table, k.equal("o", "j"))
	}
	return others.String()
}

// removeUnneededAtom removes an atom that nothing refers to. others is a condition on the tables of other
// programs.
func (t *Tx) removeUnneededAtom(id int64, copies bool, others string) error {
	var one, withCopy int
	if copies {
		withCopy = 1
	}
	there, err := t.found(t.One(unneededAtom.and(others), id, withCopy), &one)
	if err != nil || !there {
		return err
	}
	if err := t.Exec(removeNotes, id); err != nil {
		return err
	}
	n, err := t.Change(removeUnneeded, id, withCopy)
	switch {
	case err == nil && n == 0:
		err = RaceError(fmt.Sprintf("atom %d changed", id))
	case err != nil && t.c.dialect.Refused(err): // a reference since the last statement, or one that it does not see
		err = RaceError(fmt.Sprintf("another table refers to atom %d, perhaps one that this login may not see: %v", id,
			err))
	}
	return err
}
