package sqlcatalog

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// neededOf selects the rows of a table that need a payload in a store. A row holds its payload, or
// names a blob, or, while a payload is moved, both: then it needs both. If only AddressExact holds
// the whole address, the result is an empty name. The third column is the SHA-256 of an encoded payload.
func neededOf(table string) string {
	return `SELECT a.ContentHash, {blobname s}, CASE WHEN {bytes s.RawPayload} = 0 THEN s.StoredHash END
		FROM dbo.Atoms AS a INNER JOIN ` + table + ` AS s ON s.AtomId = a.AtomId
		WHERE a.ContentHash IN ({digests}) AND ({bytes s.RawPayload} = 0 AND NOT {small s} OR s.BlobUri IS NOT NULL)`
}

// referenced always takes maxDigests digests, so that there is one plan: seeks in the unique index
// on hashes, then in those on AtomId.
var referenced = shared("referenced", Referenced)

// Referenced is the text of that statement, for a dialect that adds to it.
var Referenced = neededOf("dbo.LayerTensorSegments") + ` UNION ` + neededOf("dbo.FileSegments") + `
	UNION SELECT a.ContentHash, ` + BlobName("a") + `, NULL FROM dbo.Atoms AS a
		WHERE a.ContentHash IN ({digests}) AND a.BlobUri IS NOT NULL`

// referencedByOthers finds the atoms that layers refer to, which other programs make do so, and is
// completed with referencedBy.
var referencedByOthers = shared("referenced-by-others", `SELECT a.ContentHash FROM dbo.Atoms AS a
	INNER JOIN dbo.ModelLayers AS l ON l.LayerAtomId = a.AtomId WHERE a.ContentHash IN ({digests})`)

// referencedBy finds the atoms that rows of other programs refer to: gc keeps such an atom, and so
// its payload. With an index on a key's column it seeks for each atom; without one, it scans that
// table once for all digests.
func referencedBy(keys []foreignKey) string {
	var others strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&others, ` UNION ALL SELECT a.ContentHash FROM dbo.Atoms AS a WHERE a.ContentHash IN (%s) AND %s`,
			digestParameters(), k.referredTo("a"))
	}
	return others.String()
}

// referredTo is the condition that a row refers to the one under an alias.
func (k foreignKey) referredTo(alias string) string {
	if len(k.columns) == 1 {
		return fmt.Sprintf("%s.%s IN (SELECT o.%s FROM %s AS o)", alias, k.keys[0], k.columns[0], k.table)
	}
	return fmt.Sprintf("EXISTS (SELECT 1 FROM %s AS o WHERE %s)", k.table, k.equal("o", alias))
}

// Referenced implements ingest.Maintenance. It reads the rows, not the reference counts.
func (c *Catalog) Referenced(ctx context.Context, digests []ingest.Digest) (map[ingest.Digest][]string, error) {
	if err := checkDigests(digests); err != nil {
		return nil, err
	}
	needed := make(map[ingest.Digest][]string)
	if len(digests) == 0 {
		return needed, nil
	}
	err := c.read(ctx, func(t *Tx) error { return t.referenced(digests, needed) })
	if err != nil {
		return nil, err
	}
	return needed, nil
}

func (t *Tx) referenced(digests []ingest.Digest, needed map[ingest.Digest][]string) error {
	clear(needed)
	keys, err := t.keysOfDatabase()
	if err != nil {
		return err
	}
	args := make([]any, maxDigests)
	for i := range args {
		args[i] = digests[min(i, len(digests)-1)][:]
	}
	add := func(hash []byte, name string) {
		if len(hash) == len(ingest.Digest{}) && !slices.Contains(needed[ingest.Digest(hash)], name) {
			needed[ingest.Digest(hash)] = append(needed[ingest.Digest(hash)], name)
		}
	}
	err = t.Each(func(row Scanner) error {
		var hash, stored []byte
		var name string
		err := row.Scan(&hash, &name, &stored)
		if strings.Contains(name, ":") && !namesPayload(name, hash, stored) {
			name = ""
		}
		add(hash, name)
		return err
	}, referenced, args...)
	if err != nil {
		return err
	}
	return t.Each(func(row Scanner) error {
		var hash []byte
		err := row.Scan(&hash)
		add(hash, "")
		return err
	}, referencedByOthers.and(referencedBy(keys.others("Atoms"))), args...)
}

// namesPayload reports whether a URI ends with the name of a payload in a store by content, which reads
// it by these digests and not by the URI.
func namesPayload(uri string, digest, stored []byte) bool {
	name := hex.EncodeToString(digest)
	if len(stored) > 0 {
		name += "-" + hex.EncodeToString(stored)
	}
	return uri[strings.LastIndexAny(uri, "/:")+1:] == name
}

// digestParameters returns the text for {digests}.
func digestParameters() string {
	var list strings.Builder
	for i := range maxDigests {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "@p%d", i+1)
	}
	return list.String()
}

// atomsAtOnce is how many atoms one transaction covers: fewer than the 5,000 locks at which SQL
// Server escalates to a lock of the whole table, which another application uses.
const atomsAtOnce = 2000

// ours selects the atoms that this program writes. Those of other programs have no ByteSize, or a
// SourceType of their own.
const ours = `Modality = 'model' AND SourceType IN ('ingest_segment', 'model_file', 'ollama_blob')
	AND {sized}`

// inRange selects our atoms in the range of one transaction of unreferenced.
const inRange = `AtomId > @p1 AND AtomId <= @p2 AND ` + ours

const atomsInRange = ` FROM dbo.Atoms WHERE ` + inRange

// isUnreferenced selects segment atoms without a reference in the tables that this program knows.
const isUnreferenced = ` AND SourceType = 'ingest_segment'` + nothingRefers + `
	AND NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms AS j WHERE j.AtomId = Atoms.AtomId)`

// nothingRefers selects atoms to which only rows of jobs refer.
const nothingRefers = `
	AND NOT EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.FileSegments AS s WHERE s.AtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.FileAtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerAtomId = Atoms.AtomId)`

// noLayer excludes atoms that another program's layers refer to: it is unknown whether their counts
// include those references.
const noLayer = ` AND NOT EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerAtomId = Atoms.AtomId)`

// references counts the references to an atom from the tables that we write.
const references = `((SELECT {count} FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = Atoms.AtomId)
	+ (SELECT {count} FROM dbo.FileSegments AS s WHERE s.AtomId = Atoms.AtomId)
	+ (SELECT {count} FROM dbo.ModelFiles AS f WHERE f.FileAtomId = Atoms.AtomId))`

var (
	// nextAtoms returns the last of our next @p2 atoms after @p1; 0 for none. It must not read an
	// application's other atoms, such as texts and images.
	nextAtoms = differs("next-atoms")
	// nextListed is nextAtoms for the atoms that may be unreferenced, as their counts say.
	nextListed = differs("next-listed")
	// lockAtoms waits for transactions that change the atoms, and locks the atoms until the commit.
	// It is a separate statement so that under snapshots the next statements start after the wait
	// and see what the others committed. An engine with a single writer needs no lock.
	lockAtoms         = differs("lock-atoms")
	unreferencedAtoms = shared("unreferenced", `SELECT {count}, {sum ByteSize}`+atomsInRange+isUnreferenced)
	listUnreferenced  = shared("list-unreferenced",
		`SELECT {count}, {sum ByteSize} FROM dbo.Atoms {wherelisted} `+inRange+isUnreferenced)
	removeUnreferenced = shared("remove-unreferenced", `DELETE`+atomsInRange+isUnreferenced)
	correctCounts      = shared("correct-counts", `UPDATE dbo.Atoms SET ReferenceCount = `+references+`
		WHERE `+inRange+noLayer+` AND ReferenceCount <> `+references)
)

// Unreferenced implements ingest.Maintenance. With remove it also corrects the reference counts of
// the atoms that stay, except those that rows of other programs refer to: it is unknown whether
// those references are counted. It works in bounded transactions, so what it did before an error is
// kept.
//
// Without remove, SQLite looks only at the atoms whose count is zero, which an index finds. With it,
// the counts are not relied on: all atoms are looked at, and in either case only rows decide whether
// an atom is unreferenced.
func (c *Catalog) Unreferenced(ctx context.Context, lease ingest.Lease, remove bool) (atoms, bytes int64, err error) {
	return c.unreferenced(ctx, lease, remove, atomsAtOnce)
}

func (c *Catalog) unreferenced(ctx context.Context, lease ingest.Lease, remove bool, atOnce int) (atoms, bytes int64,
	err error) {
	next := nextListed
	if remove {
		next = nextAtoms
	}
	for after := int64(0); ; {
		var last int64
		err := c.readLong(ctx, func(t *Tx) error { return t.One(next, after, atOnce).Scan(&last) })
		if err != nil || last == 0 {
			return atoms, bytes, err
		}
		var a, b int64 // a retry after a lost answer finds none: the first count holds
		count := func(t *Tx) error {
			n, size, err := t.unreferenced(after, last, remove)
			a, b = max(a, n), max(b, size)
			return err
		}
		if remove {
			err = c.writeLong(ctx, lease, count)
		} else {
			err = c.readLong(ctx, count)
		}
		if err != nil {
			return 0, 0, err
		}
		atoms, bytes, after = atoms+a, addBytes(bytes, b), last
	}
}

// unreferenced counts the unreferenced atoms in (after, last], and deletes them with remove.
func (t *Tx) unreferenced(after, last int64, remove bool) (atoms, bytes int64, err error) {
	keys, err := t.keysOfDatabase()
	if err != nil {
		return 0, 0, err
	}
	others := unreferencedBy(keys.to("Atoms"))
	if !remove {
		err = t.One(listUnreferenced.and(others), after, last).Scan(&atoms, &bytes)
		return atoms, bytes, err
	}
	if err := t.Exec(lockAtoms, after, last); err != nil {
		return 0, 0, err
	}
	if err := t.One(unreferencedAtoms.and(others), after, last).Scan(&atoms, &bytes); err != nil {
		return 0, 0, err
	}
	err = t.Exec(removeUnreferenced.and(others), after, last)
	if err != nil && t.c.dialect.Refused(err) { // a new reference, which the retry sees
		err = RaceError(fmt.Sprintf("another table refers to an atom, perhaps one that this login cannot see: %v",
			err))
	}
	if err == nil {
		err = t.Exec(correctCounts.and(others), after, last)
	}
	return atoms, bytes, err
}

// unreferencedBy is a condition for atoms to which no table of another program refers.
func unreferencedBy(keys []foreignKey) string {
	var others strings.Builder
	for _, k := range keys {
		if !k.ours {
			fmt.Fprintf(&others, " AND NOT EXISTS (SELECT 1 FROM %s AS o WHERE %s)", k.table, k.equal("o", "Atoms"))
		}
	}
	return others.String()
}
