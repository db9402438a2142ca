package sqlserver

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func TestApplyTwiceAndNewer(t *testing.T) {
	address := newDatabase(t)
	if _, err := Open(t.Context(), address, Settings{}); err == nil ||
		!strings.Contains(err.Error(), "ingest schema apply") {
		t.Errorf("opening an empty database: %v", err)
	}
	if r := apply(t, address); len(r.Steps) == 0 || r.Applied != 0 {
		t.Errorf("first: %+v", r)
	}
	db := schemaDB(t, address)
	if r := apply(t, address); len(r.Steps) != 0 {
		t.Errorf("second: %d steps", len(r.Steps))
	}
	// Every step can run again on what it made.
	if _, err := db.Exec(`DELETE FROM dbo.SchemaSteps`); err != nil {
		t.Fatal(err)
	}
	if r := apply(t, address); len(r.Steps) == 0 {
		t.Error("no step was executed again")
	}
	if _, err := db.Exec(`INSERT INTO dbo.SchemaSteps (Number, Name) VALUES (99, N'to come')`); err != nil {
		t.Fatal(err)
	}
	var newer *schema.NewerError
	if _, err := schema.Apply(t.Context(), db); !errors.As(err, &newer) || newer.Applied != 99 {
		t.Errorf("apply to a newer database: %v", err)
	}
	if _, err := Open(t.Context(), address, Settings{}); !errors.As(err, &newer) {
		t.Errorf("opening a newer database: %v", err)
	}
}

func TestTwoProcessesApplyAtOnce(t *testing.T) {
	address := newDatabase(t)
	var group sync.WaitGroup
	steps := make([]int, 3)
	for i := range steps {
		group.Go(func() {
			r, err := applied(address)
			if err != nil {
				t.Error(err)
				return
			}
			steps[i] = len(r.Steps)
		})
	}
	group.Wait()
	all, err := schema.Steps(schema.SQLServer)
	if err != nil || steps[0]+steps[1]+steps[2] != len(all) {
		t.Errorf("applied %v, want %d in all", steps, len(all))
	}
}

func TestCheckReportsDifferences(t *testing.T) {
	address := newDatabase(t)
	apply(t, address)
	db := schemaDB(t, address)
	for _, query := range []string{`DROP TABLE dbo.FilePaths`, `ALTER TABLE dbo.ModelLayers DROP COLUMN ByteSize`,
		`ALTER TABLE dbo.Models ALTER COLUMN State nvarchar(40)`,
		`ALTER TABLE dbo.ModelMetadata DROP CONSTRAINT FK_ModelMetadata_Models_ModelId`,
		`ALTER TABLE dbo.ModelMetadata ADD CONSTRAINT FK_Another
			FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId)`,
		`ALTER TABLE dbo.IngestionJobKeys DROP CONSTRAINT FK_IngestionJobKeys_IngestionJobs_IngestionJobId`,
		`DROP INDEX IX_ModelKeys_ModelId ON dbo.ModelKeys`} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	checked, err := schema.Check(t.Context(), db)
	if err != nil || checked.OK() {
		t.Fatalf("checked %+v, %v", checked, err)
	}
	for _, table := range checked.Tables {
		want := map[string]string{"FilePaths": "true [] []", "ModelLayers": "false [column ByteSize] []",
			"Models":           "false [] [column State is nvarchar(40), want nvarchar(20)]",
			"ModelMetadata":    "false [] [foreign key (ModelId) to Models has ON DELETE NO ACTION, want CASCADE]",
			"IngestionJobKeys": "false [foreign key (IngestionJobId) to IngestionJobs] []",
			"ModelKeys":        "false [index on (ModelId)] []"}[table.Name]
		if got := describe(table); want == "" && !table.OK() || want != "" && got != want {
			t.Errorf("%s: %s, want %s", table.Name, got, want)
		}
	}
}

// Apply makes again what was dropped.
func TestApplyRepairs(t *testing.T) {
	address := newDatabase(t)
	apply(t, address)
	db := schemaDB(t, address)
	for _, query := range []string{`DROP TABLE dbo.FilePaths`, `ALTER TABLE dbo.ModelLayers DROP COLUMN ByteSize`} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if r := apply(t, address); len(r.Steps) == 0 {
		t.Error("no step was executed again")
	}
	if checked, err := schema.Check(t.Context(), db); err != nil || !checked.OK() {
		t.Errorf("checked %+v, %v", checked, err)
	}
	if r := apply(t, address); len(r.Steps) != 0 {
		t.Errorf("%d steps were executed although nothing was missing", len(r.Steps))
	}
}

// Apply reports differences that no step repairs.
func TestApplyReportsWhatItLeaves(t *testing.T) {
	address := newDatabase(t)
	apply(t, address)
	db := schemaDB(t, address)
	if _, err := db.Exec(`ALTER TABLE dbo.IngestionJobKeys
		DROP CONSTRAINT FK_IngestionJobKeys_IngestionJobs_IngestionJobId`); err != nil {
		t.Fatal(err)
	}
	r := apply(t, address)
	if len(r.Steps) != 0 || len(r.Left) != 1 ||
		describe(r.Left[0]) != "false [foreign key (IngestionJobId) to IngestionJobs] []" {
		t.Errorf("%d steps, left %+v", len(r.Steps), r.Left)
	}
	if _, err := db.Exec(`DROP TABLE dbo.FilePaths`); err != nil {
		t.Fatal(err)
	}
	if r, err := schema.Preview(t.Context(), db); err != nil || len(r.Steps) == 0 || len(r.Left) != 2 {
		t.Errorf("a preview is %+v, %v", r, err)
	}
	if r := apply(t, address); len(r.Steps) == 0 || len(r.Left) != 1 {
		t.Errorf("%d steps, left %+v", len(r.Steps), r.Left)
	}
}

// If the second step fails, the first stays applied and is reported.
func TestApplyFails(t *testing.T) {
	address := newDatabase(t)
	db := schemaDB(t, address)
	if _, err := db.Exec(`CREATE TABLE dbo.ModelFiles (Other int NULL)`); err != nil {
		t.Fatal(err)
	}
	r, err := schema.Apply(t.Context(), db)
	if err == nil || !strings.Contains(err.Error(), "schema step 2 (own)") || r == nil || len(r.Steps) != 1 ||
		r.Steps[0].Number != 1 {
		t.Fatalf("apply: %v", err)
	}
	if _, err := db.Exec(`DROP TABLE dbo.ModelFiles`); err != nil {
		t.Fatal(err)
	}
	if r := apply(t, address); r.Applied != 1 || len(r.Left) != 0 {
		t.Errorf("then: %+v", r)
	}
}

// The printed steps, executed twice, make what Apply makes.
func TestPrintedSteps(t *testing.T) {
	address := newDatabase(t)
	db := schemaDB(t, address)
	plan, err := schema.Plan(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan.Steps {
			for _, batch := range schema.Batches(step.Printed()) {
				if _, err := conn.ExecContext(t.Context(), batch); err != nil {
					t.Fatalf("%v in\n%s", err, batch)
				}
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if checked, err := schema.Check(t.Context(), db); err != nil || !checked.OK() {
			t.Errorf("checked %+v, %v", checked, err)
		}
		if r := apply(t, address); len(r.Steps) != 0 {
			t.Errorf("Apply still executes %d steps", len(r.Steps))
		}
	}
}

// Like SSMS, the test continues after an error: neither the step that was rolled back nor later
// ones are recorded.
func TestPrintedStepFails(t *testing.T) {
	address := newDatabase(t)
	db := schemaDB(t, address)
	plan, err := schema.Plan(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The batches after the error run outside a transaction, and make what later steps need.
	plan.Steps[0].SQL = "THROW 50000, N'something is in the way', 1;\nGO\n" + plan.Steps[0].SQL
	refused := 0
	for _, step := range plan.Steps {
		for _, batch := range schema.Batches(step.Printed()) {
			if _, err := conn.ExecContext(t.Context(), batch); err != nil &&
				strings.Contains(err.Error(), "is not applied") {
				refused++
			}
		}
	}
	if r, err := schema.Plan(t.Context(), conn); err != nil || r.Applied != 0 || refused != len(plan.Steps) {
		t.Errorf("%v; %d steps report that they are not applied", err, refused)
	}
}

// The server has one table, whose keys have other names than ours.
func TestCheckReadsTheServersAnswers(t *testing.T) {
	d := newDouble(t)
	answer := func(what, columns string, rows ...[]any) {
		d.Handle("/* ingest: find-"+what+" */", func(*tdstest.Request) (tdstest.Result, error) {
			return tdstest.Rows(columns, rows...), nil
		})
	}
	answer("defaults", "a nvarchar(128), b nvarchar(128)")
	answer("columns", "a nvarchar(128), b nvarchar(128), c nvarchar(128), d int, e int",
		[]any{"ModelKeys", "State", "nvarchar", int64(20), int64(0)},
		[]any{"ModelKeys", "KeyHash", "binary", int64(32), int64(0)},
		[]any{"ModelKeys", "ModelId", "int", int64(0), int64(0)})
	answer("indexes", "a nvarchar(128), b int, c int, d int, e nvarchar(128)",
		[]any{"ModelKeys", int64(5), int64(1), int64(1), "State"},
		[]any{"ModelKeys", int64(5), int64(1), int64(1), "KeyHash"},
		[]any{"ModelKeys", int64(5), int64(2), int64(0), "ModelId"})
	answer("keys", "a int, b nvarchar(128), c nvarchar(128), d nvarchar(60), e int, f nvarchar(128), g nvarchar(128)",
		[]any{int64(9), "ModelKeys", "Models", "CASCADE", int64(0), "ModelId", "ModelId"},
		[]any{int64(10), "ModelKeys", "Atoms", "NO_ACTION", int64(0), "ModelId", "AtomId"})
	checked, err := schema.Check(t.Context(), schemaDB(t, d.DSN()))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range checked.Tables {
		if table.Name == "ModelKeys" && !table.OK() || table.Name != "ModelKeys" && !table.Missing {
			t.Errorf("%s: %s", table.Name, describe(table))
		}
	}
}

func describe(t schema.Table) string { return fmt.Sprint(t.Missing, t.Lacks, t.Different) }
