package schema

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Server is what a SQL Server database was found to be, as far as the schema depends on it.
type Server struct {
	// "SQL Server", "Azure SQL Database", "Azure SQL Managed Instance", "SQL database in Fabric", "Babelfish"
	Product  string
	Version  string // such as 16.0.4135.4
	Edition  string
	Database string
	// Filegroup is the filegroup for FILESTREAM; empty if the database has none.
	Filegroup string
	JSON      bool // has the type json
	Geometry  bool // has the type geometry
	// Snapshots is set if statements read committed rows without waiting for writers.
	Snapshots bool
}

// The values of SERVERPROPERTY('EngineEdition') that we tell apart.
const (
	azureDatabase = 5
	azureManaged  = 8
	fabric        = 12
)

// fabricDatabase is a SQL database in Microsoft Fabric, which says that it is of version 12.
const fabricDatabase = "SQL database in Fabric"

const selectServer = `/* ingest: inspect */
SELECT CONVERT(nvarchar(4000), @@VERSION), CONVERT(int, SERVERPROPERTY('EngineEdition')),
	CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(nvarchar(128), SERVERPROPERTY('Edition')), DB_NAME(),
	COALESCE((SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id), N''),
	CASE WHEN TYPE_ID(N'json') IS NULL THEN 0 ELSE 1 END, CASE WHEN TYPE_ID(N'geometry') IS NULL THEN 0 ELSE 1 END,
	COALESCE((SELECT CONVERT(int, is_read_committed_snapshot_on) FROM sys.databases WHERE name = DB_NAME()), 0)`

// querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Inspect finds out what the database is on. It refuses a server that is too old.
func Inspect(ctx context.Context, db querier) (Server, error) {
	var s Server
	var banner string
	var engine int
	err := db.QueryRowContext(ctx, selectServer).
		Scan(&banner, &engine, &s.Version, &s.Edition, &s.Database, &s.Filegroup, &s.JSON, &s.Geometry, &s.Snapshots)
	if err != nil {
		return s, fmt.Errorf("finding out what the server is: %w", err)
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

// version is the number that versions of SQL Server begin with.
type version int

const (
	sql2016 version = 13 // the oldest that will do at all
	sql2017 version = 14
)

// older reports whether the server is known to be older than v. In the cloud the number says nothing.
func (s Server) older(v version) bool {
	major, _, _ := strings.Cut(s.Version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < int(v)
}

// recent refuses what is older than SQL Server 2016.
func (s Server) recent() error {
	if s.older(sql2016) {
		return fmt.Errorf("the server is SQL Server version %s: 2016 (version 13) is the oldest that will do",
			s.Version)
	}
	return nil
}

// Choices says in words what the schema is made of on this server, and why.
func (s Server) Choices() []string {
	return []string{
		fmt.Sprintf("%s %s (%s), database %s", s.Product, s.Version, s.Edition, s.Database),
		pick(s.JSON, "JSON is kept in the type json", "JSON is kept in nvarchar(max): the server has no type json"),
		pick(s.Filegroup != "", "payloads in rows are kept as FILESTREAM in filegroup "+s.Filegroup+", in tables that are made from now on; "+
			"a row whose payload is in a store (--store) has an empty file there, too: a database without the "+
			"filegroup suits it better",
			"payloads in rows are kept in varbinary(max): the database has no FILESTREAM filegroup"),
		pick(s.Snapshots, "readers do not wait for a batch that is being written: READ_COMMITTED_SNAPSHOT is on",
			"readers wait for a batch that is being written: READ_COMMITTED_SNAPSHOT is off"),
		pick(s.Geometry, "columns of geometry have the type geometry",
			"columns of geometry are varbinary(max): the server has no type geometry; ingest does not use them"),
	}
}

func pick(first bool, one, other string) string {
	if first {
		return one
	}
	return other
}

// variables are what $(name) in a step stands for on this server. $(json) is the type json where the server has it,
// else nvarchar(max). $(payload) is varbinary(max), with FILESTREAM where the database has a filegroup for it, which
// $(filestream_on) names. $(geometry) is geometry where the server has that. The comments of the steps say none of
// these words: they are printed too, and sqlcmd would take such a word for a variable of its own.
func (s Server) variables() *strings.Replacer {
	payload, on := "varbinary(max)", ""
	if s.Filegroup != "" {
		payload, on = "varbinary(max) FILESTREAM", " FILESTREAM_ON "+quote(s.Filegroup)
	}
	return strings.NewReplacer(
		"$(json)", pick(s.JSON, "json", "nvarchar(max)"),
		"$(geometry)", pick(s.Geometry, "geometry", "varbinary(max)"),
		"$(payload)", payload,
		"$(filestream_on)", on)
}

// Script returns the steps for SQL Server as this server gets them.
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

// Batches cuts a script at its lines that say GO.
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

// quote makes any name an identifier.
func quote(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// literal makes any text a string of T-SQL.
func literal(text string) string { return "N'" + strings.ReplaceAll(text, "'", "''") + "'" }
