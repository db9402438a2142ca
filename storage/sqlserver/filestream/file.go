package filestream

import (
	"context"
	"errors"
	"time"

	"github.com/hartonomous/ingest/storage"
)

// Files opens payloads as files. A Driver is what does so on Windows.
type Files interface {
	// Open opens the file at path under the transaction that the token is of. It does not
	// wait: where another has the file open, it fails at once with an *Error that is Busy.
	// A file that is opened for writing is empty then, whatever the payload was.
	Open(path string, access Access, token []byte) (Handle, error)
}

// Handle is an open file. The documentation allows a few more calls and no others; these are enough.
type Handle interface {
	// Read and Write begin where the last one ended. At the end of the file, Read returns io.EOF.
	Read(buffer []byte) (int, error)
	Write(data []byte) (int, error)
	// Flush returns once what was written has left the client.
	Flush() error
	// Close is called exactly once, before the transaction ends. It makes what was written
	// the payload, within the transaction; after an error, it may not be.
	Close() error
}

// Access is what a file is opened for, with the numbers of the API.
type Access uint32

// The kinds of access. The API has a third, to read and write, of which there is no need.
const (
	Read  Access = 0
	Write Access = 1
)

// opener opens the files of one transaction.
type opener struct {
	files  Files
	policy storage.Policy
	token  []byte
	begun  time.Time // when its rows were made
}

// with opens a file, has work done with it, and closes it, also when work fails or
// panics. That must be before the transaction ends: the server refuses COMMIT while a file is open,
// and what is written to it afterwards is lost without an error.
func (o opener) with(ctx context.Context, path string, access Access, work func(Handle) error) (err error) {
	file, err := o.open(ctx, path, access)
	if err != nil {
		return err
	}
	defer func() {
		if failed := file.Close(); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	return work(file)
}

// open tries again, with growing pauses and an end, where the file is open elsewhere. Any other
// error is the caller's at once: one that may pass calls for a new transaction. So does a file that stays
// open elsewhere.
func (o opener) open(ctx context.Context, path string, access Access) (file Handle, err error) {
	switch {
	case len(o.token) == 0:
		return nil, ErrNoToken
	case path == "":
		return nil, ErrNoPath
	}
	busy := storage.Do(ctx, o.patience(), func() error {
		file, err = o.files.Open(path, access, o.token)
		if refused, ok := errors.AsType[*Error](err); ok && refused.Busy() {
			return err
		}
		return nil
	})
	if busy != nil {
		return nil, busy
	}
	return file, err
}

// patience is what the transaction's age leaves of the policy: at the least, one attempt.
func (o opener) patience() storage.Policy {
	p := o.policy
	if p.Total > 0 {
		if p.Total -= time.Since(o.begun); p.Total <= 0 {
			p.Attempts = 1
		}
	}
	return p
}
