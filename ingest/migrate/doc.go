// Package migrate moves payloads between the rows of a catalogue and a store, so that no moment of it can lose one.
//
// # The states of a row
//
// A row has its payload in itself (in row), at an address (stored), or both. A migration takes a row through the states
// in one direction, and each arrow is one conditional update:
//
//	in row  --copy-->  both  --clear-->  stored        to a store
//	stored  --copy-->  both  --clear-->  in row        back
//
// Every reader takes a payload from the row if the row has it, and else from the address. So every state can be read,
// by this program and by those that know of RawPayload alone until a row is cleared.
//
// # Why nothing is lost
//
//   - Copy writes to the store under the payload's digest, or to the row. It overwrites nothing that is sound. The row
//     gets the new place only after the copy has been read back and hashed, or vouched for by the store's checksum.
//   - The update of copy changes a row only if it is still as it was read. A row that another program changed is left
//     alone and counted.
//   - Clear is a pass of its own. It reads the whole copy and hashes it. Its update hashes the payload in the row
//     once more, within the statement, and changes nothing if that is another one.
//   - A kill leaves each row in one of the three states. The next run reads the rows, and continues from what they say:
//     there is no cursor that could pass a failure.
//   - A model is migrated under the lease of a job. gc runs alone, so it never sees a copy that has no row yet while the
//     job lives; when a lease is lost, the update of the row fails, whatever gc did. A model that is removed has no rows
//     to change, and the copy is left to gc.
//
// To go back before the source is cleared is to clear the other side: a migration in the other direction finds the
// payloads where they should go, and copies nothing.
package migrate
