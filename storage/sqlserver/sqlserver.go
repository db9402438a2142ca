// Package sqlserver is the catalogue in SQL Server, Azure SQL Database and what speaks
// their language: the tables of the Hartonomous database, which another application reads
// and writes as well, and beside them the columns and tables that ingest adds (package
// schema makes them; Open does not). The verbs are those of package sqlcatalog; this is its dialect.
//
// Each verb that writes is a transaction at READ COMMITTED. What must not change
// between reading it and the commit is locked where it is read, with hints that the
// statements explain; and where a lock would not do on every engine, a unique index
// refuses the second of two equal rows, and the verb is tried again. The last statement
// of a transaction under a lease is its fence: it locks the row of the job, if the lease
// still holds, for the time of the commit alone.
//
// A batch of rows travels as one bulk copy into a temporary table, which belongs to the connection and is used
// again. Atoms that are missing are made next, with no reference, outside of the transaction. Within
// it, statements over whole sets make the rows, with their payloads: as files, where the columns are
// FILESTREAM and the client
// can (package filestream), and else as parameters of a statement. Only then are the references counted, which
// locks the atoms: others wait for them as long as it takes to commit, and not as long as payloads take to travel.
//
// Connections are kept: their temporary tables and settings last. If anything fails on a connection, it is
// closed, and the server rolls back what it was in. Errors that may pass are tried again, all in one place
// (storage.Do).
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

// Settings are what an address does not say. The zero value is right.
type Settings struct {
	// Retry is how errors that may pass are tried again; without Attempts it means
	// twelve of them within two minutes, whatever else it says.
	Retry storage.Policy
	// Stall is how long the server may be silent in the midst of a statement before the
	// connection is given up; 0 or less means a minute. A "connection timeout" in the address goes
	// before it. Statements that may go through very many rows have an hour, whatever is said.
	Stall time.Duration
	// Connections is how many verbs may be at work in the database at the same moment; 0 means eight. A
	// run has some for each of
	// its transactions, and others for its lease, which is not to wait for them.
	Connections int
	// Password is for an address that has a user and no password. Empty means what
	// INGEST_CATALOG_PASSWORD, or the file that INGEST_CATALOG_PASSWORD_FILE names, says.
	Password string
	// Filestream is how payloads get into rows, and out of them again; the zero value means Auto.
	Filestream Way
}

// Catalog is an open database. Its methods may be called by many goroutines.
type Catalog struct {
	*sqlcatalog.Catalog
	engine *engine
}

// engine is the dialect of a database.
type engine struct {
	name    string // what messages call the database: no secret is in it
	verbs   *sqlcatalog.Catalog
	usual   *kept
	patient *kept // for statements that read or remove very many rows
	policy  storage.Policy
	sharing storage.Policy // of files, within a transaction
	server  schema.Server
	columns columns
	plain   []string // tables that keep payloads in the row itself
	// atomFiles says that the payloads of Atoms are FILESTREAM.
	atomFiles bool
	way       way
	ready     bool // the database was there when it was opened
}

// defaultConnections is enough for files that are taken in one transaction at a time.
const defaultConnections = 8

// Open opens the database that address names, in any form that go-mssqldb takes:
// sqlserver://, azuresql://, or a list of name=value. Its tables must be those that this
// program knows: see schema.Apply.
func Open(ctx context.Context, address string, settings Settings) (*Catalog, error) {
	a, err := parseAddress(address, settings)
	if err != nil {
		return nil, err
	}
	c := &engine{name: a.name, policy: settings.Retry, sharing: sharing}
	if c.policy.Attempts <= 0 {
		c.policy = storage.Policy{Attempts: 12, First: 50 * time.Millisecond, Longest: 10 * time.Second}
	}
	if c.usual, err = a.keep(cmp.Or(settings.Connections, defaultConnections), a.silence); err != nil {
		return nil, err
	}
	if c.patient, err = a.keep(1, a.patience()); err != nil {
		return nil, errors.Join(err, c.close())
	}
	// A mistyped name should not take minutes to be reported.
	soon := storage.Policy{Attempts: 3, First: time.Second, Total: 30 * time.Second}
	look := func() error { return c.explain(c.inspect(ctx)) }
	err = storage.Do(ctx, soon, look)
	// a database of Azure that was paused takes a minute or two to come back
	if f, ok := errors.AsType[*fault](err); ok && f.after > 0 {
		err = storage.Do(ctx, c.policy, look)
	}
	if err != nil && a.login != "" {
		err = fmt.Errorf("%w (%s)", err, a.login)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if c.way, err = choose(settings.Filestream, c.conditions(a)); err != nil {
		return nil, errors.Join(c.explain(err), c.close())
	}
	c.ready = true
	c.verbs = sqlcatalog.New(c)
	return &Catalog{c.verbs, c}, nil
}

// OpenSchema connects to the database that address names, for package schema to work on:
// its statements may take an hour.
func OpenSchema(address string, settings Settings) (*sql.DB, error) {
	a, err := parseAddress(address, settings)
	if err != nil {
		return nil, err
	}
	return a.patient()
}

// UseSchema lets work change or check the tables of the database that address names. What the server or the network
// refuses is explained as it is for the catalogue's own verbs.
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

// inspect makes sure that the schema is the one which this program knows, and reads what the columns hold.
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
		return fmt.Errorf("its tables lack %d of the %d steps that this program knows: run `ingest schema apply`, or "+
			"let who may change tables run it",
			len(plan.Steps), plan.Applied+len(plan.Steps))
	}
	if c.server = plan.Server; c.server.Product == "Babelfish" {
		c.usual.resetAll()
		c.patient.resetAll()
	}
	if c.columns, err = readColumns(ctx, conn); err != nil {
		return err
	}
	c.plain = payloadTables
	if c.server.Filegroup != "" { // else there is no FILESTREAM column
		c.plain, c.atomFiles, err = readPlain(ctx, conn)
	}
	return err
}

// Server says what the database was found to be on.
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
