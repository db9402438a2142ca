// Package sqlserver is the catalogue in SQL Server, Azure SQL Database and what speaks
// their language: the tables of the Hartonomous database, which another application reads
// and writes as well, and beside them the columns and tables that ingest adds (package
// schema makes them; Open does not).
//
// Each verb that writes is one transaction at READ COMMITTED (Unreferenced, of gc, is several). What must not change
// between reading it and the commit is locked where it is read, with hints that the
// statements explain; and where a lock would not do on every engine, a unique index
// refuses the second of two equal rows, and the verb is tried again. The last statement
// of a transaction under a lease is its fence: it locks the row of the job, if the lease
// still holds, for the time of the commit alone.
//
// A batch of rows travels as one bulk copy into a temporary table. Statements over whole
// sets then make the rows of it, and count at the end that each row which was sent is there. Payloads
// for rows follow one by one: as files, where the columns are FILESTREAM and the client can (package
// filestream), and else as parameters of a statement.
//
// Whatever fails on a connection, the connection is thrown away, and the server rolls back
// what it was in. Errors that may pass are tried again, all in one place (storage.Do).
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
)

var (
	_ ingest.Catalog  = (*Catalog)(nil)
	_ ingest.RowStore = (*Catalog)(nil)
	_ ingest.Hasher   = (*Catalog)(nil)
)

// Settings are what an address does not say. The zero value is right.
type Settings struct {
	// Retry is how errors that may pass are tried again; without Attempts it means
	// twelve of them within two minutes, whatever else it says.
	Retry storage.Policy
	// Stall is how long the server may be silent in the midst of a statement before the
	// connection is given up; 0 or less means a minute. A "connection timeout" in the address goes
	// before it. Statements that may go through very many rows have an hour, whatever is said.
	Stall time.Duration
	// Connections is how many verbs may be at work in the database at the same moment; 0 means eight. A run has some for each of
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
	name    string // what messages call the database: no secret is in it
	db      *sql.DB
	patient *sql.DB // for statements that read or remove very many rows
	policy  storage.Policy
	sharing storage.Policy // of files, within a transaction
	server  schema.Server
	columns columns
	plain   []string // tables that keep payloads in the row itself
	way     way
	ready   bool // the database was there when it was opened
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
	c := &Catalog{name: a.name, policy: settings.Retry, sharing: sharing}
	if c.policy.Attempts <= 0 {
		c.policy = storage.Policy{Attempts: 12, First: 50 * time.Millisecond, Longest: 10 * time.Second}
	}
	if c.db, err = a.pool(cmp.Or(settings.Connections, defaultConnections)); err != nil {
		return nil, err
	}
	if c.patient, err = a.patient(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	// A mistyped name should not take minutes to be reported.
	soon := storage.Policy{Attempts: 3, First: time.Second, Total: 30 * time.Second}
	look := func() error { return c.explain(c.inspect(ctx)) }
	err = storage.Do(ctx, soon, look)
	if f, ok := errors.AsType[*fault](err); ok && f.after > 0 { // a database of Azure that was paused takes a minute or two to come back
		err = storage.Do(ctx, c.policy, look)
	}
	if err != nil && a.login != "" {
		err = fmt.Errorf("%w (%s)", err, a.login)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if c.way, err = choose(settings.Filestream, c.conditions(a)); err != nil {
		return nil, errors.Join(c.explain(err), c.Close())
	}
	c.ready = true
	return c, nil
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
	return (&Catalog{name: a.name}).explain(err)
}

// inspect makes sure that the schema is the one which this program knows, and reads what the columns hold.
func (c *Catalog) inspect(ctx context.Context) error {
	plan, err := schema.Plan(ctx, c.db)
	if err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		return fmt.Errorf("its tables lack %d of the %d steps that this program knows: run `ingest schema apply`, or let who may change tables run it",
			len(plan.Steps), plan.Applied+len(plan.Steps))
	}
	c.server = plan.Server
	if c.columns, err = readColumns(ctx, c.db); err != nil {
		return err
	}
	c.plain = payloadTables
	if c.server.Filegroup != "" { // else there is no FILESTREAM column
		c.plain, err = readPlain(ctx, c.db)
	}
	return err
}

// Server says what the database was found to be on.
func (c *Catalog) Server() schema.Server { return c.server }

// Identity implements ingest.Catalog. A restored copy of the database is the same catalogue.
func (c *Catalog) Identity(ctx context.Context) (id string, err error) {
	err = c.read(ctx, func(tx *tx) error {
		return tx.one(`/* ingest: identity */ SELECT [Identity] FROM dbo.CatalogIdentity`).Scan(&id)
	})
	return id, err
}

// Close implements ingest.Catalog.
func (c *Catalog) Close() error {
	var failed []error
	for _, db := range []*sql.DB{c.db, c.patient} {
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	return c.explain(errors.Join(failed...))
}
