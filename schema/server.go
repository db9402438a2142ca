package schema

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Server describes the server and database, as far as the schema depends on them.
type Server struct {
	// Product is "SQL Server", "Azure SQL Database", "Azure SQL Managed Instance", "SQL database in
	// Fabric" or "Babelfish".
	Product  string
	Version  string // such as 16.0.4135.4
	Edition  string
	Database string
	// Filegroup is the filegroup for FILESTREAM; empty if the database has none.
	Filegroup string
	JSON      bool // has the type json
	Geometry  bool // has the type geometry
	// Snapshots is set if READ_COMMITTED_SNAPSHOT is on: readers do not wait for writers.
	Snapshots bool
}

// Values of SERVERPROPERTY('EngineEdition').
const (
	azureDatabase = 5
	azureManaged  = 8
	fabric        = 12
)

// fabricDatabase is a SQL database in Microsoft Fabric, which reports version 12.
const fabricDatabase = "SQL database in Fabric"

const selectServer = `/* ingest: inspect */
SELECT CONVERT(nvarchar(4000), @@VERSION), CONVERT(int, SERVERPROPERTY('EngineEdition')),
	CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(nvarchar(128), SERVERPROPERTY('Edition')),
	DB_NAME(),
	COALESCE((SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id), N''),
	CASE WHEN TYPE_ID(N'json') IS NULL THEN 0 ELSE 1 END, CASE WHEN TYPE_ID(N'geometry') IS NULL THEN 0 ELSE 1 END,
	COALESCE((SELECT CONVERT(int, is_read_committed_snapshot_on) FROM sys.databases WHERE name = DB_NAME()), 0)`

// querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Inspect describes the server and database. It returns an error for a server that is too old.
func Inspect(ctx context.Context, db querier) (Server, error) {
	var s Server
	var banner string
	var engine int
	err := db.QueryRowContext(ctx, selectServer).
		Scan(&banner, &engine, &s.Version, &s.Edition, &s.Database, &s.Filegroup, &s.JSON, &s.Geometry, &s.Snapshots)
	if err != nil {
		return s, fmt.Errorf("identifying the server: %w", err)
	}
	switch {
	case strings.Contains(banner, "Babelfish"):
		s.Product = babelfish
	case engine == azureDatabase:
		s.Product = "Azure SQL Database"
	case engine == azureManaged:
		s.Product = "Azure SQL Managed Instance"
	case engine == fabric:
		s.Product = fabricDatabase
	default:
		s.Product = "SQL Server"
		return s, s.recent()
	}
	return s, nil
}

// version is the major version of SQL Server.
type version int

const (
	sql2016 version = 13 // the oldest supported version
	sql2017 version = 14
)

// older reports whether the server is known to be older than v. Do not use it for cloud products,
// whose version numbers mean nothing.
func (s Server) older(v version) bool {
	major, _, _ := strings.Cut(s.Version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < int(v)
}

// recent returns an error for a server older than SQL Server 2016.
func (s Server) recent() error {
	if s.older(sql2016) {
		return fmt.Errorf("the server is SQL Server version %s: it must be 2016 (version 13) or later", s.Version)
	}
	return nil
}

// Choices describes what the schema uses on this server, and why.
func (s Server) Choices() []string {
	return []string{
		fmt.Sprintf("%s %s (%s), database %s", s.Product, s.Version, s.Edition, s.Database),
		pick(s.JSON, "JSON is stored in the type json", "JSON is stored in nvarchar(max): the server has no type json"),
		pick(s.Filegroup != "", "payloads in rows of new tables are stored as FILESTREAM in filegroup "+s.Filegroup+
			"; a row whose payload is in a store (--store) has an empty file there, too: a database without the "+
			"filegroup is better for stores",
			"payloads in rows are stored in varbinary(max): the database has no FILESTREAM filegroup"),
		pick(s.Snapshots, "readers do not wait while a batch is written: READ_COMMITTED_SNAPSHOT is on",
			"readers wait while a batch is written: READ_COMMITTED_SNAPSHOT is off"),
		pick(s.Geometry, "geometry columns have the type geometry",
			"geometry columns are varbinary(max): the server has no type geometry; ingest does not use them"),
	}
}

func pick(first bool, one, other string) string {
	if first {
		return one
	}
	return other
}

// variables replaces the variables of a step. $(json) is json if the server has that type, else
// nvarchar(max). $(payload) is varbinary(max), with FILESTREAM if the database has a filegroup for
// it, which $(filestream_on) names. $(geometry) is geometry if the server has that type, else
// varbinary(max). Comments in the steps must not contain these words: steps are printed, and sqlcmd
// would take the words for its own variables.
func (s Server) variables() *strings.Replacer {
	payload, on := "varbinary(max)", ""
	if s.Filegroup != "" {
		payload, on = "varbinary(max) FILESTREAM", " FILESTREAM_ON "+Quote(s.Filegroup)
	}
	return strings.NewReplacer(
		"$(json)", pick(s.JSON, "json", "nvarchar(max)"),
		"$(geometry)", pick(s.Geometry, "geometry", "varbinary(max)"),
		"$(payload)", payload,
		"$(filestream_on)", on)
}

// Script returns the steps for this server.
func (s Server) Script() ([]Step, error) {
	steps, err := Steps(SQLServer)
	if err != nil {
		return nil, err
	}
	fill := s.variables()
	for i := range steps {
		steps[i].SQL = fill.Replace(steps[i].SQL)
	}
	return steps, nil
}

// Batches splits a script at its GO lines.
func Batches(script string) []string {
	var batches []string
	var batch strings.Builder
	flush := func() {
		if text := strings.TrimSpace(batch.String()); text != "" {
			batches = append(batches, text)
		}
		batch.Reset()
	}
	for line := range strings.Lines(script) {
		if strings.EqualFold(strings.TrimSpace(line), "GO") {
			flush()
		} else {
			batch.WriteString(line)
		}
	}
	flush()
	return batches
}

// Quote returns any name as an identifier of T-SQL.
func Quote(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// literal returns any text as a T-SQL string literal.
func literal(text string) string { return "N'" + strings.ReplaceAll(text, "'", "''") + "'" }
