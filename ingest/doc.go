// Package ingest holds the nouns and contracts of a program that moves model files of many
// gigabytes into a database and back out, bit for bit. The packages below it work with them; the
// packages in storage/ implement the contracts.
//
// # Nouns
//
// A [Source] is one model as found on disk: a file, the parts of a split file, or a manifest with
// its blobs. A parser turns it into a [Model] with [File]s and their [Tensor]s. A [Plan] divides a
// file into [Segment]s of at most 64 MiB: whole quantization blocks of one tensor, or bytes outside
// all tensors. Together they are the file, from its first byte to its last. A [Digest] is the
// SHA-256 of a segment or a file.
//
// # Contracts
//
// A [Store] keeps payloads, the bytes of segments: a folder, a container of blobs. A [Catalog]
// keeps rows: models, files, tensors, segments and jobs, and also payloads if there is no store. A
// [JobRequest] asks the catalogue for a job. The [Lease] in its answer is the right to work on it,
// and every write needs one.
//
// # The path of the data
//
//	format.Find      looks for models by name                        -> Found
//	format.Parser    reads headers                                   -> Model, Plan
//	pipeline.Run     reads once, hashes file and segments, puts      -> Store.Put
//	                 records batches, payload before row             -> Catalog.Record
//	describe         describes the model beside its payloads         -> DescriptionStore
//	pipeline.Run     closes the model when every byte has a row      -> Catalog.Complete
//	register         catalogues files where they are, without a copy -> Catalog.Register
//	reader.Reader    returns the bytes, checks each segment          <- Catalog.Segments, Store.Get
//	layout.Writer    writes models as other programs keep them
//	gc, remove       delete what no row needs                        -> Store.Delete
//	rebuild          makes rows from descriptions                    <- DescriptionStore
//
// # Guarantees
//
// It never records a segment whose payload is not durable, never completes a model whose SHA-256 is
// unknown or unexpected, and never deletes a payload that a row may need. No file and no row
// can make it use more memory than its limit.
package ingest
