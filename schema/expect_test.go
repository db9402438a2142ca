package schema

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var plain = Server{Product: "SQL Server"}

func script(t *testing.T, s Server) []Step {
	t.Helper()
	steps, err := s.Script()
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestExpectationIsReadFromTheSteps(t *testing.T) {
	e := expect(script(t, plain))
	for _, table := range []string{"Atoms", "Models", "ModelMetadata", "ModelLayers", "LayerTensorSegments",
		"IngestionJobs", "IngestionJobAtoms", "CatalogIdentity", "IngestionJobKeys", "ModelKeys", "ModelMerges",
		"ModelFiles", "FilePaths", "ModelNames", "ModelNameFiles", "FileSegments"} {
		if !slices.Contains(e.tables, table) || len(e.columns[table]) < 2 {
			t.Errorf("table %s has columns %v", table, e.columns[table])
		}
	}
	for _, c := range []struct {
		table string
		want  column
	}{
		{"Atoms", column{"ContentHash", "binary", 32, false, false}},
		{"Atoms", column{"ByteSize", "bigint", 0, true, false}},
		{"Models", column{"Config", "nvarchar", -1, true, false}},
		{"LayerTensorSegments", column{"RawPayload", "varbinary", -1, false, true}},
		{"IngestionJobs", column{"LeaseExpires", "datetime2", 0, true, false}},
		{"CatalogIdentity", column{"Identity", "nvarchar", 36, false, false}},
	} {
		if !slices.Contains(e.columns[c.table], c.want) {
			t.Errorf("%s has columns %+v, want %+v", c.table, e.columns[c.table], c.want)
		}
	}
	if len(e.indexes) < 30 || len(e.keys) < 15 {
		t.Errorf("%d indexes, %d foreign keys", len(e.indexes), len(e.keys))
	}
	for _, want := range []foreignKey{
		{table: "ModelLayers", columns: []string{"LayerAtomId"}, to: "Atoms", keys: []string{"AtomId"},
			deletes: "SET NULL"},
		{table: "Models", columns: []string{"IngestionJobId"}, to: "IngestionJobs", keys: []string{"IngestionJobId"},
			deletes: "SET NULL"},
		{table: "ModelMerges", columns: []string{"IntoModelId"}, to: "Models", keys: []string{"ModelId"},
			deletes: "CASCADE"},
		{table: "FileSegments", columns: []string{"AtomId"}, to: "Atoms", keys: []string{"AtomId"},
			deletes: "NO ACTION"},
	} {
		if !slices.ContainsFunc(e.keys, func(k foreignKey) bool { return reflect.DeepEqual(k, want) }) {
			t.Errorf("no key is %+v", want)
		}
	}
}

func TestStepsFitTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		server Server
		want   []string
		not    []string
	}{
		"plain": {plain, []string{"nvarchar(max) NULL"}, []string{"varbinary(max) FILESTREAM", "FILESTREAM_ON",
			"$(", " json "}},
		"2025": {Server{JSON: true, Geometry: true}, []string{"Config             json NULL", "geometry NULL"},
			[]string{"$("}},
		"filestream": {Server{Filegroup: "a]b"}, []string{"varbinary(max) FILESTREAM NOT NULL", "FILESTREAM_ON [a]]b]"},
			[]string{"$("}},
	} {
		t.Run(name, func(t *testing.T) {
			text := "" // with comments: they are printed, too
			for _, step := range script(t, c.server) {
				text += step.SQL
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("%q is present", not)
				}
			}
		})
	}
}

// SQL Server refuses a table that cascades reach on two paths (error 1785). Other engines do not.
func TestNoTableIsReachedByTwoCascades(t *testing.T) {
	parents := map[string][]string{} // of each table, those whose deletes cascade to it
	for _, key := range expect(script(t, plain)).keys {
		if key.deletes != noAction {
			parents[key.table] = append(parents[key.table], key.to)
		}
	}
	if len(parents["ModelLayers"]) != 2 || len(parents["ModelNameFiles"]) != 1 {
		t.Fatalf("the cascades are %v", parents)
	}
	var paths func(from, to string) int
	paths = func(from, to string) int {
		if from == to {
			return 1
		}
		n := 0
		for _, parent := range parents[to] {
			n += paths(from, parent)
		}
		return n
	}
	for _, from := range append(slices.Collect(maps.Keys(parents)), "Models", "Atoms", "IngestionJobs") {
		for to := range parents {
			if n := paths(from, to); from != to && n > 1 {
				t.Errorf("%s is reached from %s on %d paths", to, from, n)
			}
		}
	}
}

func TestBatches(t *testing.T) {
	got := Batches("a\nGO\n\nb -- GO\n go \nGO\nc")
	if !slices.Equal(got, []string{"a", "b -- GO", "c"}) {
		t.Errorf("batches are %q", got)
	}
}
