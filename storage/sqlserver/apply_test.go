package sqlserver

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/schema"
)

func TestApplyTwiceAndNewer(t *testing.T) {
	address := newDatabase(t)
	if _, err := Open(t.Context(), address, Settings{}); err == nil || !strings.Contains(err.Error(), "ingest schema apply") {
		t.Errorf("opening an empty database: %v", err)
	}
	if r := apply(t, address); len(r.Steps) == 0 || r.Applied != 0 {
		t.Errorf("first: %+v", r)
	}
	db := schemaDB(t, address)
	if r := apply(t, address); len(r.Steps) != 0 {
		t.Errorf("second: %d steps", len(r.Steps))
	}
	// Every step can be executed again on what it made.
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
			if r := apply(t, address); r != nil {
				steps[i] = len(r.Steps)
			}
		})
	}
	group.Wait()
	all, err := schema.Steps(schema.SQLServer)
	if err != nil || steps[0]+steps[1]+steps[2] != len(all) {
		t.Errorf("applied %v, want %d in all", steps, len(all))
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	address := newDatabase(t)
	apply(t, address)
	db := schemaDB(t, address)
	for _, query := range []string{`DROP TABLE dbo.FilePaths`, `ALTER TABLE dbo.ModelLayers DROP COLUMN ByteSize`,
		`ALTER TABLE dbo.Models ALTER COLUMN State nvarchar(40)`} {
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
			"Models": "false [] [column State is nvarchar(40), want nvarchar(20)]"}[table.Name]
		if got := describe(table); want == "" && !table.OK() || want != "" && got != want {
			t.Errorf("%s: %s, want %s", table.Name, got, want)
		}
	}
}

// TestApplyMends takes away what the steps have made, and wants Apply to make it again.
func TestApplyMends(t *testing.T) {
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
		t.Errorf("%d steps were executed where nothing was missing", len(r.Steps))
	}
}

func describe(t schema.Table) string { return fmt.Sprint(t.Missing, t.Lacks, t.Different) }
