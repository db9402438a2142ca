package schema

import (
	"strings"
	"testing"
)

func TestPrinted(t *testing.T) {
	for i, step := range script(t, plain) {
		text := step.Printed()
		for _, want := range []string{"QUOTED_IDENTIFIER ON;", "SET XACT_ABORT ON;", "BEGIN TRANSACTION;",
			"sp_getapplock", "CREATE TABLE dbo.SchemaSteps", step.SQL, "COMMIT;\nGO\n"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("step %d: %q occurs %d times", i+1, want, strings.Count(text, want))
			}
		}
		if strings.Contains(text, "$(") {
			t.Errorf("step %d: sqlcmd would expand a variable", i+1)
		}
	}
	for name, inTransaction := range map[string]bool{"filestream": false, "temporal": true, "columnstore": true,
		"query-store": false, "broker": false} {
		text, err := PrintedPart(plain, name, PartSettings{Path: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text, "\nBEGIN TRANSACTION;\nGO\n"); got != inTransaction ||
			strings.HasSuffix(text, "COMMIT;\nGO\n") != inTransaction {
			t.Errorf("part %s is in a transaction: %v, want %v", name, got, inTransaction)
		}
		if !strings.Contains(text, "QUOTED_IDENTIFIER ON;") || strings.Contains(text, "$(") {
			t.Errorf("part %s:\n%s", name, text)
		}
	}
}
