package sqlserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// Each missing prerequisite is reported with its state and what to do.
func TestCheckFilestream(t *testing.T) {
	all := []any{3, 3, "MSSQLSERVER", "HartonomousFileStream", `D:\Data\fs`, "KERBEROS", "TCP"}
	for name, test := range map[string]struct {
		at    int // first value of the answer to replace
		other []any
		lacks string // name: state: what to do
	}{
		"all there":        {},
		"local files only": {0, []any{2, 2}, ""},
		"NTLM":             {5, []any{"NTLM"}, ""},
		"disabled": {0, []any{0, 0},
			"instance: level 0: disabled: enable FILESTREAM for T-SQL and for file I/O"},
		"T-SQL only": {0, []any{1, 1}, "instance: level 1: T-SQL only: enable"},
		"restart needed": {0, []any{2, 0},
			"instance: level 0: disabled, but 2 is configured: restart the instance"},
		"no share": {2, []any{""}, "share: the instance has none: name a Windows share"},
		"no filegroup": {3, []any{"", ""},
			"filegroup: the database has none for FILESTREAM: ingest schema apply --with filestream"},
		"a filegroup without files": {4, []any{""},
			"filegroup: HartonomousFileStream has no file: ingest schema apply"},
		"a SQL login": {5, []any{"SQL"}, "login: SQL over TCP: use Windows authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tdstest.Start(t)
			tables.New(t, srv, "")
			answer := append([]any{}, all...)
			copy(answer[test.at:], test.other)
			srv.Handle("/* ingest: filestream */", func(*tdstest.Request) (tdstest.Result, error) {
				return tdstest.Rows("a int, b int, c nvarchar(256), d nvarchar(128), e nvarchar(260), f nvarchar(40), "+
					"g nvarchar(40)", answer), nil
			})
			list, err := schema.CheckFilestream(t.Context(), schemaDB(t, srv.DSN()))
			if err != nil {
				t.Fatal(err)
			}
			var lacks []string
			for _, need := range list {
				if need.Do == "" || need.Found == "" || need.Client != (need.Name == "login") {
					t.Errorf("%+v", need)
				}
				if !need.OK {
					lacks = append(lacks, need.Name+": "+need.Found+": "+need.Do)
				}
			}
			if got := strings.Join(lacks, "\n"); len(list) != 4 || (got == "") != (test.lacks == "") ||
				!strings.HasPrefix(got, test.lacks) || len(lacks) > 1 {
				t.Errorf("of %d it lacks %q, want %q", len(list), got, test.lacks)
			}
		})
	}
}

// Values are counted for each filegroup, and compared with the number of its containers.
func TestContainers(t *testing.T) {
	srv := tdstest.Start(t)
	tables.New(t, srv, t.TempDir())
	srv.Handle("/* ingest: containers */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128), b nvarchar(128), c nvarchar(128), d int",
			[]any{"FileSegments", "RawPayload", "Se]gments", 2},
			[]any{"LayerTensorSegments", "RawPayload", "Se]gments", 2},
			[]any{"Atoms", "Payload", "Whole", 1}), nil
	})
	srv.Handle("/* ingest: container-files */", func(req *tdstest.Request) (tdstest.Result, error) {
		for part, files := range map[string]int64{
			"dbo.[FileSegments] WITH (READUNCOMMITTED)\n\tWHERE [RawPayload] IS":        1,
			"dbo.[LayerTensorSegments] WITH (READUNCOMMITTED)\n\tWHERE [RawPayload] IS": 599_998,
			"dbo.[Atoms] WITH (READUNCOMMITTED)\n\tWHERE [Payload] IS":                  300_001} {
			if strings.Contains(req.SQL, part) {
				return tdstest.Rows("a bigint", []any{files}), nil
			}
		}
		return tdstest.Result{}, tdstest.Errorf("counted: %s", req.SQL)
	})
	groups, err := schema.Containers(t.Context(), schemaDB(t, srv.DSN()))
	want := []schema.Filegroup{{Name: "Se]gments", Containers: 2, Files: 599_999, Segments: true},
		{Name: "Whole", Containers: 1, Files: 300_001}}
	if err != nil || !slices.Equal(groups, want) {
		t.Fatalf("%+v, %v", groups, err)
	}
	for planned, want := range map[int64]string{0: "", 1: "", 2: "add 1 more", 300_001: "add 1 more",
		300_002: "add 2 more"} {
		if got := groups[0].Problem(planned); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%d more: %q, want %q", planned, got, want)
		}
	}
	if got := groups[0].Problem(2); !strings.HasSuffix(got, "TO FILEGROUP [Se]]gments]") {
		t.Error(got)
	}
	if got := groups[1].Problem(1_000_000); !strings.Contains(got, "add 1 more") {
		t.Errorf("segments do not go to the filegroup of atoms: %q", got)
	}
}

// A database without FILESTREAM is not asked for what it may not have.
func TestNoContainers(t *testing.T) {
	srv := tdstest.Start(t)
	tables.New(t, srv, "")
	srv.Handle("/* ingest: containers */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Result{}, tdstest.Err(207)
	})
	if groups, err := schema.Containers(t.Context(), schemaDB(t, srv.DSN())); len(groups) > 0 || err != nil {
		t.Errorf("%+v, %v", groups, err)
	}
}
