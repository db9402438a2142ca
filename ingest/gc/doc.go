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
//  3. Store.Delete hides the others. A later Put does not rely on a hidden payload: it restores it,
//     or writes it again.
//  4. Store.Delete calls confirm, which checks first that gc still has its lease, then that still
//     no row needs the payloads.
//  5. If so, Store.Delete deletes the payloads that are still hidden. Otherwise it restores them.
//
// # Why nothing is lost
//
// The proof uses four facts. The catalogue guarantees the first two, the store the others.
//
//   - Only a transaction that checks its job's lease makes a row refer to a payload.
//   - gc's job has the only lease. It cannot be opened while another lease is live, and opening it
//     ends expired leases. Another job cannot be opened while gc's lease is live, and opening one
//     ends gc's lease if it has expired. A lease that has ended never becomes live again.
//   - A Put that returns nil found the payload visible at some moment of the call, or wrote it.
//   - Only what is still hidden is deleted. A payload that was put or restored since is another
//     write, or has another name, and is kept.
//
// Suppose that gc deletes a payload that a row needs afterwards. A job recorded the row after its
// Put. The payload was hidden from step 3 until it was deleted, or it would not have been deleted.
// So Put found it before it was hidden, and the job was opened before that, and hence before gc
// checked its lease in step 4. gc had the only lease at that time: the job's lease had ended, and
// the job recorded nothing from then on. So its row existed when gc asked for rows after that. But
// then gc restored the payload: a contradiction.
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
// and kills Delete and Put between every two of their steps.
//
// # Limits
//
// gc does not protect against programs that record rows without a lease, or that delete files or
// blobs. A copy of the catalogue's file has the same identity and other rows: gc with one deletes
// what only the other needs.
package gc
