package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// upgrade applies the steps of the schema that the database lacks, all or none. If
// it lacks none, nothing is locked: who only reads does not wait for who writes.
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
	return c.transact(ctx, func(t *sqlcatalog.Tx) error { return apply(t, steps) })
}

// stepsApplied returns how many of steps the database has; -1 for an empty one. It
// refuses a database that is newer, or that is something else's.
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
		err = fmt.Errorf("it has schema step %d and this program knows %d: use a newer ingest", applied, len(steps))
	}
	return applied, err
}

func apply(t *sqlcatalog.Tx, steps []schema.Step) error {
	applied, err := stepsApplied(t, steps) // another process may have been first
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
