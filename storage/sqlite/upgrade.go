package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// upgrade applies the missing schema steps, all or none. If none is missing, it takes no lock: a
// reader does not wait for a writer.
func (c *connections) upgrade(ctx context.Context) error {
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		return err
	}
	var applied int
	err = c.within(ctx, c.writer, "BEGIN", func(t *sqlcatalog.Tx) (err error) {
		applied, err = stepsApplied(t, steps)
		return err
	})
	if err != nil || applied == len(steps) {
		return err
	}
	return c.within(ctx, c.writer, "BEGIN IMMEDIATE", func(t *sqlcatalog.Tx) error { return apply(t, steps) })
}

// Current reports whether the database at path has all schema steps, without changing it. Open would
// apply the missing ones, and create the tables of an empty database.
func Current(ctx context.Context, path string) (current bool, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 { // a reader would create the file
		return false, err
	}
	c := &connections{path: path, reader: pool(path, readerPragmas, 1)}
	defer c.reader.Close() // it only reads
	c.catalog = sqlcatalog.New(&dialect{c})
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		return false, err
	}
	err = c.within(ctx, c.reader, "BEGIN", func(t *sqlcatalog.Tx) error {
		applied, err := stepsApplied(t, steps)
		current = applied == len(steps)
		return err
	})
	if err != nil {
		return false, c.explain(err)
	}
	return current, nil
}

// stepsApplied returns how many steps the database has; -1 if it is empty. It returns an error for
// a database that is newer or belongs to another program.
func stepsApplied(t *sqlcatalog.Tx, steps []schema.Step) (int, error) {
	var tables, ours int
	err := one(t, `SELECT count(*), count(*) FILTER (WHERE name = 'SchemaSteps') FROM sqlite_schema`).Scan(&tables,
		&ours)
	if err != nil {
		return 0, err
	}
	if tables == 0 {
		return -1, nil
	}
	if ours == 0 {
		return 0, errors.New("it is a database of another program")
	}
	var applied int
	err = one(t, `SELECT coalesce(max(Number), 0) FROM SchemaSteps`).Scan(&applied)
	if err == nil && applied > len(steps) {
		err = fmt.Errorf("it has schema step %d, but this program knows %d: use a newer ingest", applied, len(steps))
	}
	return applied, err
}

func apply(t *sqlcatalog.Tx, steps []schema.Step) error {
	applied, err := stepsApplied(t, steps) // again under the lock: another process may have applied them
	if err != nil {
		return err
	}
	if applied < 0 {
		if err := execute(t, createSteps); err != nil {
			return err
		}
		applied = 0
	}
	for _, step := range steps[applied:] {
		if err := execute(t, step.SQL); err != nil {
			return fmt.Errorf("schema step %d (%s): %w", step.Number, step.Name, err)
		}
		if err := execute(t, `INSERT INTO SchemaSteps (Number, Name) VALUES (?, ?)`, step.Number,
			step.Name); err != nil {
			return err
		}
	}
	return nil
}

const createSteps = `CREATE TABLE SchemaSteps (
	Number    INTEGER PRIMARY KEY,
	Name      TEXT NOT NULL,
	AppliedAt TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)`
