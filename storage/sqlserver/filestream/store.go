package filestream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hartonomous/ingest/storage"
)

// Batch is the T-SQL of a batch, within its transaction.
type Batch interface {
	// Insert makes the rows, each with an empty payload (0x): while the column is NULL
	// there is no file.
	Insert(ctx context.Context) error
	// Slots asks the server for the transaction's token, GET_FILESTREAM_TRANSACTION_CONTEXT(),
	// and for the path of each row's payload, PathName(). It reads all rows to the end: while a
	// cursor is open, no file can be. NULL is a nil token, or an empty path.
	Slots(ctx context.Context) (token []byte, slots []Slot, err error)
	// Update changes data once the payloads are written: digests, progress. It may not be
	// sooner: while a file is open for writing, the server refuses it.
	Update(ctx context.Context) error
}

// Slot is a payload and where it goes.
type Slot struct {
	Name    string // for messages
	Path    string // as the server's PathName() gave it
	Payload []byte
	Stream  io.Reader // in place of Payload, read to its end; nil for Payload
}

// What the server's NULLs mean.
var (
	ErrNoToken = errors.New("GET_FILESTREAM_TRANSACTION_CONTEXT() is NULL: the connection that was asked is not " +
		"within the transaction")
	ErrNoPath = errors.New("PathName() is NULL: the row's payload is NULL, where 0x would make an empty file")
)

// Store makes the rows of a batch and writes their payloads as files, in the one order that
// the server allows. After nil, rows and payloads have been committed together. After an error
// there is neither, unless the error is Commit's. Either way no file is open. An error
// that is storage.Transient is worth trying the whole batch again: a payload that
// was written in part is written again from its start.
//
// ctx is looked at before each step and each write of a few MiB; COMMIT is not cut short. policy
// says how often an open that meets a sharing violation is tried again; the transaction
// stays open meanwhile, with all its locks. Its Total is counted from when the rows are made, for all
// files together.
func Store(ctx context.Context, tx Transaction, batch Batch, files Files, policy storage.Policy) error {
	var token []byte
	var slots []Slot
	var begun time.Time
	return within(ctx, tx,
		func() error { return batch.Insert(ctx) },
		func() (err error) {
			begun = time.Now() // for its rows it may have waited, and nobody for it
			token, slots, err = batch.Slots(ctx)
			return err
		},
		func() error { return fill(ctx, opener{files, policy, token, begun}, slots) },
		func() error { return batch.Update(ctx) },
	)
}

// fill writes the payloads, one file at a time.
func fill(ctx context.Context, files opener, slots []Slot) error {
	for _, slot := range slots {
		err := files.with(ctx, slot.Path, Write, func(file Handle) error {
			if slot.Stream != nil {
				return copyTo(ctx, file, slot.Stream)
			}
			err := write(ctx, file, slot.Payload)
			if err == nil {
				err = file.Flush()
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", slot.Name, err)
		}
	}
	return nil
}

// piece is how many bytes are written at least, and read at most, at a time. A remote
// file is not cached by the client: each write goes over the network, so 1 MiB would do.
const piece = 2 << 20

// write writes a payload into a file that is empty, as it is when it has been opened.
func write(ctx context.Context, file Handle, payload []byte) error {
	for len(payload) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := piece
		if len(payload) < 2*piece { // no small rest
			n = len(payload)
		}
		written, err := file.Write(payload[:n])
		if err == nil && written <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
		payload = payload[written:] // after a part only, the next call says why: a volume is full
	}
	return nil
}

// copyTo is write for what is too large to be in memory.
func copyTo(ctx context.Context, file Handle, from io.Reader) error {
	buffer := make([]byte, piece)
	for {
		n, err := io.ReadFull(from, buffer)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		if err := write(ctx, file, buffer[:n]); err != nil {
			return err
		}
		if end {
			return file.Flush()
		}
	}
}
