package sqlserver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// The report has the statements for the columns of the database, and the result of the collector or
// why it did not run.
func TestUnfreed(t *testing.T) {
	const collect = "/* ingest: collect */"
	pass := func(n ...any) tdstest.HandlerFunc {
		return func(req *tdstest.Request) (tdstest.Result, error) {
			if got := req.Param("database"); got != "Harto'no]mous" {
				t.Errorf("collected in %v", got)
			}
			return tdstest.Rows("a nvarchar(128), b int, c int, d int, e nvarchar(25)", n), nil
		}
	}
	const pageSpace = "ALTER INDEX ALL ON dbo.FileSegments REORGANIZE WITH (LOB_COMPACTION = ON);"
	files := []string{"USE [Harto'no]]mous];", "CHECKPOINT;", "BACKUP LOG [Harto'no]]mous] TO ...",
		"EXEC sp_filestream_force_garbage_collection @dbname = N'Harto''no]mous';",
		"EXEC sp_filestream_force_garbage_collection @dbname = N'Harto''no]mous';  -- again"}
	for name, test := range map[string]struct {
		columns   []string // FILESTREAM columns
		collect   tdstest.HandlerFunc
		do        []string // beginnings
		collected string
		refused   string
	}{
		"FILESTREAM": {payloadTables, pass("Files_1", 2, 30, 400, "7"), files, "[{Files_1 2 30 400}]", ""},
		"one table":  {payloadTables[:1], pass("F", 0, 0, 0, nil), append(files[:5:5], pageSpace), "[{F 0 0 0}]", ""},
		"plain": {nil, nil, []string{"ALTER INDEX ALL ON dbo.LayerTensorSegments REORGANIZE", pageSpace},
			"[]", ""},
		"not db_owner": {payloadTables, func(*tdstest.Request) (tdstest.Result, error) {
			return tdstest.Result{}, tdstest.Err(15247)
		}, files, "[]", "15247"},
		"another answer": {payloadTables, func(*tdstest.Request) (tdstest.Result, error) {
			return tdstest.Rows("a int", []any{1}), nil
		}, files, "[]", "Scan"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tdstest.Start(t)
			tables.New(t, srv, t.TempDir())
			srv.Handle("/* ingest: inspect */", func(*tdstest.Request) (tdstest.Result, error) {
				return tdstest.Rows("a nvarchar(4000), b int, c nvarchar(128), d nvarchar(128), e nvarchar(128), "+
					"f nvarchar(128), g int, h int, i int", []any{"Microsoft SQL Server 2022", 3, "16.0.4135.4",
					"Developer Edition", "Harto'no]mous", "Files", 0, 0, 0}), nil
			})
			srv.Handle("/* ingest: payload-columns */", func(*tdstest.Request) (tdstest.Result, error) {
				result := tdstest.Rows("a nvarchar(128)")
				for _, column := range test.columns {
					result.Sets[0].Rows = append(result.Sets[0].Rows, []any{column})
				}
				return result, nil
			})
			if test.collect == nil {
				test.collect = func(*tdstest.Request) (tdstest.Result, error) {
					t.Error("the collector ran without FILESTREAM")
					return tdstest.Affected(0), nil
				}
			}
			srv.Handle(collect, test.collect)
			c := open(t, srv.DSN())
			u := c.Unfreed(t.Context())
			if u.Why == "" || len(u.Do) != len(test.do) {
				t.Fatalf("%q, %q", u.Why, u.Do)
			}
			for i, statement := range u.Do {
				if !strings.HasPrefix(statement, test.do[i]) {
					t.Errorf("%q, want %q", statement, test.do[i])
				}
			}
			if got := fmt.Sprint(u.Collected); got != test.collected {
				t.Errorf("collected %s, want %s", got, test.collected)
			}
			if (u.Refused == nil) != (test.refused == "") ||
				u.Refused != nil && !strings.Contains(fmt.Sprintf("%+v", u.Refused), test.refused) {
				t.Errorf("refused: %v, want %q", u.Refused, test.refused)
			}
			if _, err := c.Identity(t.Context()); err != nil { // the catalogue still works
				t.Error(err)
			}
		})
	}
}

func TestUnfreedInterrupted(t *testing.T) {
	srv := tdstest.Start(t)
	tables.New(t, srv, t.TempDir())
	c := open(t, srv.DSN())
	ctx, cancel := context.WithCancel(t.Context())
	stall := srv.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* ingest: collect */", Do: tdstest.Stall()})
	go func() {
		<-stall.Struck()
		cancel()
	}()
	if u := c.Unfreed(ctx); u.Refused != context.Canceled || len(u.Do) == 0 {
		t.Errorf("%+v", u)
	}
}
