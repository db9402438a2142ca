package schema

import (
	"context"
	"fmt"
)

// Prerequisite is something that it takes to write payloads as files, through OpenSqlFilestream, or to keep them as
// FILESTREAM at all.
type Prerequisite struct {
	Name  string
	OK    bool
	Found string // what there is
	Do    string // what to do where it is not OK
	// Client is set where it is this client that lacks it. The database is in order, and T-SQL reads and writes
	// payloads from here.
	Client bool
}

// filestreamState is what the server says of FILESTREAM.
type filestreamState struct {
	configured, effective int // levels
	share                 string
	filegroup, file       string
	login, transport      string // of this very connection
}

// selectFilestream asks CONNECTIONPROPERTY for what sys.dm_exec_connections has as well: that view takes a
// right (VIEW SERVER
// STATE) that few have.
const selectFilestream = `/* ingest: filestream */ SELECT COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamConfiguredLevel')), 0),
	COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0), COALESCE(CONVERT(nvarchar(256), SERVERPROPERTY('FilestreamShareName')), N''),
	COALESCE((SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id), N''),
	COALESCE((SELECT TOP (1) f.physical_name FROM sys.database_files AS f INNER JOIN sys.filegroups AS g ON g.data_space_id = f.data_space_id WHERE f.type = 2 AND g.type = 'FD'), N''),
	COALESCE(CONVERT(nvarchar(40), CONNECTIONPROPERTY('auth_scheme')), N''), COALESCE(CONVERT(nvarchar(40), CONNECTIONPROPERTY('net_transport')), N'')`

// CheckFilestream says one by one what there is, on the server and in the database that db is, of what FILESTREAM
// takes. It returns nothing where the product has no FILESTREAM, which CheckPart says.
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
		return nil, fmt.Errorf("finding out what there is of FILESTREAM: %w", err)
	}
	return s.prerequisites(), nil
}

// levels are those of SERVERPROPERTY('FilestreamEffectiveLevel').
var levels = [...]string{"switched off", "T-SQL alone", "T-SQL and files", "T-SQL and files, also from other machines"}

func levelOf(n int) string {
	if n < 0 || n >= len(levels) {
		return fmt.Sprintf("level %d", n)
	}
	return fmt.Sprintf("level %d: %s", n, levels[n])
}

func (s *filestreamState) prerequisites() []Prerequisite {
	const script = "scripts/enable-filestream.ps1 does so, on the server, as administrator"
	level := Prerequisite{Name: "instance", OK: s.effective >= 2, Found: levelOf(s.effective)}
	switch {
	case s.configured > s.effective:
		level.Found += fmt.Sprintf(", and %d is configured", s.configured)
		level.Do = "restart the instance; if that does not help, switch FILESTREAM on in SQL Server Configuration " +
			"Manager too (" + script + ")"
	default:
		level.Do = "switch on FILESTREAM for T-SQL and for file I/O access in SQL Server Configuration Manager, then " +
			"EXEC sp_configure 'filestream access level', 2 and RECONFIGURE (" + script + ")"
	}
	group := Prerequisite{Name: "filegroup", OK: s.filegroup != "" &&
		s.file != "", Found: s.filegroup + " in " + s.file,
		Do: "ingest schema apply --with filestream --filestream-path FOLDER"}
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
		{Name: "login", Client: true, OK: integrated, Found: pick(s.login != "", s.login, "of an unknown kind") +
			" over " + pick(s.transport != "", s.transport, "an unknown way"),
			Do: "log in as a user of Windows: leave user and password out of the catalogue's address, and fedauth"},
	}
}
