// Package ingest holds the nouns and contracts of a program that moves model files of many gigabytes into a database
// and back out, bit for bit. What works with them is in the packages below it, what satisfies the
// contracts in storage/.
//
// # Nouns
//
// A [Source] is one model as it is found on disk: a file, the parts of a split file, a manifest with its
// blobs. A parser
// makes a [Model] of it: its [File]s and their [Tensor]s. A [Plan] divides a file into [Segment]s of at
// most 64 MiB: whole
// quantization blocks of one tensor, or bytes outside all tensors. Together they are the file, from its
// first byte to its last. A
// [Digest] is the SHA-256 of a segment or a file.
//
// # Contracts
//
// A [Store] keeps payloads, the bytes of segments: a folder, a container of blobs. A [Catalog] keeps rows:
// models, files, tensors,
// segments and jobs, and payloads too where there is no store. A [JobRequest] asks the catalogue for a job; the
// [Lease] that it answers with is the right to work on it. Whatever writes does so under a lease.
//
// # The path of the data
//
//	format.Find      looks for models by name                        -> Found
//	format.Parser    reads headers                                   -> Model, Plan
//	pipeline.Run     reads once, hashes file and segments, puts      -> Store.Put
//	                 records batches, payload before row             -> Catalog.Record
//	                 closes the model when every byte has a row      -> Catalog.Complete
//	register         catalogues files where they are, uncopied       -> Catalog.Register
//	reader.Reader    gives the bytes back, each segment checked      <- Catalog.Segments, Store.Get
//	gc, remove       delete what no row needs                        -> Store.Delete
//
// # What it refuses to do
//
// It never records a segment whose payload is not durable, never calls a model complete whose SHA-256 is not
// known and as expected, and never deletes a payload that a row may need. It holds no more memory than it is
// given, whatever a file or a row says.
package ingest
