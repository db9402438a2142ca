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
	"ModelNames", "ModelNameFiles", "FileSegments", "SchemaSteps"}

func isOwn(table string) bool {
	return slices.ContainsFunc(own, func(name string) bool { return strings.EqualFold(name, table) })
}

// foreignKey is a column that refers to a column of another table.
type foreignKey struct {
	table, column string // quoted
	name          string // of the table, unquoted
	parent, key   string // the referenced table, unquoted, and its column, quoted
	clears        bool   // ON DELETE SET NULL or SET DEFAULT
}

// selectKeys reads the foreign keys that this login may see: the referring schema, table and
// column, the referenced table and column, and the action on delete. It skips keys of several
// columns: none of our tables is referenced by one.
var selectKeys = differs("foreign-keys")

// keysOfDatabase returns all foreign keys by the table that they refer to, in lower case.
func (t *Tx) keysOfDatabase() (map[string][]foreignKey, error) {
	all := make(map[string][]foreignKey)
	err := t.Each(func(row Scanner) error {
		var schema, action string
		var k foreignKey
		if err := row.Scan(&schema, &k.name, &k.column, &k.parent, &k.key, &action); err != nil {
			return err
		}
		if k.table = quote(k.name); schema != "" {
			k.table = quote(schema) + "." + k.table
		}
		k.column, k.key = quote(k.column), quote(k.key)
		k.clears = strings.HasPrefix(strings.ReplaceAll(action, "_", " "), "SET ")
		parent := strings.ToLower(k.parent)
		all[parent] = append(all[parent], k)
		return nil
	}, selectKeys)
	return all, err
}

// quote returns any name as an identifier that every engine takes.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// foreignKeys returns the keys of other programs' tables to one of ours.
func (t *Tx) foreignKeys(parent string) ([]foreignKey, error) {
	all, err := t.keysOfDatabase()
	return slices.DeleteFunc(all[strings.ToLower(parent)], func(k foreignKey) bool { return isOwn(k.name) }), err
}

// rowsOfModel selects the rows of model @p1 from the tables that other programs may refer to.
var rowsOfModel = []struct{ table, from string }{
	{"Models", `dbo.Models AS p WHERE p.ModelId = @p1`},
	{"ModelLayers", `dbo.ModelLayers AS p WHERE p.ModelId = @p1`},
	{"ModelFiles", `dbo.ModelFiles AS p WHERE p.ModelId = @p1`},
	{"LayerTensorSegments", `dbo.ModelLayers AS l
		INNER JOIN dbo.LayerTensorSegments AS p ON p.LayerId = l.LayerId WHERE l.ModelId = @p1`},
	{"FileSegments", `dbo.ModelFiles AS f
		INNER JOIN dbo.FileSegments AS p ON p.ModelFileId = f.ModelFileId WHERE f.ModelId = @p1`},
}

// dependent selects rows of another program's table that refer to a model, directly or through
// other rows.
type dependent struct {
	foreignKey
	where string
}

// dependents returns all that refer to the model. Rows that others refer to come after those
// others.
func (t *Tx) dependents() (list []dependent, err error) {
	keys, err := t.keysOfDatabase()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var visit func(parent, from string)
	visit = func(parent, from string) {
		for _, k := range keys[strings.ToLower(parent)] {
			where := fmt.Sprintf("%s IN (SELECT p.%s FROM %s)", k.column, k.key, from)
			if path := k.table + k.column + parent; !isOwn(k.name) && !seen[path] {
				seen[path] = true
				if !k.clears {
					visit(k.name, fmt.Sprintf("%s AS p WHERE p.%s", k.table, where))
				}
				list = append(list, dependent{k, where})
			}
		}
	}
	for _, rows := range rowsOfModel {
		visit(rows.table, rows.from)
	}
	return list, nil
}

var (
	// countForeign and removeForeign are completed with a table and a condition.
	countForeign  = Own("foreign-rows", `SELECT {count} FROM `)
	removeForeign = Own("remove-foreign-rows", `DELETE {top 1000} FROM `)
)

// foreignRows counts the rows that refer to a model.
func (t *Tx) foreignRows(model ingest.ModelID) (found []ingest.ForeignRows, err error) {
	list, err := t.dependents()
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		rows := ingest.ForeignRows{Table: d.name, Column: strings.Trim(d.column, `"`), Refers: d.parent}
		if err := t.One(countForeign.and(d.table+` WHERE `+d.where), model).Scan(&rows.Rows); err != nil {
			return nil, fmt.Errorf("rows of %s that refer to model %d: %w", d.name, model, err)
		}
		if rows.Rows > 0 {
			found = append(found, rows)
		}
	}
	return found, nil
}

// removeForeign deletes the rows that refer to a model, in bounded batches. Keys with SET NULL or
// SET DEFAULT keep their rows.
func (c *Catalog) removeForeign(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	var list []dependent
	err := c.read(ctx, func(t *Tx) (err error) {
		list, err = t.dependents()
		return err
	})
	for _, d := range list {
		for more := !d.clears; more && err == nil; {
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
