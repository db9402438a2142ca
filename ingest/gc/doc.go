// Package gc deletes the payloads of a store that no row of its catalogue needs.
//
// # The problem
//
// Payloads are stored before rows: a run puts a payload, and later records a row that refers to it.
// If the payload is already present, Put relies on it and writes nothing. Suppose gc finds a
// payload that no row needs and is about to delete it. Now its process is paused, by SIGSTOP or by
// the lid of a laptop, and its lease expires. A run starts, its Put finds this payload, its row is
// recorded, and the run ends. Then gc continues. However often it asks before it deletes, the pause
// can come after the answer.
//
// # The protocol
//
//  1. gc opens an exclusive job.
//  2. It lists the store, a thousand objects at a time, and asks the catalogue which of them rows
//     need.
//  3. Store.Delete hides the other payloads. A later Put or Reuse does not rely on a hidden
//     payload: it restores it, or Put writes it again. No row needs a temporary file, so these are
//     not hidden.
//  4. Store.Delete calls confirm, which renews gc's lease, and then asks again for rows.
//  5. If gc has its lease and no row needs the payloads, Store.Delete deletes those that are still
//     hidden, and the temporary files. Otherwise it restores the payloads.
//
// # Why nothing is lost
//
//   - A row is recorded under a lease, which holds at the commit: opening gc's job waits for that
//     commit, or comes first and makes it fail (sqlcatalog.Tx.Fence).
//   - gc's lease is the only one. gc's job cannot be opened while another is live, and opening it
//     ends expired leases. Another job cannot be opened while gc's lease is live, and opening one
//     ends gc's lease if it has expired. A lease that has ended never becomes live again.
//   - A row is recorded after a Put, Reuse or Replace of its payload under the same lease. Attach
//     copies the reference of a row of a complete model, which only rm removes, and rm runs alone.
//   - A Put that returns nil found the payload visible, restored it, or wrote it. A Reuse that
//     reports it as present found it visible or restored it. Replace wrote it.
//   - Only what is still hidden is deleted, not what was restored or written again.
//
// Suppose that gc deletes a payload that a row needs afterwards. That row, or the one it was copied
// from, was recorded under some lease after a Put under the same lease; the same holds for Reuse
// and Replace. The payload was hidden from step 3 until it was deleted, so Put found or wrote it
// before it was hidden, and its lease was opened before that. gc held the only lease in step 4: the
// other had ended, and nothing was recorded under it from then on. So the row existed when gc asked
// again, and gc restored the payload: a contradiction. A job that is resumed gets a new lease, and
// puts again.
//
// No clock is part of this proof, so a pause of any length between any two steps does not matter.
// For the same reason it does not matter if a process that lost its lease still puts, hides or
// restores. OlderThan is for convenience, not for safety.
//
// # After a kill
//
// Get and Stat find what a killed gc left hidden, so rows that need it can still be read. List
// yields it with Hidden set. The next gc restores what rows need, and deletes the rest like what it
// hid itself: its step 4 comes after the hiding in any case.
//
// Package dir hides by renaming, package azureblob by metadata and ETags. Package storetest pauses
// and kills Delete, Put and Reuse between every two of their steps.
//
// # Several payloads of one digest
//
// Payloads of one digest with different encodings are different payloads. recompress puts the new
// one and then changes the rows, under its lease. A row needs only the payload that it names, so
// the old one is garbage as soon as no row names it. If what a row names is missing, gc keeps the
// other payloads of the digest: the catalogue may have been restored from an older copy.
//
// # Descriptions
//
// gc deletes nothing while the store describes models that are not complete in the catalogue, unless Unfinished
// is set. Before it deletes payloads, it makes the descriptions agree with the catalogue: see package
// describe. They are not part of the protocol.
//
// # Limits
//
// gc does not protect against programs that record rows without a lease, or that delete files or
// blobs. A copy of the catalogue's file has the same identity and other rows: gc with one deletes
// what only the other needs, and no description tells of.
package gc
