package azureblob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// PutFile stores the first size bytes of file as one blob with the given name; see
// ingest.FileStore. If a blob of that name has other content, the digest is appended to the name.
// Without a name, the digest is the name. PutFile retries transient errors. It reads the file once,
// in order, and sends several blocks at a time. It does not send blocks again that an interrupted
// call has sent. If the file has another digest, no blob is created.
//
// With the default settings, PutFile needs memory for nine blocks of 8 MiB. The service takes
// 50,000 blocks, so blocks grow beyond 390 GiB, and fewer of them are in memory; beyond 1.7 TiB
// there are two, each the 50,000th part of the file.
func (s *Store) PutFile(
	ctx context.Context,
	name string,
	digest ingest.Digest,
	file io.ReaderAt,
	size int64,
) (ingest.Address, error) {
	if size < 0 {
		return ingest.Address{}, fmt.Errorf("a file of %d bytes", size)
	}
	block, err := blockBytes(size, s.block)
	if err != nil {
		return ingest.Address{}, err
	}
	p := storage.PayloadOf(digest, ingest.Encoding{})
	f := &sending{Store: s, name: p.Name(), digest: digest, file: file, size: size, block: block}
	if name == "" {
		return f.send(ctx)
	}
	f.named = true
	f.name = fileName(name)
	address, err := f.send(ctx)
	var other *otherContentError
	if errors.As(err, &other) || isTaken(err) {
		f.name = fileName(name + "-" + digest.String())
		address, err = f.send(ctx)
	}
	return address, err
}

// send stores the file under its name.
func (f *sending) send(ctx context.Context) (ingest.Address, error) {
	if f.size <= f.block {
		return f.whole(ctx)
	}
	address, err := f.inBlocks(ctx)
	if refused(err, bloberror.InvalidBlobOrBlock, bloberror.InvalidBlockID) { // blocks with names of another length
		if err := f.clear(ctx); err != nil {
			return ingest.Address{}, err
		}
		return f.inBlocks(ctx)
	}
	if refused(err, bloberror.InvalidBlockList) { // our blocks were discarded
		return f.inBlocks(ctx)
	}
	return address, err
}

// otherContentError means that a blob of this name has other content, by its size or metadata.
type otherContentError struct{ url string }

func (e *otherContentError) Error() string {
	return e.url + " has other content, by its size or metadata, and is not overwritten"
}

// mayReplace refuses to replace a blob that is named like the file and has other content.
func (f *sending) mayReplace(there *present) error {
	if !f.named || there == nil || there.holds(f.digest, f.size) {
		return nil
	}
	return &otherContentError{there.URI}
}

// sending is one call of PutFile.
type sending struct {
	*Store
	name   string
	named  bool // like the file, not by the digest
	digest ingest.Digest
	file   io.ReaderAt
	size   int64
	block  int64
	// readable is set for a file that is stored in the account's own tier.
	readable bool
}

// tried is storage.Do for a request that has a result.
func tried[T any](ctx context.Context, s *Store, request func() (T, error)) (result T, err error) {
	err = storage.Do(ctx, s.policy, func() error {
		result, err = request()
		return err
	})
	return result, err
}

// whole sends a file of at most one block.
func (f *sending) whole(ctx context.Context) (ingest.Address, error) {
	payload := make([]byte, f.size)
	if err := f.read(payload, 0); err != nil {
		return ingest.Address{}, err
	}
	if got := ingest.Sum(payload); got != f.digest {
		return ingest.Address{}, &ingest.MismatchError{Want: f.digest, Got: got}
	}
	u := newUpload(f.name, f.digest, payload, metadata{})
	u.readable = f.readable
	if f.named {
		u.mayRely = f.mayReplace
	}
	return tried(ctx, f.Store, func() (ingest.Address, error) { return f.put(ctx, u) })
}

func (f *sending) read(buffer []byte, offset int64) error {
	n, err := f.file.ReadAt(buffer, offset)
	if n == len(buffer) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read the file at byte %d of %d: %w", offset+int64(n), f.size, err)
}

func (f *sending) inBlocks(ctx context.Context) (ingest.Address, error) {
	there, err := tried(ctx, f.Store, func() (*present, error) { return f.look(ctx, f.name) })
	if err == nil {
		err = f.mayReplace(there)
	}
	if err != nil || there.holds(f.digest, f.size) {
		return there.at(), err
	}
	staged, err := tried(ctx, f.Store, func() (map[string]int64, error) { return f.staged(ctx, f.name) })
	if err != nil {
		return ingest.Address{}, err
	}
	ids, err := f.stageAll(ctx, staged)
	if err != nil {
		return ingest.Address{}, err
	}
	return f.finish(ctx, ids, there)
}

// finish commits the blocks. The retry of a commit whose answer was lost finds its own blob.
func (f *sending) finish(ctx context.Context, ids []string, there *present) (ingest.Address, error) {
	for contest := 1; ; contest++ {
		address, err := tried(ctx, f.Store, func() (ingest.Address, error) {
			return f.commit(ctx, ids, whileStill(there))
		})
		if !isTaken(err) && !refused(err, bloberror.InvalidBlockList) {
			return address, err
		}
		lost := err
		if there, err = tried(ctx, f.Store, func() (*present, error) { return f.look(ctx, f.name) }); err != nil {
			return ingest.Address{}, err
		}
		if there.holds(f.digest, f.size) {
			return there.at(), nil
		}
		if err := f.mayReplace(there); err != nil {
			return ingest.Address{}, err
		}
		if contest == maxContests || !isTaken(lost) {
			return ingest.Address{}, lost
		}
	}
}

// clear discards the uncommitted blocks of another program, after checking the digest of the file.
// The service discards blocks only when the blob is written, so clear does nothing if a blob
// exists.
func (f *sending) clear(ctx context.Context) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f.file, 0, f.size)); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	if got := ingest.Digest(h.Sum(nil)); got != f.digest {
		return &ingest.MismatchError{Want: f.digest, Got: got}
	}
	_, err := tried(ctx, f.Store, func() (struct{}, error) {
		there, err := f.look(ctx, f.name)
		if err == nil && there != nil && !there.holds(f.digest, f.size) {
			err = fmt.Errorf(
				"%s has other content, and uncommitted blocks of another program that cannot be committed with ours: "+
					"remove the blob if it is not needed, or wait a week until the service removes the blocks",
				there.URI,
			)
		}
		if err != nil || there != nil {
			return struct{}{}, err
		}
		return struct{}{}, f.discard(ctx, f.name)
	})
	return err
}

// at returns the address of a blob; p may be nil.
func (p *present) at() ingest.Address {
	if p == nil {
		return ingest.Address{}
	}
	return p.Address
}

// block is a block of a file to send.
type block struct {
	id   string
	crc  uint64
	data []byte
}

// stageAll reads and hashes the file, and sends the blocks that are not staged yet. It returns the
// IDs of all.
func (f *sending) stageAll(ctx context.Context, staged map[string]int64) ([]string, error) {
	group, ctx := errgroup.WithContext(ctx)
	blocks := make(chan block)
	buffers := f.buffers()
	free := make(chan []byte, buffers)
	for range buffers {
		free <- nil // allocated on first use
	}
	var ids []string
	group.Go(func() error {
		defer close(blocks)
		var err error
		ids, err = f.readAll(ctx, staged, free, blocks)
		return err
	})
	for range buffers - 1 {
		group.Go(func() error {
			for b := range blocks {
				err := storage.Do(ctx, f.policy, func() error { return f.stage(ctx, f.name, b.id, b.crc, b.data) })
				if err != nil {
					return err
				}
				free <- b.data
			}
			return nil
		})
	}
	err := group.Wait()
	return ids, err
}

// fileWorkers is the maximum number of blocks of a file that are sent at once.
const fileWorkers = 8

// buffers returns the number of blocks in memory: one is read while the others are sent.
func (f *sending) buffers() int {
	workers := min(f.workers, fileWorkers)
	return max(2, int(min(int64(workers)+1, int64(workers+1)*f.Store.block/f.block)))
}

// readAll passes the blocks that are not staged to the workers. It returns a *MismatchError at the
// end if the file has another digest.
func (f *sending) readAll(
	ctx context.Context,
	staged map[string]int64,
	free chan []byte,
	blocks chan<- block,
) ([]string, error) {
	h := sha256.New()
	var ids []string
	for offset := int64(0); offset < f.size; offset += f.block {
		var buffer []byte
		select {
		case buffer = <-free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if buffer == nil {
			buffer = make([]byte, f.block)
		}
		data := buffer[:min(f.block, f.size-offset)]
		if err := f.read(data, offset); err != nil {
			return nil, err
		}
		h.Write(data)
		crc := crc64nvme.Checksum(data)
		id := blockID(f.digest, f.block, len(ids), crc)
		ids = append(ids, id)
		if bytes, ok := staged[id]; ok && bytes == int64(len(data)) {
			free <- buffer
			continue
		}
		select {
		case blocks <- block{id, crc, data}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if got := ingest.Digest(h.Sum(nil)); got != f.digest {
		return nil, &ingest.MismatchError{Want: f.digest, Got: got}
	}
	return ids, nil
}
