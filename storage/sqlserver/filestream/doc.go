// Package filestream writes and reads SQL Server's FILESTREAM payloads as files, through
// OpenSqlFilestream, in the transaction that writes their rows: payload and row commit together.
//
// A FILESTREAM column is a varbinary(max) whose values the server stores as files. The server gives
// out a path for each value, and a token for each transaction. With both, a client on Windows opens
// the value as a file. T-SQL and the files then work on one transaction, and other orders than this
// one fail, some of them silently:
//
//	BEGIN   INSERT with 0x   token, paths   open, write, flush, close   UPDATE   COMMIT
//	                                        once for each payload
//
// [Store] follows this order for a batch of rows, and [Load] a shorter one to read a payload.
// Neither depends on SQL or Windows: the caller implements the statements, [Transaction] and
// [Batch], and [Files] opens the files. A [Driver] implements Files with a DLL from Microsoft.
//
// The API's requirements, and where they are met:
//
//   - Everything happens on one connection, in an explicit transaction: otherwise, the token is
//     NULL. A Transaction guarantees that; a NULL is reported as [ErrNoToken].
//   - A NULL value has no path, so Batch.Insert inserts empty payloads. A NULL is reported as
//     [ErrNoPath] before its file is opened.
//   - No file can be opened while rows of an answer are unread: Batch.Slots and [Locate] read all
//     rows before they return, and Store and Load open nothing before that.
//   - Opening fails at once if the file is in use. opener.open retries with storage.Do, for a
//     limited time from when the rows are inserted (opener.remaining), because others wait for
//     their locks.
//   - While a file is open for writing, INSERT, UPDATE and DELETE are refused. They come before the
//     first file is opened or after the last one is closed: Batch.Insert, Batch.Update.
//   - COMMIT with an open file is refused and ends the transaction. Data written to a handle after
//     the transaction has ended is silently lost. So opener.with closes a handle before it returns,
//     even after an error or a panic, and within ends the transaction after that.
//   - Writing begins with an empty file and replaces the whole value. A failed write is not
//     continued: the transaction is rolled back, and the batch may be stored again. [Error] says
//     whether it should be.
//   - Clients do not cache remote files, so small writes are slow: write writes 2 MiB or more at a
//     time.
//   - A handle supports few calls and refuses all others, including those that an *os.File makes.
//     handle makes no others.
//   - The DLL comes with drivers for SQL Server, under several names, not with Windows: [Find].
//   - While a transaction is open, others wait for its locks, and the server cannot remove old
//     versions of files. The pipeline bounds a batch in bytes and time (pipeline.Options).
//   - A SQL login may not open files, but learns so only when it opens the first one (access
//     denied). [Error] says what to do about this and other missing prerequisites.
//
// Batches of several files may be stored at the same time, each on its own connection, with its own
// transaction and token.
//
// The end of a context is noticed between steps and between writes. It does not interrupt COMMIT,
// whose outcome would be unknown. For the same reason, a Transaction's methods get a context that
// does not end.
//
// What is verified is the order, against a test double of the server that refuses what the
// documentation says is refused (tdstest.FileStream, tdstest.Share), and the calls, in a Windows
// program under Wine with a double of the driver compiled against Microsoft's header
// (testdata/msoledbsql.c) and a stand-in for the authentication package (testdata/ntlm.c). None of
// these is SQL Server.
package filestream
