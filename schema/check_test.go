package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// applied returns what the steps make, as a server reports it.
func asApplied(e *expectation) *findings {
	f := &findings{columns: map[string][]column{}, indexes: slices.Clone(e.indexes), keys: slices.Clone(e.keys)}
	for table, columns := range e.columns {
		f.columns[strings.ToLower(table)] = slices.Clone(columns)
	}
	return f
}

// alter changes one column in the findings.
func (f *findings) alter(table, name string, change func(*column)) {
	for i := range f.columns[table] {
		if f.columns[table][i].name == name {
			change(&f.columns[table][i])
		}
	}
}

func (f *findings) alterKey(table, column string, change func(*foreignKey)) {
	for i := range f.keys {
		if f.keys[i].table == table && f.keys[i].columns[0] == column {
			change(&f.keys[i])
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		table  string
		change func(*findings)
		want   string // what the table lacks, and what differs
	}{
		"as applied": {"ModelLayers", func(*findings) {}, "[] []"},
		"names in lower case": {"ModelLayers", func(f *findings) {
			f.alterKey("ModelLayers", "ModelId", func(k *foreignKey) {
				k.table, k.columns, k.to, k.keys = "modellayers", []string{"modelid"}, "models", []string{"modelid"}
			})
		}, "[] []"},
		"no table": {"Atoms", func(f *findings) { delete(f.columns, "atoms") }, "missing"},
		"no column": {"Atoms", func(f *findings) { f.columns["atoms"] = f.columns["atoms"][1:] },
			"[column AtomId] []"},
		"another type": {"Atoms", func(f *findings) {
			f.alter("atoms", "ByteSize", func(c *column) { c.kind = "int" })
		}, "[] [column ByteSize is int, want bigint]"},
		"shorter": {"Models", func(f *findings) {
			f.alter("models", "ModelName", func(c *column) { c.length = 100 })
		}, "[] [column ModelName is nvarchar(100), want nvarchar(200)]"},
		"an older length": {"Atoms", func(f *findings) {
			f.alter("atoms", "PayloadLocator", func(c *column) { c.length = 500 })
		}, "[] []"},
		"too short for that": {"Atoms", func(f *findings) {
			f.alter("atoms", "PayloadLocator", func(c *column) { c.length = 400 })
		}, "[] [column PayloadLocator is nvarchar(400), want nvarchar(1024)]"},
		"the type json": {"Models", func(f *findings) {
			f.alter("models", "Config", func(c *column) { c.kind, c.length = "json", 0 })
		}, "[] []"},
		"not NULL": {"Atoms", func(f *findings) {
			f.alter("atoms", "ByteSize", func(c *column) { c.null = false })
		}, "[] [column ByteSize is NOT NULL, want NULL]"},
		"no default": {"Atoms", func(f *findings) {
			f.alter("atoms", "IsActive", func(c *column) { c.fallback = false })
		}, "[] [column IsActive has no default]"},
		"no default needed": {"LayerTensorSegments", func(f *findings) {
			f.alter("layertensorsegments", "RawPayload", func(c *column) { c.fallback = false })
		}, "[] []"},
		"no index": {"Models", func(f *findings) {
			f.indexes = slices.DeleteFunc(f.indexes, func(i index) bool {
				return i.table == "Models" && i.columns[0] == "ModelType"
			})
		}, "[index on (ModelType)] []"},
		"an index that two steps make": {"IngestionJobAtoms", func(f *findings) {
			f.indexes = slices.DeleteFunc(f.indexes, func(i index) bool {
				return i.table == "IngestionJobAtoms" && i.columns[0] == "AtomId"
			})
		}, "[index on (AtomId)] []"},
		"an index of more columns": {"Models", func(f *findings) {
			for i := range f.indexes {
				if f.indexes[i].table == "Models" && f.indexes[i].columns[0] == "ModelType" {
					f.indexes[i].columns = append(f.indexes[i].columns, "ModelName")
				}
			}
		}, "[] []"},
		"an index that is not unique": {"Atoms", func(f *findings) {
			for i := range f.indexes {
				if f.indexes[i].table == "Atoms" && f.indexes[i].columns[0] == "ContentHash" {
					f.indexes[i].unique = false
				}
			}
		}, "[unique index on (ContentHash)] []"},
		"no key": {"ModelLayers", func(f *findings) {
			f.keys = slices.DeleteFunc(f.keys, func(k foreignKey) bool {
				return k.table == "ModelLayers" && k.to == "Atoms"
			})
		}, "[foreign key (LayerAtomId) to Atoms] []"},
		"a key to elsewhere": {"ModelLayers", func(f *findings) {
			f.alterKey("ModelLayers", "LayerAtomId", func(k *foreignKey) { k.to = "Models" })
		}, "[foreign key (LayerAtomId) to Atoms] []"},
		"a key to another column": {"ModelLayers", func(f *findings) {
			f.alterKey("ModelLayers", "LayerAtomId", func(k *foreignKey) { k.keys = []string{"ReferenceCount"} })
		}, "[foreign key (LayerAtomId) to Atoms] []"},
		"a key with another action": {"ModelLayers", func(f *findings) {
			f.alterKey("ModelLayers", "ModelId", func(k *foreignKey) { k.deletes = noAction })
		}, "[] [foreign key (ModelId) to Models has ON DELETE NO ACTION, want CASCADE]"},
		"a disabled key": {"ModelLayers", func(f *findings) {
			f.alterKey("ModelLayers", "ModelId", func(k *foreignKey) { k.off = true })
		}, "[] [foreign key (ModelId) to Models is disabled]"},
		"a right key beside a wrong one": {"ModelLayers", func(f *findings) {
			for _, k := range f.keys {
				if k.table == "ModelLayers" {
					k.deletes = noAction
					f.keys = append([]foreignKey{k}, f.keys...)
				}
			}
		}, "[] []"},
	} {
		t.Run(name, func(t *testing.T) {
			e := expect(script(t, plain))
			found := asApplied(e)
			c.change(found)
			for _, table := range e.tables {
				got, want := e.compare(table, found), "[] []"
				if table == c.table {
					want = c.want
				}
				text := fmt.Sprint(got.Lacks, got.Different)
				if got.Missing {
					text = "missing"
				}
				if text != want || got.OK() != (want == "[] []") {
					t.Errorf("%s: %s, want %s", table, text, want)
				}
			}
		})
	}
}
