package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
)

// Way is how payloads get into rows, and out of them again.
type Way string

// The ways. Win32 is by file, through OpenSqlFilestream. TSQL is by parameters of statements: for any
// column, from any client. Auto is Win32 where that can be, and else TSQL.
const (
	Auto  Way = "auto"
	Win32 Way = "win32"
	TSQL  Way = "tsql"
)

// Ways are those that can be asked for.
func Ways() []Way { return []Way{Win32, TSQL, Auto} }

// way is the one that was chosen.
type way struct {
	files filestream.Files // nil for parameters
	why   string
}

// conditions are what Win32 takes.
type conditions struct {
	plain      []string // tables whose RawPayload is no FILESTREAM column
	system     string   // that the program runs on
	integrated bool     // the login is the one of Windows
	driver     *filestream.Driver
	noDriver   error
}

// payloadTables are the tables that have a RawPayload.
var payloadTables = []string{"LayerTensorSegments", "FileSegments"}

// readPlain reads which of them keep it in the row, and whether the payloads of Atoms are files.
func readPlain(ctx context.Context, db *sql.Conn) (plain []string, atomFiles bool, err error) {
	plain = slices.Clone(payloadTables)
	rows, err := db.QueryContext(ctx, `/* ingest: payload-columns */ SELECT t.name FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
		WHERE t.schema_id = SCHEMA_ID(N'dbo') AND c.is_filestream = 1 AND (c.name = N'RawPayload' OR t.name = N'Atoms' AND c.name = N'Payload')`)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, false, err
		}
		atomFiles = atomFiles || strings.EqualFold(name, "Atoms")
		plain = slices.DeleteFunc(plain, func(table string) bool { return strings.EqualFold(table, name) })
	}
	return plain, atomFiles, rows.Err()
}

// conditions finds out what there is of what Win32 takes.
func (c *engine) conditions(a *address) conditions {
	have := conditions{plain: c.plain, system: runtime.GOOS, integrated: a.integrated}
	if have.system == "windows" {
		have.driver, have.noDriver = filestream.Find()
	}
	return have
}

// missing says what there is not, and how to get it.
func (have conditions) missing() (all []string) {
	if len(have.plain) > 0 {
		all = append(all, "RawPayload of "+strings.Join(have.plain,
			" and of ")+" is no FILESTREAM column (`ingest schema apply --with filestream` makes it one while the "+
			"table has no rows)")
	}
	if have.system != "windows" {
		all = append(all, "this is "+have.system+", and payloads are opened as files on Windows only (run ingest there)")
	}
	if !have.integrated {
		all = append(all, "the login is not the one of Windows (leave user and password out of the catalogue's "+
			"address, and fedauth)")
	}
	if have.noDriver != nil {
		all = append(all, have.noDriver.Error())
	}
	return all
}

// FilestreamClient says what there is, on this machine, of what it takes to open payloads as files. What
// it takes on the
// server is schema.CheckFilestream's.
func FilestreamClient() schema.Prerequisite {
	have := schema.Prerequisite{Name: "driver", Client: true}
	driver, err := filestream.Find()
	if err == nil {
		have.OK, have.Found = true, driver.DLL
		return have
	}
	have.Found, have.Do = "none that can be used", err.Error()
	if runtime.GOOS != "windows" {
		have.Found, have.Do = "this is "+runtime.GOOS, "run ingest on Windows"
	}
	return have
}

// choose returns an error if Win32 is asked for and cannot be.
func choose(asked Way, have conditions) (way, error) {
	const parameters = "payloads in rows are written and read by T-SQL parameters: "
	missing := strings.Join(have.missing(), "; ")
	switch {
	case asked != "" && !slices.Contains(Ways(), asked):
		return way{}, fmt.Errorf("there is no way %q for payloads in rows: want one of %v", asked, Ways())
	case asked == TSQL:
		return way{why: parameters + "they were asked for"}, nil
	case missing == "":
		return way{files: have.driver,
			why: "payloads in rows are written and read as files, through OpenSqlFilestream of " + have.driver.DLL +
				": RawPayload is FILESTREAM, this is Windows, and so is the login"}, nil
	case asked == Win32:
		return way{}, errors.New("payloads in rows cannot be written as files, as --filestream win32 asks: " + missing)
	}
	return way{why: parameters + missing}, nil
}

// PayloadWay says in words how payloads get into rows and out of them, and why in this way.
func (c *Catalog) PayloadWay() string { return c.engine.way.why }
