// Package gc deletes from a store what no row of its catalogue needs, and never what one does.
//
// # What could go wrong
//
// Payloads are stored before rows: a run puts a payload, and later records a row that refers to it.
// If the payload is there already, Put relies on it and writes nothing. Suppose gc finds a payload
// that no row needs and is about to delete it. Now its process is paused, by SIGSTOP or by the lid
// of a laptop. Its lease lapses. A run comes, its Put finds that very payload, its row is recorded,
// it ends. Then gc goes on. However often it asks before it deletes, the pause can come after the
// answer.
//
// # What gc does
//
//  1. It opens a job of its own, an exclusive one.
//  2. It lists the store, a thousand objects at a time, and asks the catalogue which of them rows need.
//  3. Store.Delete takes the others out of use: it hides them. A Put that comes later does not rely on
//     what is hidden. It brings it back into use, or writes the payload again.
//  4. Store.Delete asks confirm, here: does gc still have its lease? Does still no row need them? In
//     this order.
//  5. If both are so, Store.Delete deletes them, but only what is still hidden. Else it puts them back.
//
// # Why nothing is lost
//
// Four facts carry the argument. The first two are the catalogue's, the others the store's.
//
//   - A row comes to refer to a payload only in a transaction that checks its job's lease.
//   - gc's job has the only lease. It cannot be opened while another lease is live, and opening it
//     ends those that have lapsed. Another job cannot be opened while gc's lease is live, and opening
//     one ends gc's lease once it has lapsed. A lease that was ended never comes back.
//   - A Put that returns nil has found the payload in use at some moment of the call, or has written it.
//   - Of what is hidden, only what is still hidden is deleted. What was put, put back or brought back
//     since is another write, or has another name, and stays.
//
// Suppose that gc deletes a payload, and that a row needs it afterwards. The row was recorded by a
// job, after that job's Put. The payload was hidden from step 3 until it was deleted, or it would
// not have been deleted. So Put found it in use before it was hidden, and the job had been opened
// before that, and hence before gc asked for its lease in step 4. gc had the only lease at that
// time: the job's lease had ended, and it recorded nothing from then on. So its row was there when
// gc asked for rows after that. But then gc put the payload back. No row needs what gc deletes.
//
// A pause of any length between any two steps changes nothing in this: no clock is part of it. For
// the same reason it does not matter whether a process that has lost its lease goes on to put, to
// hide or to put back. OlderThan is for people, not for safety.
//
// # After a kill
//
// What a killed gc has hidden stays where Get and Stat find it, so that a row that needs it is not
// harmed. List yields it with Hidden set. The next gc puts back what rows need, and deletes the
// rest as if it had hidden it itself: its step 4 comes after the hiding in any case.
//
// Package dir hides by renaming, package azureblob by metadata and ETags. Package storetest pauses
// and kills Delete and Put between every two of their steps.
//
// # What it does not protect from
//
// Programs that record rows without a lease, or that delete files or blobs, are on their own. So is
// a copy of the catalogue's file, which has the same identity and other rows: gc of one deletes
// what only the other needs.
package gc
