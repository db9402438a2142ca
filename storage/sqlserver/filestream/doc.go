// Package filestream writes and reads FILESTREAM payloads of SQL Server as files, through
// OpenSqlFilestream, under the transaction that writes their rows: payload and row are
// committed together, or not at all.
//
// A FILESTREAM column is a varbinary(max) whose values the server keeps as files of their
// own. For each value it gives out a path, and for each transaction a token; with
// both, a client on Windows gets a handle to read or write the value at the speed of a file.
// T-SQL and files then work on one transaction from two sides, and much goes wrong, some of
// it silently, if they do so in another order than this:
//
//	BEGIN   INSERT with 0x   token, paths   open, write, flush, close   UPDATE   COMMIT
//	                                        once for each payload
//
// [Store] is that order for a batch of rows, and [Load] the shorter one for reading a
// payload. Neither knows SQL or Windows: the statements are the caller's, behind [Transaction]
// and [Batch], and [Files] opens the files. A [Driver] implements that by a DLL of Microsoft's.
//
// What the API demands, and where each demand is met:
//
//   - All of it happens on one connection, within an explicit transaction: outside of one, the
//     token is NULL. That is a Transaction's promise; a NULL is reported as [ErrNoToken].
//   - A value that is NULL has no path, so rows are inserted with an empty payload: Batch.Insert.
//     A NULL is reported as [ErrNoPath], before its file is asked for.
//   - While rows of an answer are unread, a file cannot be opened: Batch.Slots and [Locate] return
//     when all are read, and nothing is opened before (Store, Load).
//   - Opening never waits for whoever has the file. It is tried again, with growing pauses and an end,
//     by the project's one loop for that (opener.open, storage.Do). The end is soon, and counted from when the
//     rows are made (opener.patience), because meanwhile others wait for its locks.
//   - A file that is open for writing has the transaction's data locked: INSERT, UPDATE and
//     DELETE are refused. They come before the first file is opened or after the last one is closed:
//     Batch.Insert, Batch.Update.
//   - COMMIT with an open file is refused, and the transaction lost. What is written to a handle after the
//     end of the transaction, either way, is lost without an error. So a handle lives within
//     one function (opener.with), which closes it before it returns, also on an error and
//     in a panic; and the end of the transaction is outside of that (within).
//   - Writing begins with an empty file and replaces the whole value. A write that failed is not
//     continued: the transaction is rolled back, and the batch may be stored anew. [Error] says
//     whether that is worth a try.
//   - Remote files are not cached by the client, so small writes are slow: they are of 2 MiB
//     and more (write).
//   - A handle knows few calls and refuses all others, among them what an *os.File asks about a file
//     that it is made of: handle has the calls that are allowed, and nothing else.
//   - The DLL comes with a driver for SQL Server, by several names, and not with Windows: [Find].
//   - While a transaction is open, others wait for its locks, and the server cannot collect old versions of files. The
//     pipeline bounds a batch by bytes and time (pipeline.Options), and the wait for files is what is said above.
//   - A SQL login may not open files; the server does not say so before the first one is opened
//     (access denied). [Error] says what to do, for this and for what else can be missing.
//
// Batches of several files may be stored at the same time, each under a transaction, with a token, on a connection
// of its own.
//
// A context that ends is seen between steps and between writes. It never cuts a COMMIT short,
// whose answer would then be missing: that is also why a Transaction's methods get a context
// that does not end.
//
// What is verified of this is the order, against a double of the server that refuses what the
// documentation says is refused (tdstest.FileStream, tdstest.Share), and the calls, in the program for
// Windows under Wine with a
// double of the driver that is compiled against Microsoft's header (testdata/msoledbsql.c), and with a stand-in for the
// package that logs in (testdata/ntlm.c). None of these is SQL Server.
package filestream
