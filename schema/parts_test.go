package schema

import (
	"strings"
	"testing"
)

func TestPartScripts(t *testing.T) {
	cloud := Server{Product: "Azure SQL Database"}
	for name, c := range map[string]struct {
		server   Server
		part     string
		settings PartSettings
		want     string // in the script, or in the error
		refused  bool
	}{
		"filestream": {plain, "filestream", PartSettings{Path: `D:\it's`},
			`REPLACE(N'D:\it''s', N'''', N'''''')`, false},
		"filestream, no path": {plain, "filestream", PartSettings{}, "name the folder", true},
		"filestream in cloud": {cloud, "filestream", PartSettings{Path: "x"},
			"part filestream is not available in Azure SQL Database", true},
		"temporal": {plain, "temporal", PartSettings{RetentionDays: 30},
			"HISTORY_RETENTION_PERIOD = 30 DAYS", false},
		"temporal, by default": {cloud, "temporal", PartSettings{}, "HISTORY_RETENTION_PERIOD = 365 DAYS", false},
		"temporal, SQL Server 2016": {Server{Product: "SQL Server", Version: "13.0.5108.50"}, "temporal",
			PartSettings{}, "it needs version 14 or later", true},
		"temporal, SQL Server 2017": {Server{Product: "SQL Server", Version: "14.0.1000.169"}, "temporal",
			PartSettings{}, "WHEN 0 = 1 AND @days <> 365", false},
		"temporal, in cloud": {Server{Product: "Azure SQL Database", Version: "12.0.2000.8"}, "temporal",
			PartSettings{RetentionDays: 7}, "WHEN 1 = 1 AND @days <> 7", false},
		"columnstore":     {cloud, "columnstore", PartSettings{}, "NONCLUSTERED COLUMNSTORE", false},
		"query store":     {cloud, "query-store", PartSettings{}, "QUERY_STORE = ON", false},
		"broker":          {plain, "broker", PartSettings{}, "//Hartonomous/Contract", false},
		"broker in cloud": {cloud, "broker", PartSettings{}, "part broker is not available in", true},
		"query store, Babelfish": {Server{Product: "Babelfish"}, "query-store", PartSettings{},
			"not available in Babelfish", true},
		"filestream, of atoms": {plain, "filestream", PartSettings{Path: "x"},
			"ADD Payload varbinary(max) FILESTREAM NULL", false},
		"one that does not exist": {plain, "x", PartSettings{}, "want one of filestream, temporal", true},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := PartScript(c.server, c.part, c.settings)
			if (err != nil) != c.refused {
				t.Fatal(err)
			}
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, c.want) || strings.Contains(text, "$(") {
				t.Errorf("want %q in\n%s", c.want, text)
			}
		})
	}
}
