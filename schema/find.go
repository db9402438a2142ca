package schema

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// findings are what a database has. Names compare without regard to case, which not every engine
// keeps.
type findings struct {
	columns  map[string][]column // by table, in lower case
	defaults map[string]bool     // by "table.column" in lower case
	indexes  []index
	keys     []foreignKey
}

// index reports whether an index can replace want: it serves the same lookups and guarantees
// uniqueness if wanted.
func (f *findings) index(want index) bool {
	return slices.ContainsFunc(f.indexes, func(have index) bool {
		return strings.EqualFold(have.table, want.table) && (have.unique || !want.unique) &&
			len(have.columns) >= len(want.columns) && (!want.unique || len(have.columns) == len(want.columns)) &&
			equal(have.columns[:len(want.columns)], want.columns)
	})
}

// key returns the foreign key between the same columns as want. If there are several, it prefers
// one that does not differ.
func (f *findings) key(want foreignKey) (found *foreignKey) {
	for i, have := range f.keys {
		if !strings.EqualFold(have.table, want.table) || !strings.EqualFold(have.to, want.to) ||
			!equal(have.columns, want.columns) || !equal(have.keys, want.keys) {
			continue
		}
		if found == nil || want.differs(have) == "" {
			found = &f.keys[i]
		}
	}
	return found
}

func equal(a, b []string) bool { return slices.EqualFunc(a, b, strings.EqualFold) }

func find(ctx context.Context, db querier) (*findings, error) {
	f := &findings{}
	for _, read := range []func(context.Context, querier) error{f.findDefaults, f.findColumns, f.findIndexes,
		f.findKeys} {
		if err := read(ctx, db); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// findDefaults finds out only whether there is a default: a login may not be allowed to see its
// definition.
func (f *findings) findDefaults(ctx context.Context, db querier) error {
	f.defaults = map[string]bool{}
	return each(ctx, db, func(rows *sql.Rows) error {
		var table, column string
		err := rows.Scan(&table, &column)
		f.defaults[strings.ToLower(table+"."+column)] = true
		return err
	}, `/* ingest: find-defaults */ SELECT t.name, c.name
		FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
		WHERE t.schema_id = SCHEMA_ID(N'dbo') AND c.default_object_id <> 0`)
}

func (f *findings) findColumns(ctx context.Context, db querier) error {
	f.columns = map[string][]column{}
	return each(ctx, db, func(rows *sql.Rows) error {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind, &c.length, &c.null); err != nil {
			return err
		}
		if c.kind != "nvarchar" && c.kind != "binary" && c.kind != "varbinary" {
			c.length = 0
		}
		table = strings.ToLower(table)
		c.fallback = f.defaults[table+"."+strings.ToLower(c.name)]
		f.columns[table] = append(f.columns[table], c)
		return nil
	}, `/* ingest: find-columns */ SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_MAXIMUM_LENGTH, 0),
			CASE WHEN IS_NULLABLE = 'YES' THEN 1 ELSE 0 END
		FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = N'dbo'`)
}

// findIndexes skips indexes with a filter, and disabled ones.
func (f *findings) findIndexes(ctx context.Context, db querier) error {
	type id struct{ object, number int }
	var last id
	return each(ctx, db, func(rows *sql.Rows) error {
		var this id
		var i index
		var column string
		if err := rows.Scan(&i.table, &this.object, &this.number, &i.unique, &column); err != nil {
			return err
		}
		if this != last {
			last = this
			f.indexes = append(f.indexes, i)
		}
		whole := &f.indexes[len(f.indexes)-1]
		whole.columns = append(whole.columns, column)
		return nil
	}, `/* ingest: find-indexes */ SELECT t.name, i.object_id, i.index_id, i.is_unique, c.name FROM sys.tables AS t
		INNER JOIN sys.indexes AS i ON i.object_id = t.object_id
		INNER JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
		INNER JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
		WHERE ic.key_ordinal > 0 AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
			AND t.schema_id = SCHEMA_ID(N'dbo')
		ORDER BY i.object_id, i.index_id, ic.key_ordinal`)
}

func (f *findings) findKeys(ctx context.Context, db querier) error {
	last := 0
	return each(ctx, db, func(rows *sql.Rows) error {
		var k foreignKey
		var id int
		var column, key string
		if err := rows.Scan(&id, &k.table, &k.to, &k.deletes, &k.off, &column, &key); err != nil {
			return err
		}
		if id != last {
			last = id
			k.deletes = strings.ReplaceAll(k.deletes, "_", " ")
			f.keys = append(f.keys, k)
		}
		whole := &f.keys[len(f.keys)-1]
		whole.columns, whole.keys = append(whole.columns, column), append(whole.keys, key)
		return nil
	}, `/* ingest: find-keys */ SELECT f.object_id, t.name, r.name, f.delete_referential_action_desc, f.is_disabled,
			tc.name, rc.name
		FROM sys.foreign_keys AS f
		INNER JOIN sys.tables AS t ON t.object_id = f.parent_object_id
		INNER JOIN sys.tables AS r ON r.object_id = f.referenced_object_id
		INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
		INNER JOIN sys.columns AS tc ON tc.object_id = k.parent_object_id AND tc.column_id = k.parent_column_id
		INNER JOIN sys.columns AS rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
		WHERE t.schema_id = SCHEMA_ID(N'dbo') AND r.schema_id = SCHEMA_ID(N'dbo')
		ORDER BY f.object_id, k.constraint_column_id`)
}

func each(ctx context.Context, db querier, row func(*sql.Rows) error, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
