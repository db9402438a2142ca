package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// transientNumbers are the errors after which the same call may succeed: those that Microsoft lists
// for Azure SQL, and deadlock victim, lock timeout, out of locks, no memory for the query, latch
// timeout (701, 845, 8645, 8651), the two of a unique index, which tell the loser of a race to look
// again, and those named below.
var transientNumbers = map[int32]bool{
	701: true, 845: true, 8645: true, 8651: true, 10936: true, 233: true, 997: true, 1204: true, 1205: true, 1222: true,
	4221: true, 10053: true, 10054: true, 10060: true, 10928: true, 10929: true,
	40143: true, 40197: true, 40501: true, 40540: true, 40613: true, 42108: true, 42109: true, 49918: true, 49919: true,
	49920: true, temporalConflict: true, duplicateKey: true, duplicateIndex: true, lockJobsLost: true,
}

const (
	duplicateKey   = 2627
	duplicateIndex = 2601
	cannotOpen     = 4060
	keyConflict    = 547
	// A table with history (part temporal) refuses a change by a transaction that began before the
	// one that last changed the row.
	temporalConflict = 13535
	lockJobsLost     = 51003 // thrown by lock-jobs
)

// throttled are the errors of an overloaded server: wait ten seconds.
var throttled = map[int32]bool{701: true, 8645: true, 8651: true, 10936: true, 10928: true, 10929: true, 40501: true,
	40613: true, 49918: true, 49919: true, 49920: true}

// hints say what to do about an error.
var hints = map[int32]string{
	229: "the login lacks a permission: it needs SELECT, INSERT, UPDATE and DELETE on the tables that " +
		"`ingest schema print` names",
	7139: "replication or change data capture limits values: run EXEC sp_configure 'max text repl " +
		"size', -1, then RECONFIGURE",
	262:   "the login may not do this: let a member of db_owner run `ingest schema apply`",
	1088:  "the login may not change a table: let a member of db_owner run `ingest schema apply`",
	2760:  "the login may not create tables in schema dbo: let a member of db_owner run `ingest schema apply`",
	5011:  "the login may not change the database: let a member of db_owner run `ingest schema apply`",
	15247: "the login may not change the instance: let a member of sysadmin run `ingest schema apply`",
	5591: "FILESTREAM is disabled in the instance: enable it in SQL Server Configuration Manager, then restart the " +
		"service",
	1969: "the database has no FILESTREAM filegroup: run `ingest schema apply --with filestream`",
	5133: "the server cannot create the folder: its parent must exist, and the service's account must be " +
		"able to write there",
	208:        "a table is missing: run `ingest schema check`",
	207:        "a column is missing: run `ingest schema check`",
	916:        "the login may not use this database: it needs a user there",
	1105:       "the database is full: make room, then run the same command again",
	1101:       "the database is full: make room, then run the same command again",
	9002:       "the transaction log is full: back it up or let it grow, then run the same command again",
	3906:       "the database is read-only",
	cannotOpen: "the database cannot be opened: check its name, and that the login has a user there",
	911:        "the database does not exist: check its name",
	18456:      "the login was refused: check user and password",
	18452:      "the login was refused: the server does not accept Windows logins from this machine",
	40615:      "the server's firewall blocks this address",
	40544:      "the database has reached its size quota: make room, then run the same command again",
}

// fault is an error with the name of the database, a hint, and whether the same call may succeed
// later.
type fault struct {
	name, hint string
	transient  bool
	after      time.Duration
	err        error
}

func (f *fault) Error() string {
	if f.hint != "" {
		return fmt.Sprintf("catalogue %s: %s: %v", f.name, f.hint, f.err)
	}
	return fmt.Sprintf("catalogue %s: %v", f.name, f.err)
}

// Unwrap returns the cause.
func (f *fault) Unwrap() error { return f.err }

// Transient implements storage.Transient.
func (f *fault) Transient() bool { return f.transient }

// RetryAfter implements storage.Delayed.
func (f *fault) RetryAfter() time.Duration { return f.after }

// explain turns an error into a fault.
func (c *engine) explain(err error) error {
	var known *fault
	if err == nil || errors.As(err, &known) {
		return err
	}
	f := &fault{name: c.name, err: err}
	if numbers := serverErrors(err); numbers != nil {
		for _, n := range numbers {
			if f.hint == "" {
				f.hint = hints[n]
			}
			f.transient = f.transient || transientNumbers[n]
			if throttled[n] {
				f.after = 10 * time.Second
			}
		}
		// A database that has been open is moving to another machine and will be back.
		moving := c.ready && slices.Contains(numbers, cannotOpen)
		f.transient = f.transient && f.hint == "" || severed(err) || moving
		return f
	}
	f.transient = raced(err) || broken(err)
	var dial *net.OpError
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		f.hint = "the server's name cannot be resolved: check the host in the address"
	case strings.Contains(err.Error(), "TLS Handshake failed"),
		strings.Contains(err.Error(), "server does not support encryption"):
		f.hint = "no encrypted connection could be made; in the address, certificate=FILE names the certificate " +
			"authority, trustservercertificate=true accepts any certificate, and encrypt=disable turns encryption off"
		f.transient = f.transient && c.ready
	case errors.As(err, &dial) && dial.Op == "dial":
		f.hint = "the server does not answer: check host and port, that the server runs and accepts TCP, and firewalls"
	}
	return f
}

// serverErrors returns the numbers of the errors that the server reported; nil for other errors.
func serverErrors(err error) []int32 {
	var e mssql.Error
	if !errors.As(err, &e) || e.Number == 0 {
		return nil
	}
	numbers := []int32{e.Number}
	for _, one := range e.All {
		numbers = append(numbers, one.Number)
	}
	return numbers
}

// severed reports whether the error ended the connection: the server is shutting down or failing.
func severed(err error) bool {
	var fatal mssql.ServerError
	var e mssql.Error
	return errors.As(err, &fatal) || errors.As(err, &e) && e.Class >= 20 && hints[e.Number] == ""
}

// broken reports whether the connection broke, stalled, or could not be made.
func broken(err error) bool {
	var network net.Error
	var stream mssql.StreamError
	var e mssql.Error
	var unknown *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return false
	case errors.As(err, &network), errors.As(err, &stream), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, sql.ErrConnDone), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, sql.ErrTxDone):
		return true
	case errors.As(err, &e) && e.Number == 0: // the driver's own error if the server has ended the transaction
		return true
	}
	// Some of the driver's errors do not wrap their cause.
	return strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "connection reset") ||
		strings.Contains(err.Error(), "broken pipe")
}

func raced(err error) bool {
	var race sqlcatalog.RaceError
	return errors.As(err, &race)
}

// duplicate reports whether a unique index refused a row.
func duplicate(err error) bool { return has(err, duplicateKey, duplicateIndex) }

// has reports whether the server reported one of the numbers.
func has(err error, numbers ...int32) bool {
	return slices.ContainsFunc(serverErrors(err), func(n int32) bool { return slices.Contains(numbers, n) })
}

// Refused implements sqlcatalog.Sessions.
func (c *engine) Refused(err error) bool { return has(err, keyConflict) }

// Duplicate implements sqlcatalog.Sessions.
func (c *engine) Duplicate(err error) bool { return duplicate(err) }
