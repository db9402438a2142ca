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

// PayloadMode is how payloads are written to and read from rows.
type PayloadMode string

// Win32 uses files, through OpenSqlFilestream. TSQL uses parameters, with any column and client.
// Auto is Win32 if possible, otherwise TSQL.
const (
	Auto  PayloadMode = "auto"
	Win32 PayloadMode = "win32"
	TSQL  PayloadMode = "tsql"
)

// PayloadModes returns the valid modes.
func PayloadModes() []PayloadMode { return []PayloadMode{Win32, TSQL, Auto} }

// payloadAccess is the chosen mode with its reason.
type payloadAccess struct {
	files filestream.Files // nil for parameters
	why   string
}

// conditions are the prerequisites of Win32.
type conditions struct {
	plain      []string // tables whose RawPayload is not a FILESTREAM column
	system     string   // runtime.GOOS
	integrated bool     // Windows authentication
	driver     *filestream.Driver
	noDriver   error
}

// payloadTables are the tables that have a RawPayload.
var payloadTables = []string{"LayerTensorSegments", "FileSegments"}

// readPlain returns the payloadTables whose RawPayload is not a FILESTREAM column, and whether
// Atoms.Payload is one.
func readPlain(ctx context.Context, db *sql.Conn) (plain []string, atomFiles bool, err error) {
	plain = slices.Clone(payloadTables)
	rows, err := db.QueryContext(ctx, `/* ingest: payload-columns */ SELECT t.name
		FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
		WHERE t.schema_id = SCHEMA_ID(N'dbo') AND c.is_filestream = 1
			AND (c.name = N'RawPayload' OR t.name = N'Atoms' AND c.name = N'Payload')`)
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

// conditions checks the prerequisites of Win32.
func (c *engine) conditions(a *address) conditions {
	have := conditions{plain: c.plain, system: runtime.GOOS, integrated: a.integrated}
	if have.system == "windows" {
		have.driver, have.noDriver = filestream.Find()
	}
	return have
}

// missing describes the missing prerequisites, and how to meet them.
func (have conditions) missing() (all []string) {
	if len(have.plain) > 0 {
		all = append(all, "RawPayload of "+strings.Join(have.plain, " and of ")+" is not a FILESTREAM column "+
			"(`ingest schema apply --with filestream` converts it while the table has no rows)")
	}
	if have.system != "windows" {
		all = append(all, "payloads are opened as files on Windows only, not on "+have.system+" (run ingest "+
			"on Windows)")
	}
	if !have.integrated {
		all = append(all, "the login does not use Windows authentication (leave user, password and fedauth out of the "+
			"catalogue's address)")
	}
	if have.noDriver != nil {
		all = append(all, have.noDriver.Error())
	}
	return all
}

// FilestreamClient checks this machine's prerequisite for opening payloads as files. For those of
// the server, see schema.CheckFilestream.
func FilestreamClient() schema.Prerequisite {
	have := schema.Prerequisite{Name: "driver", Client: true}
	driver, err := filestream.Find()
	if err == nil {
		have.OK, have.Found = true, driver.DLL
		return have
	}
	have.Found, have.Do = "no usable driver", err.Error()
	if runtime.GOOS != "windows" {
		have.Found, have.Do = "this is "+runtime.GOOS, "run ingest on Windows"
	}
	return have
}

// choose returns an error if Win32 is asked for but not possible.
func choose(asked PayloadMode, have conditions) (payloadAccess, error) {
	const parameters = "payloads in rows are written and read as T-SQL parameters: "
	missing := strings.Join(have.missing(), "; ")
	switch {
	case asked != "" && !slices.Contains(PayloadModes(), asked):
		return payloadAccess{}, fmt.Errorf("payload mode %q: want one of %v", asked, PayloadModes())
	case asked == TSQL:
		return payloadAccess{why: parameters + "as requested"}, nil
	case missing == "":
		return payloadAccess{files: have.driver,
			why: "payloads in rows are written and read as files, through OpenSqlFilestream of " + have.driver.DLL +
				": RawPayload is FILESTREAM, and the login uses Windows authentication"}, nil
	case asked == Win32:
		return payloadAccess{}, errors.New("--filestream win32: payloads in rows cannot be written as files: " +
			missing)
	}
	return payloadAccess{why: parameters + missing}, nil
}

// PayloadMode describes how payloads are written to and read from rows, and why.
func (c *Catalog) PayloadMode() string { return c.engine.access.why }
