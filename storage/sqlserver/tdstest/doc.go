// Package tdstest is a test double of SQL Server. It listens on a loopback port
// and speaks TDS 7.4 to the real driver, so that code which uses SQL Server is
// tested through every layer down to the socket, with faults where they hurt.
//
//	srv := tdstest.Start(t)
//	db, err := sql.Open("sqlserver", srv.DSN())
//	srv.Handle("/* ingest: record */", func(req *tdstest.Request) (tdstest.Result, error) {
//		atoms.Put(req, digest, row)
//		return tdstest.Affected(1), nil
//	})
//
// It does not understand T-SQL. A handler stands for each statement, found by
// the comment that the statement begins with, or by a regular expression. What
// the server itself would see to is built in:
//
//   - login, sessions, and their reset when a pooled connection is used again;
//   - transactions with descriptors and isolation levels, XACT_ABORT, and the
//     end that a deadlock, a lost connection or a severe error puts to them;
//   - temporary tables (CREATE, DROP and TRUNCATE TABLE #name anywhere in a
//     statement) and tables that the test made with [Server.CreateTable], as
//     targets of a bulk copy, whose rows are checked and kept as they arrived;
//   - attention, which is how the driver cancels a statement;
//   - locks that a handler takes by name, with deadlocks found as they arise.
//
// Handlers run one at a time, so they may change what they share without
// further care. What a handler does takes effect at once and is visible to all
// sessions; a change is taken back with its transaction if it was made through
// a [State] or announced with [Request.OnRollback]. A handler that must not see
// or be seen by another open transaction takes a lock ([Request.Lock]).
//
// A [Fault] makes the server fail on purpose: an error of the server's, a lost
// connection, a stall or a delay, at login, before or after a request takes
// effect, or in the midst of a bulk copy or of an answer. COMMIT is a request
// like any other here, so the commit whose answer gets lost is
//
//	srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Match: tdstest.Commit, Do: tdstest.Reset()})
//
// It refuses what the server refuses, as far as it knows: a request under a
// transaction that has ended, rows that do not fit their table, another request
// where bulk rows are due. [FileStream] adds the rules of FILESTREAM, for
// code in the test's own process, and [Share] for programs of their own. Package tables has it carry out the statements
// of the catalogue.
//
// Not there: TLS, Microsoft Entra logins, more than one request at a time on a
// connection (MARS), table-valued parameters, prepared handles and cursors
// (the driver uses none), isolation between sessions beyond the named locks.
package tdstest
