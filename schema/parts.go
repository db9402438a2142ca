package schema

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Each optional part is a script, applied only if it is named. Tests run only that of the role: the
// others need features that the test server does not have.
//
//go:embed sqlserver/parts/*.sql
var partFiles embed.FS

// PartSettings are the settings of optional parts.
type PartSettings struct {
	// Path is the folder on the server for FILESTREAM data. It must not exist, but its parent must.
	Path string
	// RetentionDays is how long history is kept. 0 or less means 365 for a new history, and keeps the
	// retention of an existing one.
	RetentionDays int
}

// part is an optional part of the schema.
type part struct {
	name string
	// inTransaction is set if the script may run in a transaction, which ALTER DATABASE may not.
	inTransaction bool
	// lacking are the products that do not support the part.
	lacking []string
	// since is the oldest version of SQL Server that supports the part.
	since version
	// check is a query for what is missing: one row with a text, empty if nothing is missing.
	check string
}

// babelfish supports only the role: it is PostgreSQL, which has its own features for the rest.
const babelfish = "Babelfish"

var parts = []part{
	{"filestream", false, []string{"Azure SQL Database", "Azure SQL Managed Instance", fabricDatabase, babelfish},
		sql2016, `SELECT CASE
		WHEN COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0) < 2
			THEN N'FILESTREAM is disabled in the instance, or enabled for T-SQL only: enable it in '
				+ N'Configuration Manager, then with sp_configure ''filestream access level'', 2'
		WHEN NOT EXISTS (SELECT 1 FROM sys.filegroups WHERE type = 'FD')
			THEN N'the database has no FILESTREAM filegroup'
		WHEN NOT EXISTS (SELECT 1 FROM sys.database_files AS f
				INNER JOIN sys.filegroups AS g ON g.data_space_id = f.data_space_id
				WHERE f.type = 2 AND g.type = 'FD')
			THEN N'the FILESTREAM filegroup has no file'
		WHEN EXISTS (SELECT 1 FROM sys.columns
				WHERE object_id IN (OBJECT_ID(N'dbo.LayerTensorSegments'), OBJECT_ID(N'dbo.FileSegments'))
					AND name = N'RawPayload' AND is_filestream = 0)
			THEN N'RawPayload is not a FILESTREAM column in a table that has rows: its payloads stay in '
				+ N'varbinary(max), written through T-SQL'
		WHEN NOT EXISTS (SELECT 1 FROM sys.columns
				WHERE object_id = OBJECT_ID(N'dbo.Atoms') AND name = N'Payload' AND is_filestream = 1)
			THEN N'Atoms has no FILESTREAM column Payload'
		WHEN COL_LENGTH(N'dbo.Atoms', N'PayloadSize') IS NULL THEN N'Atoms has no column PayloadSize'
		ELSE N'' END`},
	{"temporal", true, []string{babelfish}, sql2017, `SELECT CASE
		WHEN EXISTS (SELECT 1 FROM sys.tables WHERE schema_id = SCHEMA_ID(N'dbo')
				AND name IN (N'ModelLayers', N'TensorAtoms') AND temporal_type = 0)
			THEN N'ModelLayers or TensorAtoms keeps no history'
		WHEN EXISTS (SELECT 1 FROM sys.databases
				WHERE database_id = DB_ID() AND is_temporal_history_retention_enabled = 0)
			THEN N'history is kept forever: TEMPORAL_HISTORY_RETENTION is OFF, as after a point-in-time restore'
		WHEN $(asked) = 1 AND EXISTS (SELECT 1 FROM sys.tables WHERE schema_id = SCHEMA_ID(N'dbo')
				AND name IN (N'ModelLayers', N'TensorAtoms') AND temporal_type = 2
				AND (history_retention_period_unit <> 3 OR history_retention_period <> $(days)))
			THEN N'history of ModelLayers or TensorAtoms is not kept for $(days) days'
		ELSE N'' END`},
	{"columnstore", true, []string{babelfish}, sql2016, `SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.indexes
			WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND type = 6 AND is_disabled = 0)
		THEN N'' ELSE N'LayerTensorSegments has no columnstore index' END`},
	{"query-store", false, []string{babelfish}, sql2016, `SELECT CASE
		WHEN EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state = 2) THEN N''
		WHEN EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state = 3)
			THEN N'the query store is in error: run sp_query_store_consistency_check'
		ELSE N'the query store does not collect' END`},
	{"role", true, nil, sql2016, `SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.database_principals
			WHERE name = N'ingest_writer' AND type = 'R')
		THEN N'' ELSE N'role ingest_writer does not exist' END`},
	{"broker", false, []string{"Azure SQL Database", fabricDatabase, babelfish}, sql2016, `SELECT CASE
		WHEN NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_broker_enabled = 1)
			THEN N'Service Broker is disabled in the database'
		WHEN NOT EXISTS (SELECT 1 FROM sys.service_message_types WHERE name = N'//Hartonomous/Message')
			THEN N'message type //Hartonomous/Message is missing'
		WHEN NOT EXISTS (SELECT 1 FROM sys.service_contracts WHERE name = N'//Hartonomous/Contract')
			THEN N'contract //Hartonomous/Contract is missing'
		WHEN OBJECT_ID(N'dbo.HartonomousMessageQueue', N'SQ') IS NULL
			THEN N'queue dbo.HartonomousMessageQueue is missing'
		WHEN EXISTS (SELECT 1 FROM sys.service_queues
				WHERE object_id = OBJECT_ID(N'dbo.HartonomousMessageQueue') AND is_receive_enabled = 0)
			THEN N'queue dbo.HartonomousMessageQueue is disabled, as after a message that failed five times'
		WHEN (SELECT COUNT(*) FROM sys.services
				WHERE name IN (N'Hartonomous.BrokerInitiator', N'Hartonomous.BrokerTarget')) < 2
			THEN N'a service is missing'
		ELSE N'' END`},
}

// PartNames returns the names of the optional parts.
func PartNames() []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func named(name string) (*part, error) {
	i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no part %q: want one of %s", name, strings.Join(PartNames(), ", "))
	}
	return &parts[i], nil
}

// refused returns why the server cannot have the part; empty if it can.
func (p *part) refused(server Server) string {
	if slices.Contains(p.lacking, server.Product) {
		return "part " + p.name + " is not available in " + server.Product
	}
	if server.Product == "SQL Server" && server.older(p.since) {
		return fmt.Sprintf("part %s is not available in SQL Server version %s: it needs version %d or later", p.name,
			server.Version, p.since)
	}
	return ""
}

// PartScript returns the SQL of a part for this server.
func PartScript(server Server, name string, settings PartSettings) (string, error) {
	p, err := named(name)
	if err != nil {
		return "", err
	}
	if why := p.refused(server); why != "" {
		return "", errors.New(why)
	}
	if name == "filestream" && settings.Path == "" {
		return "", errors.New("part filestream: name the folder on the server for its data (--filestream-path)")
	}
	text, err := partFiles.ReadFile("sqlserver/parts/" + name + ".sql")
	if err != nil {
		return "", err
	}
	return settings.fill(string(text)), nil
}

// fill replaces the variables of a part. $(asked) is 1 if a retention was given.
func (s PartSettings) fill(text string) string {
	days := cmp.Or(max(s.RetentionDays, 0), 365)
	return strings.NewReplacer("$(path)", literal(s.Path), "$(days)", strconv.Itoa(days), "$(asked)",
		pick(s.RetentionDays > 0, "1", "0")).Replace(text)
}

// ApplyPart adds an optional part to a database that Apply has brought up to date. It may be
// repeated: outside a transaction, each statement checks first whether it is needed.
func ApplyPart(ctx context.Context, db *sql.DB, name string, settings PartSettings) error {
	server, err := Inspect(ctx, db)
	if err != nil {
		return err
	}
	script, err := PartScript(server, name, settings)
	if err != nil {
		return err
	}
	p, err := named(name)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // returns it to the pool; always nil
	execute := func(run func(context.Context, string, ...any) (sql.Result, error)) error {
		batches := Batches(script)
		for i, batch := range batches {
			if _, err := run(ctx, batch); err != nil {
				return fmt.Errorf("part %s, batch %d of %d: %w", name, i+1, len(batches), err)
			}
		}
		return nil
	}
	if !p.inTransaction { // statements before an error stay applied, and are skipped the next time
		return execute(conn.ExecContext)
	}
	return within(ctx, conn, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, lockSchema); err != nil {
			return err
		}
		return execute(tx.ExecContext)
	})
}

// CheckPart returns what an optional part lacks or how it differs from settings; empty if nothing.
func CheckPart(ctx context.Context, db querier, name string, settings PartSettings) (string, error) {
	p, err := named(name)
	if err != nil {
		return "", err
	}
	server, err := Inspect(ctx, db)
	if err != nil {
		return "", err
	}
	if why := p.refused(server); why != "" {
		return why, nil
	}
	var problem string
	err = db.QueryRowContext(ctx, `/* ingest: check-part */ `+settings.fill(p.check)).Scan(&problem)
	return problem, err
}
