package schema

import (
	"slices"
	"strings"
	"testing"
)

func TestChoices(t *testing.T) {
	for name, c := range map[string]struct {
		server Server
		want   []string // prefixes of some lines
	}{
		"plain": {Server{Product: "SQL Server", Version: "13.0", Edition: "Express", Database: "D"},
			[]string{"SQL Server 13.0 (Express), database D", "JSON is stored in nvarchar(max)",
				"payloads in rows are stored in varbinary(max)", "readers wait"}},
		"all": {Server{JSON: true, Filegroup: "G", Geometry: true, Snapshots: true},
			[]string{"JSON is stored in the type json",
				"payloads in rows of new tables are stored as FILESTREAM in filegroup G",
				"readers do not wait", "geometry columns have the type"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range c.want {
				if !slices.ContainsFunc(c.server.Choices(), func(line string) bool {
					return strings.HasPrefix(line, want)
				}) {
					t.Errorf("%q is missing in %q", want, c.server.Choices())
				}
			}
		})
	}
}
