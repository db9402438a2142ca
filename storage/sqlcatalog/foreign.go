package sqlcatalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// own are the tables that this program writes.
var own = []string{"Atoms", "Models", "ModelMetadata", "ModelLayers", "LayerTensorSegments", "IngestionJobs",
	"IngestionJobAtoms", "CatalogIdentity",
	"IngestionJobKeys", "ModelKeys", "ModelMerges", "ModelFiles", "FilePaths", "ModelNames", "ModelNameFiles",
	"FileSegments", "SchemaSteps"}

func isOwn(table string) bool {
	return slices.ContainsFunc(own, func(name string) bool { return strings.EqualFold(name, table) })
}

// foreignKey says that a column of a table refers to a column of another one.
type foreignKey struct {
	table, column string // as they stand in a statement
	name          string // of the table
	parent, key   string // the table and the column that it refers to
	clears        bool   // the column is set to NULL, or to its default, when the row that it refers to goes
}

// selectKeys reads the foreign keys of the database, as far as this login may see them: schema, table and
// column that refer, table
// and column that are referred to, and what happens on delete. Keys of several columns are left out: none of our
// tables is referred to by one.
var selectKeys = differs("foreign-keys")

// keysOfDatabase are the foreign keys by the table that they refer to, in lower case.
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

// quote makes any name an identifier, in every engine.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// foreignKeys are the keys to one of our tables of tables that are not ours.
func (t *Tx) foreignKeys(parent string) ([]foreignKey, error) {
	all, err := t.keysOfDatabase()
	return slices.DeleteFunc(all[strings.ToLower(parent)], func(k foreignKey) bool { return isOwn(k.name) }), err
}

// rowsOfModel select the rows of a model, @p1, from the tables that other programs may refer to.
var rowsOfModel = []struct{ table, from string }{
	{"Models", `dbo.Models AS p WHERE p.ModelId = @p1`},
	{"ModelLayers", `dbo.ModelLayers AS p WHERE p.ModelId = @p1`},
	{"ModelFiles", `dbo.ModelFiles AS p WHERE p.ModelId = @p1`},
	{"LayerTensorSegments", `dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS p ON p.LayerId = l.LayerId WHERE l.ModelId = @p1`},
	{"FileSegments", `dbo.ModelFiles AS f INNER JOIN dbo.FileSegments AS p ON p.ModelFileId = f.ModelFileId WHERE f.ModelId = @p1`},
}

// dependent are rows of another program's table that refer to a model, or to rows that do.
type dependent struct {
	foreignKey
	where string // which, of the table
}

// dependents are all that refer to the model, those before to which others refer.
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

// foreignRows counts what refers to a model.
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

// removeForeign removes what refers to a model, in bounded batches. What is cleared when the model goes stays.
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
