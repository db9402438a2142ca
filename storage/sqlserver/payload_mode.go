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

// PayloadMode is how payloads are written to rows and read from them.
type PayloadMode string

// Win32 opens payloads as files, with OpenSqlFilestream. TSQL uses parameters of statements, for any
// column and from any client. Auto is Win32 where that is possible, and TSQL elsewhere.
const (
	Auto  PayloadMode = "auto"
	Win32 PayloadMode = "win32"
	TSQL  PayloadMode = "tsql"
)

// PayloadModes returns the modes that Settings takes.
func PayloadModes() []PayloadMode { return []PayloadMode{Win32, TSQL, Auto} }

// payloadAccess is the chosen mode.
type payloadAccess struct {
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

// readPlain reads which of them keep it in the row.
func readPlain(ctx context.Context, db *sql.Conn) ([]string, error) {
	plain := slices.Clone(payloadTables)
	rows, err := db.QueryContext(ctx, `/* ingest: payload-columns */ SELECT t.name FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
		WHERE t.schema_id = SCHEMA_ID(N'dbo') AND c.name = N'RawPayload' AND c.is_filestream = 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		plain = slices.DeleteFunc(plain, func(table string) bool { return strings.EqualFold(table, name) })
	}
	return plain, rows.Err()
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
func choose(asked PayloadMode, have conditions) (payloadAccess, error) {
	const parameters = "payloads in rows are written and read by T-SQL parameters: "
	missing := strings.Join(have.missing(), "; ")
	switch {
	case asked != "" && !slices.Contains(PayloadModes(), asked):
		return payloadAccess{}, fmt.Errorf("payload mode %q: want one of %v", asked, PayloadModes())
	case asked == TSQL:
		return payloadAccess{why: parameters + "they were asked for"}, nil
	case missing == "":
		return payloadAccess{files: have.driver,
			why: "payloads in rows are written and read as files, through OpenSqlFilestream of " + have.driver.DLL +
				": RawPayload is FILESTREAM, this is Windows, and so is the login"}, nil
	case asked == Win32:
		return payloadAccess{}, errors.New("payloads in rows cannot be written as files, as --filestream win32 asks: " + missing)
	}
	return payloadAccess{why: parameters + missing}, nil
}

// PayloadMode describes the chosen mode and the reason for it, for a log.
func (c *Catalog) PayloadMode() string { return c.engine.access.why }
