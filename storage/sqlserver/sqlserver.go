// Package sqlserver is the catalogue in SQL Server, Azure SQL Database and compatible servers: the
// tables of the Hartonomous database, which another application uses, too, and the columns and
// tables that ingest adds (package schema makes them; Open does not). The verbs are those of
// package sqlcatalog; this is its dialect.
//
// A verb that writes is one transaction at READ COMMITTED. It locks what must not change between
// reading and commit where it reads it, with hints that the statements explain. Where locks do not
// work on every engine, a unique index refuses the second of two equal rows, and the verb is
// retried. The last statement of a transaction under a lease is its fence, which locks the job's
// row, if the lease still holds, until the commit.
//
// A batch is sent as one bulk copy into a temporary table, which the connection keeps. Then missing
// atoms are added, without references and outside the transaction. In the transaction, set-based
// statements insert the rows and their payloads: as files if the columns are FILESTREAM and the
// client supports it (package filestream), otherwise as parameters. References are counted last,
// which locks the atoms: others wait only for the commit, not for the transfer of payloads.
//
// Connections keep their temporary tables and settings. A connection in doubt is dropped, and the
// server rolls back its transaction. Transient errors are retried in one place (storage.Do).
package sqlserver

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

var _ ingest.Catalog = (*Catalog)(nil)

// Settings are the settings that are not in the address. The zero value has good defaults.
type Settings struct {
	// Retry is for transient errors; if Attempts is 0, it means twelve attempts within two minutes.
	Retry storage.Policy
	// Stall is how long the server may send nothing during a statement before the connection is
	// dropped; 0 or less means a minute. A "connection timeout" in the address takes precedence.
	// Statements over very many rows have at least an hour.
	Stall time.Duration
	// Connections is how many verbs may use the database at the same time; 0 means eight. A run
	// needs some for its transactions, and one for its lease, which must not wait for them.
	Connections int
	// Password is for an address with a user and no password. If empty, INGEST_CATALOG_PASSWORD, or
	// the file that INGEST_CATALOG_PASSWORD_FILE names, is used.
	Password string
	// Filestream is how payloads are written to and read from rows; the zero value means Auto.
	Filestream PayloadMode
}

// Catalog is an open database. It is safe for concurrent use.
type Catalog struct {
	*sqlcatalog.Catalog
	engine *engine
}

// engine is the dialect of a database.
type engine struct {
	name    string // the database in messages, without secrets
	verbs   *sqlcatalog.Catalog
	usual   *kept
	patient *kept // for statements over very many rows
	policy  storage.Policy
	sharing storage.Policy // for files that are in use, within a transaction
	server  schema.Server
	columns columns
	plain   []string // tables whose payloads are not FILESTREAM
	// atomFiles reports whether Atoms.Payload is a FILESTREAM column.
	atomFiles bool
	access    payloadAccess
	ready     bool // Open has succeeded
}

// defaultConnections suffices for files with one transaction in flight each.
const defaultConnections = 8

// Open opens the database at address, in any form that go-mssqldb accepts: sqlserver://,
// azuresql://, or a name=value list. It returns an error if the schema is not up to date: see
// schema.Apply.
func Open(ctx context.Context, address string, settings Settings) (*Catalog, error) {
	a, err := parseAddress(address, settings)
	if err != nil {
		return nil, err
	}
	c := &engine{name: a.name, policy: settings.Retry, sharing: sharing}
	if c.policy.Attempts <= 0 {
		c.policy = storage.Policy{Attempts: 12, First: 50 * time.Millisecond, Longest: 10 * time.Second}
	}
	if c.usual, err = a.keep(cmp.Or(settings.Connections, defaultConnections), a.stall); err != nil {
		return nil, err
	}
	if c.patient, err = a.keep(1, a.longStall()); err != nil {
		return nil, errors.Join(err, c.close())
	}
	// Report a mistyped name soon.
	soon := storage.Policy{Attempts: 3, First: time.Second, Total: 30 * time.Second}
	look := func() error { return c.explain(c.inspect(ctx)) }
	err = storage.Do(ctx, soon, look)
	// a paused Azure database takes a minute or two to resume
	if f, ok := errors.AsType[*fault](err); ok && f.after > 0 {
		err = storage.Do(ctx, c.policy, look)
	}
	if err != nil && a.login != "" {
		err = fmt.Errorf("%w (%s)", err, a.login)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if c.access, err = choose(settings.Filestream, c.conditions(a)); err != nil {
		return nil, errors.Join(c.explain(err), c.close())
	}
	c.ready = true
	c.verbs = sqlcatalog.New(c)
	return &Catalog{c.verbs, c}, nil
}

// OpenSchema connects to the database at address for package schema, whose statements may take an
// hour.
func OpenSchema(address string, settings Settings) (*sql.DB, error) {
	a, err := parseAddress(address, settings)
	if err != nil {
		return nil, err
	}
	return a.patient()
}

// UseSchema calls work with a connection to the database at address. It explains errors of the
// server and the network as the catalogue's own verbs do.
func UseSchema(address string, settings Settings, work func(*sql.DB) error) error {
	a, err := parseAddress(address, settings)
	if err != nil {
		return err
	}
	db, err := a.patient()
	if err != nil {
		return err
	}
	err = errors.Join(work(db), db.Close())
	var network net.Error
	if err == nil || serverErrors(err) == nil && !errors.As(err, &network) && !broken(err) {
		return err
	}
	return (&engine{name: a.name}).explain(err)
}

// inspect makes sure that the schema is up to date, and reads the properties of columns.
func (c *engine) inspect(ctx context.Context) error {
	conn, err := c.usual.get(ctx)
	if err != nil {
		return err
	}
	if err := c.look(ctx, conn); err != nil {
		c.usual.discard(conn, broken(err))
		return err
	}
	c.usual.put(conn)
	return nil
}

func (c *engine) look(ctx context.Context, conn *sql.Conn) error {
	plan, err := schema.Plan(ctx, conn)
	if err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		return fmt.Errorf("schema is missing or out of date, it lacks %d of %d steps: run `ingest schema "+
			"apply`, or let someone run it who may change tables", len(plan.Steps), plan.Applied+len(plan.Steps))
	}
	if c.server = plan.Server; c.server.Product == "Babelfish" {
		c.usual.resetAll()
		c.patient.resetAll()
	}
	if c.columns, err = readColumns(ctx, conn); err != nil {
		return err
	}
	c.plain = payloadTables
	if c.server.Filegroup != "" { // otherwise there is no FILESTREAM column
		c.plain, c.atomFiles, err = readPlain(ctx, conn)
	}
	return err
}

// Server returns the properties of the server and database.
func (c *Catalog) Server() schema.Server { return c.engine.server }

// Close implements ingest.Catalog.
func (c *Catalog) Close() error { return c.engine.close() }

func (c *engine) close() error {
	var failed []error
	for _, k := range []*kept{c.usual, c.patient} {
		if k != nil {
			failed = append(failed, k.close())
		}
	}
	return c.explain(errors.Join(failed...))
}
