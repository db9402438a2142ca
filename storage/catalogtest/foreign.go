package catalogtest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// other makes a table of another program with these columns, and drops it at the end of the test.
func (r *run) other(name, columns string) (drop func()) {
	r.Helper()
	r.exec(`CREATE TABLE ` + name + ` (` + columns + `)`)
	return func() { r.exec(`DROP TABLE ` + name) }
}

// wantForeign checks that err says how many rows of tables refer to the model.
func (r *run) wantForeign(err error, model ingest.ModelID, rows map[string]int64) {
	r.Helper()
	var foreign *ingest.ForeignRowsError
	if !errors.As(err, &foreign) || foreign.Model != model {
		r.Fatalf("error is %v, want rows %v of model %d", err, rows, model)
	}
	got, expected := make(map[string]int64), make(map[string]int64)
	for _, f := range foreign.Rows {
		got[strings.ToLower(f.Table+"."+f.Column+" "+f.Refers)] = f.Rows
	}
	for key, n := range rows {
		expected[strings.ToLower(key)] = n // some engines change the case of names
	}
	want(r.T, "rows", fmt.Sprint(got), fmt.Sprint(expected))
}

// wantRefused checks that the model is not removed, and that neither its rows nor those of other
// tables changed.
func (r *run) wantRefused(model ingest.ModelID, cascade bool, rows map[string]int64) {
	r.Helper()
	before := r.summary(model)
	removal, err := r.Removal(r.Context(), model)
	must(r.T, err)
	r.wantForeign(&ingest.ForeignRowsError{Model: model, Rows: removal.Foreign}, model, rows)
	r.wantForeign(r.Remove(r.Context(), r.lease, model, cascade), model, rows)
	after := r.summary(model)
	want(r.T, "state", after.State, before.State)
	want(r.T, "segments", r.segments(model), after.Segments)
	for key, n := range rows {
		table, _, _ := strings.Cut(key, ".")
		if got := r.count(`SELECT COUNT(*) FROM ` + table); got < n {
			r.Fatalf("%d rows of %s are left, want %d", got, table, n)
		}
	}
}

// segments counts the rows of a model's segments.
func (r *run) segments(model ingest.ModelID) int64 {
	r.Helper()
	return r.count(`SELECT COUNT(*) FROM LayerTensorSegments AS s INNER JOIN ModelLayers AS l ON l.LayerId = s.LayerId
			WHERE l.ModelId = @p1`, int64(model)) +
		r.count(`SELECT COUNT(*) FROM FileSegments AS s INNER JOIN ModelFiles AS f ON f.ModelFileId = s.ModelFileId
			WHERE f.ModelId = @p1`, int64(model))
}

// referring are the keys of tables whose rows go with a model, and the rows of model %d.
var referring = []struct{ table, keys, types, of string }{
	{"Models", "ModelId", "int", "Models WHERE ModelId = %d"},
	{"ModelMetadata", "MetadataId", "int", "ModelMetadata WHERE ModelId = %d"},
	{"ModelMerges", "ModelId", "int", "ModelMerges WHERE IntoModelId = %d"},
	{"ModelNames", "ModelNameId", "bigint", "ModelNames WHERE ModelId = %d"},
	{"ModelNameFiles", "ModelNameId, ModelFileId", "bigint, bigint",
		"ModelNameFiles WHERE ModelNameId IN (SELECT ModelNameId FROM ModelNames WHERE ModelId = %d)"},
	{"ModelLayers", "LayerId", "bigint", "ModelLayers WHERE ModelId = %d"},
	{"ModelFiles", "ModelFileId", "bigint", "ModelFiles WHERE ModelId = %d"},
	{"ModelFiles", "ModelId, FileIdx", "int, int", "ModelFiles WHERE ModelId = %d"},
	{"FilePaths", "FilePathId", "bigint",
		"FilePaths WHERE ModelFileId IN (SELECT ModelFileId FROM ModelFiles WHERE ModelId = %d)"},
	{"LayerTensorSegments", "LayerTensorSegmentId", "bigint",
		"LayerTensorSegments WHERE LayerId IN (SELECT LayerId FROM ModelLayers WHERE ModelId = %d)"},
	{"LayerTensorSegments", "LayerId, SegmentOrdinal", "bigint, int",
		"LayerTensorSegments WHERE LayerId IN (SELECT LayerId FROM ModelLayers WHERE ModelId = %d)"},
	{"FileSegments", "FileSegmentId", "bigint",
		"FileSegments WHERE ModelFileId IN (SELECT ModelFileId FROM ModelFiles WHERE ModelId = %d)"},
}

// refers removes a model that rows of another program refer to by referring[i].
func (r *run) refers(i int, action string) {
	r.Helper()
	to := referring[i]
	path := fmt.Sprintf("/m%d%s.gguf", i, action)
	id := r.take(newWork("m", gguf(path, path)))
	want(r.T, "merged", r.take(newWork("again", gguf(path+"2", path))), id)
	columns, types := strings.Split(to.keys, ", "), strings.Split(to.types, ", ")
	var defined []string
	for j := range columns {
		defined = append(defined, columns[j]+" "+types[j]+" NOT NULL")
	}
	defer r.other("Others", strings.Join(defined, ", ")+", FOREIGN KEY ("+to.keys+") REFERENCES "+to.table+" ("+
		to.keys+")"+action)()
	r.exec(`INSERT INTO Others (` + to.keys + `) SELECT ` + to.keys + ` FROM ` + fmt.Sprintf(to.of, id))
	n := r.count(`SELECT COUNT(*) FROM Others`)
	want(r.T, "there are rows of "+to.table, n > 0, true)
	r.wantRefused(id, false, map[string]int64{"Others." + columns[0] + " " + to.table: n})
	must(r.T, r.Remove(r.Context(), r.lease, id, true))
	want(r.T, "rows left", r.count(`SELECT COUNT(*) FROM Others`), 0)
	want(r.T, "models", len(list(r.T, r.Models(r.Context()))), 0)
}

var foreignTests = []test{
	{name: "rows of other programs that refer to any row of a model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for i := range referring {
			for _, action := range []string{"", " ON DELETE CASCADE"} {
				r.refers(i, action)
			}
		}
		r.check()
	}},
	{name: "a model that is being removed waits for the rows of other programs", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("m", gguf("/m.gguf", "m")))
		defer r.other("Others", `ModelId int NOT NULL REFERENCES Models (ModelId) ON DELETE CASCADE`)()
		defer r.other("Clearing", `ModelId int NULL REFERENCES Models (ModelId) ON DELETE SET NULL`)()
		for _, table := range []string{"Others", "Clearing"} {
			r.exec(`INSERT INTO `+table+` (ModelId) VALUES (@p1)`, int64(id))
		}
		byHand(t, r.Catalog).Mark(t, id)
		r.wantRefused(id, false, map[string]int64{"Others.ModelId Models": 1})
		r.exec(`DELETE FROM Others`)
		r.remove(id)
		want(t, "rows with NULL", r.count(`SELECT COUNT(*) FROM Clearing WHERE ModelId IS NULL`), 1)
	}},
	{name: "a model is not abandoned while rows of other programs refer to it", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.fill(newWork("m", gguf("/m.gguf", "m"))).ID
		rows := r.segments(id)
		defer r.other("Others", `LayerId bigint NOT NULL REFERENCES ModelLayers (LayerId) ON DELETE CASCADE`)()
		defer r.other("Clearing", `ModelId int NULL REFERENCES Models (ModelId) ON DELETE SET NULL`)()
		r.exec(`INSERT INTO Others (LayerId) SELECT MIN(LayerId) FROM ModelLayers`)
		r.exec(`INSERT INTO Clearing (ModelId) VALUES (@p1)`, int64(id))
		r.wantForeign(r.Abandon(t.Context(), r.lease, id), id, map[string]int64{"Others.LayerId ModelLayers": 1})
		want(t, "state", r.summary(id).State, ingest.ModelOpen)
		want(t, "segments", r.segments(id), rows)
		r.exec(`DELETE FROM Others`)
		must(t, r.Abandon(t.Context(), r.lease, id))
		want(t, "rows with NULL", r.count(`SELECT COUNT(*) FROM Clearing WHERE ModelId IS NULL`), 1)
		want(t, "models", len(list(t, r.Models(t.Context()))), 0)
	}},
	{name: "rows that refer to rows of other programs", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id, kept := r.take(newWork("m", gguf("/m.gguf", "m"))), r.take(newWork("k", gguf("/k.gguf", "k")))
		// Runs refer to the model in two ways, and a row of Steps in each of them.
		defer r.other("Runs", `RunId int NOT NULL PRIMARY KEY, ModelId int NULL REFERENCES Models (ModelId),
			ModelFileId bigint NULL REFERENCES ModelFiles (ModelFileId)`)()
		defer r.other("Steps", `Run int NOT NULL REFERENCES Runs (RunId), Step int NOT NULL, PRIMARY KEY (Run, Step)`)()
		defer r.other("Logs", `Run int NOT NULL, Step int NOT NULL,
			FOREIGN KEY (Run, Step) REFERENCES Steps (Run, Step)`)()
		r.exec(`INSERT INTO Runs (RunId, ModelId) VALUES (1, @p1)`, int64(id))
		r.exec(`INSERT INTO Runs (RunId, ModelFileId)
			SELECT 2, MIN(ModelFileId) FROM ModelFiles WHERE ModelId = @p1`, int64(id))
		r.exec(`INSERT INTO Runs (RunId, ModelId) VALUES (3, @p1)`, int64(kept))
		r.exec(`INSERT INTO Steps (Run, Step) SELECT RunId, 1 FROM Runs`)
		r.exec(`INSERT INTO Steps (Run, Step) SELECT RunId, 2 FROM Runs`)
		r.exec(`INSERT INTO Logs (Run, Step) SELECT Run, Step FROM Steps`)
		r.wantRefused(id, false, map[string]int64{"Runs.ModelId Models": 1, "Runs.ModelFileId ModelFiles": 1,
			"Steps.Run Runs": 4, "Logs.Run Steps": 4})
		must(t, r.Remove(t.Context(), r.lease, id, true))
		for table, n := range map[string]int64{"Runs": 1, "Steps": 2, "Logs": 2} {
			want(t, "rows of "+table, r.count(`SELECT COUNT(*) FROM `+table), n)
		}
		r.exec(`DELETE FROM Logs`)
		r.exec(`DELETE FROM Steps`)
		r.exec(`DELETE FROM Runs`)
		r.check()
	}},
	{name: "rows that refer to each other are not removed", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("m", gguf("/m.gguf", "m")))
		defer r.other("Notes", `NoteId int NOT NULL PRIMARY KEY, ModelId int NULL REFERENCES Models (ModelId),
			AnswerTo int NULL REFERENCES Notes (NoteId)`)()
		r.exec(`INSERT INTO Notes (NoteId, ModelId) VALUES (1, @p1)`, int64(id))
		r.exec(`INSERT INTO Notes (NoteId, AnswerTo) VALUES (2, 1)`)
		r.exec(`INSERT INTO Notes (NoteId, AnswerTo) VALUES (3, 2)`)
		for _, cascade := range []bool{false, true} {
			r.wantRefused(id, cascade, map[string]int64{"Notes.ModelId Models": 1, "Notes.AnswerTo Notes": 1})
		}
		r.exec(`DELETE FROM Notes WHERE NoteId = 3`)
		r.exec(`DELETE FROM Notes WHERE NoteId = 2`)
		must(t, r.Remove(t.Context(), r.lease, id, true))
	}},
	{name: "the payload of an atom of another program's row is needed", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		id := r.take(w)
		s := list(t, r.Segments(t.Context(), r.summary(id).Files[0].ID, 0))
		defer r.other("Favourites", `AtomId bigint NULL REFERENCES Atoms (AtomId)`)()
		r.exec(`INSERT INTO Favourites (AtomId) SELECT AtomId FROM Atoms WHERE ContentHash = @p1`, s[0].Digest[:])
		r.exec(`INSERT INTO Favourites (AtomId) VALUES (NULL)`)
		r.exec(`INSERT INTO Models (ModelName, ModelType) VALUES ('theirs', 'GGUF')`)
		r.exec(`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerAtomId) SELECT MAX(m.ModelId), 0,
			(SELECT AtomId FROM Atoms WHERE ContentHash = @p1) FROM Models AS m`, s[1].Digest[:])
		r.remove(id)
		digests := []ingest.Digest{s[0].Digest, s[1].Digest, s[2].Digest}
		got, err := r.Referenced(t.Context(), digests)
		must(t, err)
		for i, expected := range []int{1, 1, 0} {
			want(t, "names", len(got[digests[i]]), expected)
		}
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms removed", atoms, w.sources[0].plan().Count()-2)
		r.exec(`DELETE FROM Favourites`)
		r.exec(`UPDATE ModelLayers SET LayerAtomId = NULL`)
		got, err = r.Referenced(t.Context(), digests)
		must(t, err)
		want(t, "needed", len(got), 0)
		atoms, _, err = r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms removed", atoms, 2)
		r.exec(`DELETE FROM ModelLayers`)
		r.exec(`DELETE FROM Models`)
	}},
	{name: "a sum that overflows does not keep a model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		id := r.take(w)
		for _, table := range []string{"LayerTensorSegments", "FileSegments", "Atoms"} {
			r.exec(`UPDATE ` + table + ` SET ByteSize = 4611686018427387904`)
		}
		removal, err := r.Removal(t.Context(), id)
		must(t, err)
		want(t, "freed", removal.Freed, math.MaxInt64)
		r.remove(id)
		atoms, bytes, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms", atoms, w.sources[0].plan().Count())
		want(t, "bytes", bytes, math.MaxInt64)
	}},
}
