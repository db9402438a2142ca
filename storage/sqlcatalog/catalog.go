package sqlcatalog

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Catalog implements the verbs of a catalogue. A driver's own type embeds it and adds Close. It is
// safe for concurrent use.
type Catalog struct {
	dialect Dialect
	texts   map[*Statement]string
}

// New returns a catalogue over an engine.
func New(dialect Dialect) *Catalog {
	c := &Catalog{dialect: dialect, texts: make(map[*Statement]string, len(all))}
	for _, s := range all {
		c.texts[s] = c.compile(s)
	}
	return c
}

// text returns a statement in the engine's SQL.
func (c *Catalog) text(s *Statement) string {
	if text, known := c.texts[s]; known {
		return text
	}
	return c.compile(s)
}

func (c *Catalog) compile(s *Statement) string {
	text := Compile(s.name, s.text, c.dialect.Texts(), c.dialect.Word)
	if text == "" {
		return ""
	}
	return c.dialect.Finish(s.name, text+s.added)
}

// read runs do on one connection.
func (c *Catalog) read(ctx context.Context, do func(*Tx) error) error {
	return c.dialect.Read(ctx, false, do)
}

// readLong is read for queries over very many rows.
func (c *Catalog) readLong(ctx context.Context, do func(*Tx) error) error {
	return c.dialect.Read(ctx, true, do)
}

// write runs do in a transaction.
func (c *Catalog) write(ctx context.Context, do func(*Tx) error) error {
	return c.dialect.Write(ctx, false, do)
}

// writeUnder is write for a verb whose lease must hold at the commit.
func (c *Catalog) writeUnder(ctx context.Context, lease ingest.Lease, do func(*Tx) error) error {
	return c.dialect.Write(ctx, false, Under(lease, do))
}

// writeLong is writeUnder for statements over very many rows, which may run for hours.
func (c *Catalog) writeLong(ctx context.Context, lease ingest.Lease, do func(*Tx) error) error {
	return c.dialect.Write(ctx, true, Under(lease, do))
}

// Under checks the lease, runs do, and checks the lease again with Fence.
func Under(lease ingest.Lease, do func(*Tx) error) func(*Tx) error {
	return func(t *Tx) error {
		if err := t.Hold(lease); err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		return t.Fence(lease)
	}
}

var identity = shared("identity", `SELECT [Identity] FROM dbo.CatalogIdentity`)

// Identity implements ingest.Catalog. A copy of the database is the same catalogue.
func (c *Catalog) Identity(ctx context.Context) (id string, err error) {
	err = c.read(ctx, func(t *Tx) error { return t.One(identity).Scan(&id) })
	return id, err
}

var adoptIdentity = shared("adopt-identity", `UPDATE dbo.CatalogIdentity SET [Identity] = @p1
	WHERE NOT EXISTS (SELECT 1 FROM dbo.Models)`)

// Adopt implements ingest.Catalog.
func (c *Catalog) Adopt(ctx context.Context, identity string) error {
	return c.write(ctx, func(t *Tx) error {
		n, err := t.Change(adoptIdentity, identity)
		if err == nil && n == 0 {
			err = fmt.Errorf("adopt identity %s: %w", ingest.Printable(identity), ingest.ErrNotEmpty)
		}
		return err
	})
}
