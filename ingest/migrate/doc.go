// Package migrate moves payloads between the rows of a catalogue and a store, without losing one.
//
// # The states of a row
//
// A row's payload is in the row, in the store, or in both. A migration takes a row through these
// states in one direction. Each arrow is one conditional update:
//
//	in row  --copy-->  both  --clear-->  in store
//	in store  --copy-->  both  --clear-->  in row
//
// A reader takes the payload from the row if the row has it, and otherwise from the store. So this
// program can read every state, and a program that knows only RawPayload can read a row until its
// payload is cleared.
//
// Another program may have written rows without a digest, which belong to no file. Copying one to
// the store computes its digest, and the update that sets the address also sets the digest and the
// size. It hashes the payload in the row, in the same statement.
//
// # Why nothing is lost
//
//   - Copy writes to the store under the payload's digest, or to the row. It does not overwrite an
//     intact payload. The row changes only after the copy has been read back and hashed, or after
//     the store has attested its checksum.
//   - The update of copy changes a row only if it is still as it was read. Other rows are left alone
//     and reported.
//   - Clear is a separate pass. It reads and hashes the whole copy. Its update also hashes the payload
//     in the row, in the same statement, and changes nothing if the two differ.
//   - A kill leaves each row in one of the three states. The next run continues from the rows; no
//     cursor can skip a failed one.
//   - A model is migrated under the lease of a job. gc runs alone, so it does not see copies without
//     a row while the job is alive. After a lost lease, the update of the row fails. If a model is
//     removed during its migration, gc deletes the copies.
//   - A copy that the store does not hold under the row's address keeps its address: it may be intact
//     in another store, and other programs follow the address. The address of a damaged copy is
//     removed, and the next run copies the payload again.
//
// To undo a migration before the source is cleared, migrate in the other direction and clear: the
// payloads are already there, so nothing is copied.
//
// [Locators] moves whole files from paths by the same rules. Its way back, Locators.Back, removes the
// copy from the row after the file at the path has been read and has the row's digest.
package migrate
