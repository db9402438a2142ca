// Package tdstest is a test double of SQL Server. It listens on a loopback port and speaks TDS 7.4 to
// the real driver, so that tests of code which uses SQL Server cover every layer down to the socket,
// and faults in each of them.
//
//	srv := tdstest.Start(t)
//	db, err := sql.Open("sqlserver", srv.DSN())
//	srv.Handle("/* ingest: record */", func(req *tdstest.Request) (tdstest.Result, error) {
//		atoms.Put(req, digest, row)
//		return tdstest.Affected(1), nil
//	})
//
// It does not interpret T-SQL. A test registers a handler for each statement, which is found by the
// comment at the beginning of the statement or by a regular expression. Built in are:
//
//   - login, sessions, and their reset when a pooled connection is reused;
//   - transactions with descriptors and isolation levels, XACT_ABORT, and the rollback after a
//     deadlock, a lost connection or a severe error;
//   - temporary tables (CREATE, DROP and TRUNCATE TABLE #name anywhere in a statement) and tables
//     that the test creates with [Server.CreateTable], as targets of a bulk copy, whose rows are
//     checked and stored as they arrived;
//   - attention, with which the driver cancels a statement;
//   - locks that a handler takes by name, with detection of deadlocks.
//
// Handlers run one at a time, so they may share data without locks. The effects of a handler are
// visible to all sessions at once. A change is undone with its transaction if it was made through a
// [State] or registered with [Request.OnRollback]. A handler that needs isolation from other open
// transactions takes a lock ([Request.Lock]).
//
// A [Fault] makes the server fail on purpose: an error, a lost connection, a stall or a delay, at
// login, before or after a request takes effect, or within a bulk copy or a result. COMMIT is a
// request like any other, so a commit with a lost answer is
//
//	srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Match: tdstest.Commit, Do: tdstest.Reset()})
//
// It refuses some of the requests that SQL Server refuses: a request under a transaction that has
// ended, rows that do not fit their table, another request in place of announced bulk rows.
// [FileStream] adds the rules of FILESTREAM for code in the test's own process, and [Share] for
// separate programs. Package tables adds handlers for the statements of the catalogue.
//
// Not supported: TLS, Microsoft Entra logins, several requests at a time on a connection (MARS),
// table-valued parameters, prepared handles and cursors (the driver uses none), and isolation between
// sessions beyond the named locks.
package tdstest
