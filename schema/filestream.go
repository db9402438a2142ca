package schema

import (
	"context"
	"fmt"
)

// Prerequisite is a condition for writing payloads through OpenSqlFilestream, or for FILESTREAM at
// all.
type Prerequisite struct {
	Name  string
	OK    bool
	Found string // the current state
	Do    string // what to do if it is not OK
	// Client is set if this client, not the database, lacks it. T-SQL can still read and write
	// payloads.
	Client bool
}

// filestreamState is the state of FILESTREAM as the server reports it.
type filestreamState struct {
	configured, effective int // levels
	share                 string
	filegroup, file       string
	login, transport      string // of this connection
}

// selectFilestream uses CONNECTIONPROPERTY: sys.dm_exec_connections has the same data, but needs
// VIEW SERVER STATE, which few logins have.
const selectFilestream = `/* ingest: filestream */
SELECT COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamConfiguredLevel')), 0),
	COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0),
	COALESCE(CONVERT(nvarchar(256), SERVERPROPERTY('FilestreamShareName')), N''),
	COALESCE((SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id), N''),
	COALESCE((SELECT TOP (1) f.physical_name FROM sys.database_files AS f
		INNER JOIN sys.filegroups AS g ON g.data_space_id = f.data_space_id
		WHERE f.type = 2 AND g.type = 'FD'), N''),
	COALESCE(CONVERT(nvarchar(40), CONNECTIONPROPERTY('auth_scheme')), N''),
	COALESCE(CONVERT(nvarchar(40), CONNECTIONPROPERTY('net_transport')), N'')`

// CheckFilestream returns the state of each prerequisite for FILESTREAM on the server and in the
// database. It returns none if the product has no FILESTREAM, which CheckPart reports.
func CheckFilestream(ctx context.Context, db querier) ([]Prerequisite, error) {
	server, err := Inspect(ctx, db)
	if err != nil {
		return nil, err
	}
	p, err := named("filestream")
	if err != nil || p.refused(server) != "" {
		return nil, err
	}
	var s filestreamState
	err = db.QueryRowContext(ctx, selectFilestream).Scan(&s.configured, &s.effective, &s.share, &s.filegroup, &s.file,
		&s.login, &s.transport)
	if err != nil {
		return nil, fmt.Errorf("reading the state of FILESTREAM: %w", err)
	}
	return s.prerequisites(), nil
}

// levels describe SERVERPROPERTY('FilestreamEffectiveLevel').
var levels = [...]string{"disabled", "T-SQL only", "T-SQL and files", "T-SQL and files, also from other machines"}

func levelOf(n int) string {
	if n < 0 || n >= len(levels) {
		return fmt.Sprintf("level %d", n)
	}
	return fmt.Sprintf("level %d: %s", n, levels[n])
}

func (s *filestreamState) prerequisites() []Prerequisite {
	const script = "scripts/enable-filestream.ps1 does this when run on the server as administrator"
	level := Prerequisite{Name: "instance", OK: s.effective >= 2, Found: levelOf(s.effective)}
	switch {
	case s.configured > s.effective:
		level.Found += fmt.Sprintf(", but %d is configured", s.configured)
		level.Do = "restart the instance; if that does not help, enable FILESTREAM in SQL Server Configuration " +
			"Manager, too (" + script + ")"
	default:
		level.Do = "enable FILESTREAM for T-SQL and for file I/O access in SQL Server Configuration Manager, then " +
			"run EXEC sp_configure 'filestream access level', 2 and RECONFIGURE (" + script + ")"
	}
	group := Prerequisite{Name: "filegroup", OK: s.filegroup != "" && s.file != "",
		Found: s.filegroup + " in " + s.file, Do: "ingest schema apply --with filestream --filestream-path FOLDER"}
	switch {
	case s.filegroup == "":
		group.Found = "the database has none for FILESTREAM"
	case s.file == "":
		group.Found = s.filegroup + " has no file"
	}
	integrated := s.login != "" && s.login != "SQL" // NTLM, KERBEROS, NEGOTIATE
	return []Prerequisite{
		level,
		{Name: "share", OK: s.share != "", Found: pick(s.share != "", s.share, "the instance has none"),
			Do: "name a Windows share for FILESTREAM in SQL Server Configuration Manager, and restart the instance (" +
				script + ")"},
		group,
		{Name: "login", Client: true, OK: integrated, Found: pick(s.login != "", s.login, "unknown login") +
			" over " + pick(s.transport != "", s.transport, "an unknown transport"),
			Do: "use Windows authentication: leave user, password and fedauth out of the catalogue's address"},
	}
}
