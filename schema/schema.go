// Package schema holds the SQL that makes the catalogue's tables, numbered for
// each engine. A step that was released is never edited: what changes is a new
// step. The package is a leaf: it opens no database, whoever does applies the steps.
// What each step for SQL Server locks, and for how long, is in storage/sqlserver/README.md.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Engine is a kind of database that there are steps for.
type Engine string

// The engines: SQLite is the embedded catalogue's, SQLServer that of SQL Server and Azure SQL.
const (
	SQLite    Engine = "sqlite"
	SQLServer Engine = "sqlserver"
)

// Step is one change of the schema.
type Step struct {
	Number int    // from 1, without a gap
	Name   string // what it is about, from the file's name
	SQL    string
}

//go:embed sqlite/*.sql sqlserver/*.sql
var files embed.FS

// Steps returns the steps of an engine in the order in which they are applied.
func Steps(engine Engine) ([]Step, error) { return read(files, string(engine)) }

// read is Steps for any file system. A folder lists its files by name, and the
// numbers have leading zeros, so the order of names is the order of steps.
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
