package sqlserver

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func TestChoose(t *testing.T) {
	all := conditions{system: "windows", integrated: true, driver: &filestream.Driver{DLL: "msoledbsql19.dll"}}
	plain, elsewhere, user, noDriver, nothing := all, all, all, all, all
	plain.plain = []string{"FileSegments"}
	elsewhere.system, elsewhere.driver = "linux", nil
	user.integrated = false
	noDriver.driver, noDriver.noDriver = nil, errors.New("no driver: install one")
	nothing = conditions{plain: payloadTables, system: "windows", noDriver: noDriver.noDriver}
	for name, c := range map[string]struct {
		have    conditions
		missing []string // parts of the reason
	}{
		"all":      {all, nil},
		"plain":    {plain, []string{"RawPayload of FileSegments is not a FILESTREAM column", "--with filestream"}},
		"linux":    {elsewhere, []string{"not on linux", "run ingest on Windows"}},
		"user":     {user, []string{"does not use Windows authentication", "leave user, password"}},
		"noDriver": {noDriver, []string{"no driver: install one"}},
		"nothing":  {nothing, []string{"LayerTensorSegments and of FileSegments", "the login does not", "install one"}},
	} {
		for _, asked := range []PayloadMode{"", Auto, Win32, TSQL} {
			t.Run(name+" "+string(asked), func(t *testing.T) {
				access, err := choose(asked, c.have)
				files := c.missing == nil && asked != TSQL
				if (access.files != nil) != files || (err != nil) != (asked == Win32 && !files) {
					t.Fatalf("files %v, error %v", access.files, err)
				}
				text := access.why
				if err != nil {
					text = err.Error()
				}
				want := c.missing
				switch {
				case asked == TSQL:
					want = []string{"T-SQL parameters", "as requested"}
				case files:
					want = []string{"as files", "msoledbsql19.dll"}
				}
				for _, part := range want {
					if !strings.Contains(text, part) {
						t.Errorf("%q does not contain %q", text, part)
					}
				}
			})
		}
	}
	if _, err := choose("x", all); err == nil || !strings.Contains(err.Error(), "want one of") {
		t.Error(err)
	}
}

// TestPayloadModeIsChosen checks that the mode depends on the server, the address and the settings.
func TestPayloadModeIsChosen(t *testing.T) {
	d := newDouble(t)
	d.Handle("/* ingest: inspect */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(4000), b int, c nvarchar(128), d nvarchar(128), e nvarchar(128), f "+
			"nvarchar(128), g int, h int, i int",
			[]any{"Microsoft SQL Server 2022", int64(3), "16.0.4135.4", "Developer Edition", "Hartonomous", "Streams",
				int64(0), int64(1), int64(0)}), nil
	})
	d.Handle("/* ingest: payload-columns */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128)", []any{"LayerTensorSegments"}, []any{"Atoms"}), nil
	})
	if why := d.open(t).PayloadMode(); !strings.Contains(why,
		"T-SQL parameters: RawPayload of FileSegments is not a FILESTREAM column") {
		t.Error(why)
	}
	_, err := Open(t.Context(), d.DSN(), Settings{Filestream: Win32})
	if err == nil || !strings.Contains(err.Error(), "of FileSegments is not") ||
		!strings.Contains(err.Error(), "the login does not") {
		t.Error(err)
	}
	if contains := err != nil &&
		strings.Contains(err.Error(), "not on "+runtime.GOOS); contains != (runtime.GOOS != "windows") {
		t.Error(err)
	}
	d.Handle("/* ingest: payload-columns */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128)", []any{"LayerTensorSegments"}, []any{"FileSegments"}), nil
	})
	if why := d.open(t).PayloadMode(); strings.Contains(why, "RawPayload") {
		t.Error(why)
	}
}

// An address without user, password and fedauth asks for Windows authentication.
func TestIntegrated(t *testing.T) {
	for text, want := range map[string]bool{
		"sqlserver://host?database=H":                                        true,
		"server=host;database=H":                                             true,
		"server=host;database=H;trusted_connection=yes":                      true,
		"sqlserver://u:p@host?database=H":                                    false,
		"server=host;database=H;user id=u;password=p":                        false,
		"azuresql://host?database=H":                                         false,
		"sqlserver://host?database=H&fedauth=ActiveDirectoryManagedIdentity": false,
	} {
		a, err := parseAddress(text, Settings{})
		if err != nil || a.integrated != want {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
}
