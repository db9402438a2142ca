// Package schema holds the SQL that makes the catalogue's tables, in numbered steps for each
// engine. A released step never changes: a change is a new step. For the locks that a step takes in
// SQL Server, see storage/sqlserver/README.md.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Engine is a kind of database.
type Engine string

// SQLite is the embedded catalogue; SQLServer is SQL Server and Azure SQL.
const (
	SQLite    Engine = "sqlite"
	SQLServer Engine = "sqlserver"
)

// Step is one change of the schema.
type Step struct {
	Number int    // from 1, without a gap
	Name   string // from the file's name
	SQL    string
}

//go:embed sqlite/*.sql sqlserver/*.sql
var files embed.FS

// Steps returns the steps of an engine in order.
func Steps(engine Engine) ([]Step, error) { return read(files, string(engine)) }

// read is Steps for any file system. Entries are sorted by name, which has the number with leading
// zeros.
func read(from fs.FS, folder string) ([]Step, error) {
	entries, err := fs.ReadDir(from, folder)
	if err != nil {
		return nil, fmt.Errorf("no schema for engine %q: %w", folder, err)
	}
	steps := make([]Step, 0, len(entries))
	for _, entry := range entries {
		text, err := fs.ReadFile(from, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		step, err := parse(entry.Name(), string(text))
		if err != nil {
			return nil, err
		}
		if step.Number != len(steps)+1 {
			return nil, fmt.Errorf("schema step %s/%s: want number %d", folder, entry.Name(), len(steps)+1)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// parse reads a step from a file named like 0001_catalogue.sql.
func parse(name, text string) (Step, error) {
	number, rest, ok := strings.Cut(strings.TrimSuffix(name, ".sql"), "_")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || !strings.HasSuffix(name, ".sql") {
		return Step{}, fmt.Errorf("schema step %q: want a name like 0001_what.sql", name)
	}
	return Step{Number: n, Name: rest, SQL: text}, nil
}
