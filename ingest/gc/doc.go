// Package gc deletes payloads that no row needs, and never one that a row needs.
//
// # The argument
//
// A gc decides, from what the catalogue says at one moment, what it deletes at a later one. In between it
// can be paused for
// any time: SIGSTOP, a laptop's lid, a stalled disk. Other processes then find its lease expired, and go
// on. These rules make
// that harmless:
//
//  1. Rows come to refer to a payload only under a lease, which the transaction that writes them checks.
//  2. gc is exclusive. Opening its job ends every expired lease and is refused while another one is live; opening any later
//     job ends the lease of gc.
//  3. gc deletes in three steps (ingest.Store.Delete): it hides objects, it asks the catalogue to confirm, it deletes exactly
//     what it has hidden. Confirm says that gc still has its lease and that no row refers to the objects. If confirm fails,
//     the objects are put back.
//  4. A Put that does not find an object, because it is hidden, writes it, or moves it back; then the third step does not
//     touch it.
//
// Suppose that a row refers to a payload that gc deleted. The job that wrote the row put the payload
// before. If its Put did
// not find the object hidden, the Put came before the hiding, and so its job was opened before confirm.
// Either the job was
// opened after gc: then gc had lost its lease when it asked, and confirm failed. Or it was opened before
// gc: then its lease was ended
// when gc began, and no transaction of it has committed a row since; a row that it committed before was
// seen by confirm. If
// its Put found the object hidden, or absent, then what it relies on is a later write or the object moved
// back, and neither is what the
// third step deletes. Clocks play no part.
//
// # How the stores do it
//
// A folder hides a file by renaming it into trash, under a name that no other gc uses, and deletes it by
// that name. Put, Get and
// Stat that miss a payload look into trash and rename it back. The rename and gc's unlink exclude each other: one of
// them finds nothing. A container hides a blob by a mark in its metadata, which changes its ETag; Put
// writes a marked blob
// again, which changes it once more, and the delete is conditional on the ETag of the mark.
//
// A gc that is killed leaves objects hidden. They can be read all the same, and the next gc puts back what
// rows need and
// deletes the rest.
package gc
