package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/schema"
)

// upgrade applies the steps of the schema that the database lacks, all or none.
func (c *Catalog) upgrade(ctx context.Context) error {
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		return err
	}
	return c.transact(ctx, func(tx *tx) error { return tx.upgrade(steps) })
}

func (t *tx) upgrade(steps []schema.Step) error {
	var tables, ours int
	err := t.one(`SELECT count(*), count(*) FILTER (WHERE name = 'SchemaSteps') FROM sqlite_schema`).Scan(&tables, &ours)
	if err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return errors.New("it is a database of another program")
	}
	applied := 0
	if ours > 0 {
		if err := t.one(`SELECT coalesce(max(Number), 0) FROM SchemaSteps`).Scan(&applied); err != nil {
			return err
		}
	} else if _, err := t.exec(createSteps); err != nil {
		return err
	}
	if applied > len(steps) {
		return fmt.Errorf("it has schema step %d and this program knows %d: use a newer ingest", applied, len(steps))
	}
	for _, step := range steps[applied:] {
		if _, err := t.exec(step.SQL); err != nil {
			return fmt.Errorf("schema step %d (%s): %w", step.Number, step.Name, err)
		}
		if _, err := t.exec(`INSERT INTO SchemaSteps (Number, Name) VALUES (?, ?)`, step.Number, step.Name); err != nil {
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
