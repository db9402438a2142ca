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
	// Insert inserts the rows, each with an empty payload (0x): a NULL has no file.
	Insert(ctx context.Context) error
	// Slots queries the transaction's token, GET_FILESTREAM_TRANSACTION_CONTEXT(), and the path of
	// each row's payload, PathName(). It reads all rows: no file can be opened while a cursor is
	// open. NULL is a nil token, or an empty path.
	Slots(ctx context.Context) (token []byte, slots []Slot, err error)
	// Update changes other data, such as digests and progress, after the payloads are written. The
	// server refuses it while a file is open for writing.
	Update(ctx context.Context) error
}

// Slot is a payload and its path.
type Slot struct {
	Name    string // for messages
	Path    string // from PathName()
	Payload []byte
	Stream  io.Reader // if not nil, read to its end instead of Payload
}

// The server's NULLs.
var (
	ErrNoToken = errors.New("GET_FILESTREAM_TRANSACTION_CONTEXT() is NULL: the connection is not in a transaction")
	ErrNoPath  = errors.New("PathName() is NULL: the payload is NULL, but must be 0x for an empty file")
)

// Store inserts the rows of a batch and writes their payloads as files, in the order that the
// server requires. If it returns nil, rows and payloads are committed. After an error neither is
// stored, unless the error is Commit's. In any case, no file is open. If the error is
// storage.Transient, try the whole batch again.
//
// ctx is checked before each step and each write of a few MiB, but COMMIT is not interrupted.
// policy is for opening a file that is in use; the transaction keeps its locks during the pauses.
// policy.Total counts from when the rows are inserted, for all files together.
func Store(ctx context.Context, tx Transaction, batch Batch, files Files, policy storage.Policy) error {
	var token []byte
	var slots []Slot
	var begun time.Time
	return within(ctx, tx,
		func() error { return batch.Insert(ctx) },
		func() (err error) {
			begun = time.Now() // not before Insert, which may wait for others' locks while nobody waits for its own
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

// piece is the minimum size of a write and the maximum of a read, in bytes. Clients do not cache
// remote files, so each write goes over the network; 1 MiB would be enough.
const piece = 2 << 20

// write writes a payload into an empty file.
func write(ctx context.Context, file Handle, payload []byte) error {
	for len(payload) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := piece
		if len(payload) < 2*piece { // avoid a small remainder
			n = len(payload)
		}
		written, err := file.Write(payload[:n])
		if err == nil && written <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
		payload = payload[written:] // after a short write, the next call returns the error, such as a full volume
	}
	return nil
}

// copyTo writes all of a stream, and flushes the file.
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
