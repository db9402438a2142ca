package filestream

import (
	"context"
	"errors"
	"time"

	"github.com/hartonomous/ingest/storage"
)

// Files opens payloads as files. A Driver implements it on Windows.
type Files interface {
	// Open opens the file at path in the transaction of the token. It does not wait: if the file is
	// in use, it returns an *Error that is Busy. Opening a file for writing truncates it.
	Open(path string, access Access, token []byte) (Handle, error)
}

// Handle is an open file. The documentation allows few calls; these suffice.
type Handle interface {
	// Read and Write continue where the last one ended. At the end of the file, Read returns
	// io.EOF.
	Read(buffer []byte) (int, error)
	Write(data []byte) (int, error)
	// Flush returns when the data has left the client.
	Flush() error
	// Close is called exactly once, before the transaction ends. It makes the data the payload,
	// within the transaction. After an error, the payload is undefined.
	Close() error
}

// Access is the access of a file, in the API's numbers.
type Access uint32

// The API also has read-write access, which is not used.
const (
	Read  Access = 0
	Write Access = 1
)

// opener opens the files of one transaction.
type opener struct {
	files  Files
	policy storage.Policy
	token  []byte
	begun  time.Time // when its rows were inserted
}

// with opens a file, calls work, and closes the file, even after an error or a panic. The
// transaction must not end before that: the server refuses COMMIT while a file is open, and data
// written after the end is silently lost.
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

// open retries while the file is in use, with growing pauses, until the policy ends. It returns
// other errors at once: they need a new transaction, as does a file that stays in use.
func (o opener) open(ctx context.Context, path string, access Access) (file Handle, err error) {
	switch {
	case len(o.token) == 0:
		return nil, ErrNoToken
	case path == "":
		return nil, ErrNoPath
	}
	busy := storage.Do(ctx, o.remaining(), func() error {
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

// remaining is the policy minus the age of the transaction, but at least one attempt.
func (o opener) remaining() storage.Policy {
	p := o.policy
	if p.Total > 0 {
		if p.Total -= time.Since(o.begun); p.Total <= 0 {
			p.Attempts = 1
		}
	}
	return p
}
