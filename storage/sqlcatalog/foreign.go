package sqlcatalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// own are the tables that belong to this program.
var own = []string{"Atoms", "Models", "ModelMetadata", "ModelLayers", "LayerTensorSegments", "IngestionJobs",
	"IngestionJobAtoms", "CatalogIdentity", "IngestionJobKeys", "ModelKeys", "ModelMerges", "ModelFiles", "FilePaths",
	"ModelNames", "ModelNameFiles", "FileSegments", "SchemaSteps",
	"TensorSegmentCopies", "FileSegmentCopies", "SmallPayloads"}

// isOwn reports whether a table is one of ours. Other schemas may have tables of the same names.
func isOwn(schema, table string) bool {
	return strings.EqualFold(schema, "dbo") &&
		slices.ContainsFunc(own, func(name string) bool { return strings.EqualFold(name, table) })
}

// foreignKey is a key of one or more columns that refer to those of another table.
type foreignKey struct {
	table   string   // quoted, with its schema
	name    string   // of the table, unquoted
	ours    bool     // the table is
	columns []string // quoted
	parent  string   // the referenced table, unquoted
	keys    []string // the referenced columns, quoted
	clears  bool     // ON DELETE SET NULL, and the columns can be NULL
}

// selectKeys reads the columns of the foreign keys that this login may see, those of one key one
// after the other: the referring schema and table, the position in the key from 0 on, the column
// and whether it can be NULL, the referenced schema, table and column, and the action on delete. The
// schema of an engine without schemas is dbo.
var selectKeys = differs("foreign-keys")

// keysByTable are foreign keys by the table that they refer to, qualified and in lower case.
type keysByTable map[string][]foreignKey

// to returns the keys that refer to one of our tables.
func (k keysByTable) to(table string) []foreignKey {
	return k[strings.ToLower(qualified("dbo", table))]
}

// others returns the keys of other programs' tables that refer to one of ours.
func (k keysByTable) others(table string) []foreignKey {
	return slices.DeleteFunc(slices.Clone(k.to(table)), func(k foreignKey) bool { return k.ours })
}

// keysOfDatabase returns all foreign keys.
func (t *Tx) keysOfDatabase() (keysByTable, error) {
	all := make(keysByTable)
	err := t.Each(func(row Scanner) error {
		var schema, column, parentSchema, key, action string
		var k foreignKey
		var position, nullable int
		err := row.Scan(&schema, &k.name, &position, &column, &nullable, &parentSchema, &k.parent, &key, &action)
		if err != nil {
			return err
		}
		parent := strings.ToLower(qualified(parentSchema, k.parent))
		if position == 0 {
			k.table, k.ours = qualified(schema, k.name), isOwn(schema, k.name)
			k.clears = strings.EqualFold(strings.ReplaceAll(action, "_", " "), "SET NULL")
			all[parent] = append(all[parent], k)
		}
		last := &all[parent][len(all[parent])-1]
		last.columns, last.keys = append(last.columns, quote(column)), append(last.keys, quote(key))
		last.clears = last.clears && nullable == 1
		return nil
	}, selectKeys)
	return all, err
}

// quote returns any name as an identifier that every engine takes.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// qualified returns a table as statements name it.
func qualified(schema, table string) string {
	if strings.EqualFold(schema, "dbo") {
		return "dbo." + quote(table)
	}
	return quote(schema) + "." + quote(table)
}

// equal returns the conditions that the key's columns of one row have the values of the referenced
// row.
func (k foreignKey) equal(referring, referenced string) string {
	var all []string
	for i := range k.columns {
		all = append(all, referring+"."+k.columns[i]+" = "+referenced+"."+k.keys[i])
	}
	return strings.Join(all, " AND ")
}

// rowsOfModel selects the rows that go with model @p1, of each table.
var rowsOfModel = []struct{ table, from string }{
	{"Models", `dbo.Models AS p WHERE p.ModelId = @p1`},
	{"ModelMetadata", `dbo.ModelMetadata AS p WHERE p.ModelId = @p1`},
	{"ModelKeys", `dbo.ModelKeys AS p WHERE p.ModelId = @p1`},
	{"ModelMerges", `dbo.ModelMerges AS p WHERE p.IntoModelId = @p1`},
	{"ModelNames", `dbo.ModelNames AS p WHERE p.ModelId = @p1`},
	{"ModelNameFiles", `dbo.ModelNames AS n
		INNER JOIN dbo.ModelNameFiles AS p ON p.ModelNameId = n.ModelNameId WHERE n.ModelId = @p1`},
	{"ModelLayers", `dbo.ModelLayers AS p WHERE p.ModelId = @p1`},
	{"ModelFiles", `dbo.ModelFiles AS p WHERE p.ModelId = @p1`},
	{"FilePaths", `dbo.ModelFiles AS f
		INNER JOIN dbo.FilePaths AS p ON p.ModelFileId = f.ModelFileId WHERE f.ModelId = @p1`},
	{"LayerTensorSegments", `dbo.ModelLayers AS l
		INNER JOIN dbo.LayerTensorSegments AS p ON p.LayerId = l.LayerId WHERE l.ModelId = @p1`},
	{"FileSegments", `dbo.ModelFiles AS f
		INNER JOIN dbo.FileSegments AS p ON p.ModelFileId = f.ModelFileId WHERE f.ModelId = @p1`},
}

// dependent selects rows of another program's table that refer to a model, directly or through
// other rows.
type dependent struct {
	foreignKey
	where string // on the table under its own name
	// circular: the rows refer to rows of the same table, directly or through other rows. No order
	// of deletions is known for them.
	circular bool
}

// maxDependents is how many chains of foreign keys to a model are followed.
const maxDependents = 1000

// dependents returns all that refer to the model. Rows that others refer to come after those
// others.
func (t *Tx) dependents() (list []dependent, err error) {
	keys, err := t.keysOfDatabase()
	if err != nil {
		return nil, err
	}
	var path []string // the tables of the chain
	var visit func(parent, alias, from string)
	visit = func(parent, alias, from string) {
		for _, k := range keys[parent] {
			if k.ours || len(list) > maxDependents {
				continue
			}
			d := dependent{foreignKey: k, where: k.in(quote(k.name), alias, from)}
			d.circular = !k.clears && slices.Contains(path, strings.ToLower(k.table))
			if !k.clears && !d.circular {
				path = append(path, strings.ToLower(k.table))
				next := fmt.Sprintf("p%d", len(path))
				visit(strings.ToLower(k.table), next, k.table+" AS "+next+" WHERE "+k.in(next, alias, from))
				path = path[:len(path)-1]
			}
			list = append(list, d)
		}
	}
	for _, rows := range rowsOfModel {
		visit(strings.ToLower(qualified("dbo", rows.table)), "p", rows.from)
	}
	if len(list) > maxDependents {
		return nil, fmt.Errorf("more than %d chains of other tables' foreign keys lead to a model", maxDependents)
	}
	return list, nil
}

// in is the condition that a row refers to one of those that from selects under an alias.
func (k foreignKey) in(referring, alias, from string) string {
	if len(k.columns) == 1 { // answered from an index on the column, or with one scan
		return fmt.Sprintf("%s.%s IN (SELECT %s.%s FROM %s)", referring, k.columns[0], alias, k.keys[0], from)
	}
	return fmt.Sprintf("EXISTS (SELECT 1 FROM %s AND %s)", from, k.equal(referring, alias))
}

var (
	// countForeign and removeForeign are completed with a table and a condition.
	countForeign  = Own("foreign-rows", `SELECT {count} FROM `)
	removeForeign = Own("remove-foreign-rows", `DELETE {top `+batchRows+`} FROM `)
)

// foreignRows counts the rows that refer to a model, by key. With onlyBlocking, it leaves out those
// whose key is set to NULL when the model is deleted.
func (t *Tx) foreignRows(model ingest.ModelID, onlyBlocking bool) (found []ingest.ForeignRows, err error) {
	list, err := t.dependents()
	if err != nil {
		return nil, err
	}
	for len(list) > 0 {
		d, conditions := list[0], []string(nil)
		list = slices.DeleteFunc(list, func(o dependent) bool {
			same := o.table == d.table && o.parent == d.parent && o.circular == d.circular &&
				slices.Equal(o.columns, d.columns) && slices.Equal(o.keys, d.keys)
			if same {
				conditions = append(conditions, o.where)
			}
			return same
		})
		if d.clears && onlyBlocking {
			continue
		}
		rows := ingest.ForeignRows{Table: d.name, Column: unquote(d.columns[0]), Refers: d.parent, Circular: d.circular}
		s := countForeign.and(d.table + ` WHERE ` + strings.Join(conditions, ` OR `))
		if err := t.One(s, model).Scan(&rows.Rows); err != nil {
			return nil, fmt.Errorf("rows of %s that refer to model %d: %w", d.name, model, err)
		}
		if rows.Rows > 0 {
			found = append(found, rows)
		}
	}
	return found, nil
}

func unquote(name string) string { return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`) }

// blocked returns an error if the rows of a model cannot be deleted without those of other programs.
func (t *Tx) blocked(model ingest.ModelID) error {
	rows, err := t.foreignRows(model, true)
	if err == nil && len(rows) > 0 {
		err = &ingest.ForeignRowsError{Model: model, Rows: rows}
	}
	return err
}

// removeForeign deletes the rows that refer to a marked model, in bounded batches. Rows whose key is
// set to NULL stay.
func (c *Catalog) removeForeign(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	var list []dependent
	err := c.read(ctx, func(t *Tx) (err error) {
		list, err = t.dependents()
		return err
	})
	for _, d := range list {
		for more := !d.clears && !d.circular; more && err == nil; {
			err = c.writeLong(ctx, lease, func(t *Tx) error {
				n, err := t.Change(removeForeign.and(d.table+` WHERE `+d.where), model)
				more = n > 0
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("rows of %s that refer to model %d: %w", d.name, model, err)
		}
	}
	return err
}
