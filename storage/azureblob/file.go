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

// PutFile stores the first size bytes of file, whose digest it is, as one blob, under name; see
// ingest.FileStore. Where another content has the name, the digest is added to it. Without a name, the
// blob is named by its digest. PutFile tries its requests again by itself. The file is read once, in
// order, and sent in blocks, several at once. Blocks that an interrupted attempt has sent are not sent
// again. A file that turns out to have another digest is refused before anybody can see it.
//
// Memory is nine blocks of 8 MiB, with the settings' defaults. The service takes 50,000 blocks, so
// beyond 390 GiB blocks grow, and fewer of them are held; beyond 1.7 TiB it is two of them, the
// 50,000th part of the file each.
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
	f := &sending{Store: s, name: payloadName(digest), digest: digest, file: file, size: size, block: block}
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
	if refused(err, bloberror.InvalidBlobOrBlock, bloberror.InvalidBlockID) { // blocks whose names do not go with ours
		if err := f.clear(ctx); err != nil {
			return ingest.Address{}, err
		}
		return f.inBlocks(ctx)
	}
	if refused(err, bloberror.InvalidBlockList) { // somebody discarded ours
		return f.inBlocks(ctx)
	}
	return address, err
}

// otherContentError says that a blob which is not to be written over is not the file, as far as it says itself.
type otherContentError struct{ url string }

func (e *otherContentError) Error() string {
	return e.url + " holds something else, by its size or its metadata, and is not written over"
}

// mayReplace refuses a blob that is there and is not the file, if the name is not made of its digest.
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
	named  bool // like the file, and not by the digest
	digest ingest.Digest
	file   io.ReaderAt
	size   int64
	block  int64
}

// tried is storage.Do for a request that has a result.
func tried[T any](ctx context.Context, s *Store, request func() (T, error)) (result T, err error) {
	err = storage.Do(ctx, s.policy, func() error {
		result, err = request()
		return err
	})
	return result, err
}

// whole sends a file that is no longer than a block.
func (f *sending) whole(ctx context.Context) (ingest.Address, error) {
	payload := make([]byte, f.size)
	if err := f.read(payload, 0); err != nil {
		return ingest.Address{}, err
	}
	if got := ingest.Sum(payload); got != f.digest {
		return ingest.Address{}, &ingest.MismatchError{Want: f.digest, Got: got}
	}
	u := newUpload(f.name, f.digest, payload, metadata{})
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

// finish commits the blocks. A commit whose answer was lost meets its own blob when it is tried
// again.
func (f *sending) finish(ctx context.Context, ids []string, there *present) (ingest.Address, error) {
	for contest := 1; ; contest++ {
		address, err := tried(ctx, f.Store, func() (ingest.Address, error) {
			return f.commit(ctx, f.name, f.digest, f.size, ids, whileStill(there))
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

// clear makes way for our blocks, once the file is known to be the right one. Blocks can only be
// discarded by writing the blob, so where one is there it stays, no matter what it holds, until a
// person has looked.
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
				"%s holds something else, and blocks of another program beside it, which are in the way of ours: "+
					"remove the blob if nobody needs it, or wait a week until the service has removed the blocks",
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

// at is the address of a blob that may not be there.
func (p *present) at() ingest.Address {
	if p == nil {
		return ingest.Address{}
	}
	return p.Address
}

// block of a file that a worker is to send.
type block struct {
	id   string
	crc  uint64
	data []byte
}

// stageAll reads and hashes the file and sends the blocks that are not staged yet. It returns the
// names of all.
func (f *sending) stageAll(ctx context.Context, staged map[string]int64) ([]string, error) {
	group, ctx := errgroup.WithContext(ctx)
	blocks := make(chan block)
	buffers := f.buffers()
	free := make(chan []byte, buffers)
	for range buffers {
		free <- nil // made when it is first needed
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

// fileWorkers is how many blocks of a file are sent at once, at most.
const fileWorkers = 8

// buffers is how many blocks are in memory: one is read, the others are sent.
func (f *sending) buffers() int {
	workers := min(f.workers, fileWorkers)
	return max(2, int(min(int64(workers)+1, int64(workers+1)*f.Store.block/f.block)))
}

// readAll gives the blocks that are not staged to the workers, and fails at the end if the file is
// another one.
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
