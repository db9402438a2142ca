package ingest

import (
	"context"
	"io"
	"iter"
)

// DescriptionStore is a store that also keeps descriptions. Package describe writes and reads them.
type DescriptionStore interface {
	Store
	// AddressOf returns the address that Put gives the payload of digest by content, without looking
	// whether there is one.
	AddressOf(digest Digest, bytes int64, encoding Encoding) Address
	// PutDescription stores the first d.Bytes bytes of content, which have the SHA-256 d.Content. After
	// a nil error, the description is durable and readable by others. A part of one is never visible.
	PutDescription(ctx context.Context, d Description, content io.ReaderAt) error
	// ReadDescription reads d from offset on into into. Like Get, it does not check the digest.
	ReadDescription(ctx context.Context, d Description, offset int64, into []byte) error
	// Descriptions yields all descriptions, in no order. List does not yield them.
	Descriptions(ctx context.Context) iter.Seq2[Description, error]
	// DeleteDescription deletes a description. A missing one is not an error.
	DeleteDescription(ctx context.Context, d Description) error
}

// Description is a file in a store, from which the rows of some models can be rebuilt. It never changes:
// a later one tells what has changed.
type Description struct {
	Sequence int64  // its place in the order of all; equal ones were written at the same time
	Content  Digest // SHA-256 of the file
	Bytes    int64
}
