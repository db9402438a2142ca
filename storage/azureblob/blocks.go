package azureblob

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/hartonomous/ingest/ingest"
)

// The service's limits for block blobs.
const (
	maxBlocks     = 50_000
	maxBlockBytes = 4_000 << 20
	maxFileBytes  = maxBlocks * maxBlockBytes
)

// blockBytes returns the block size for a file: the wanted one, or the smallest number of
// whole MiB that needs at most 50,000 blocks.
func blockBytes(size, wanted int64) (int64, error) {
	if size > maxFileBytes {
		return 0, fmt.Errorf(
			"the file has %d bytes, and a blob takes at most %d (50,000 blocks of 4,000 MiB): store it in segments",
			size,
			int64(maxFileBytes),
		)
	}
	if needed := (size + maxBlocks - 1) / maxBlocks; needed > wanted {
		wanted = (needed + 1<<20 - 1) >> 20 << 20
	}
	return min(wanted, maxBlockBytes), nil
}

// blockID identifies a block by its content: the file's digest, the block size, the block's index,
// and the checksum that the service verified. A staged block with this ID is therefore the one to
// send.
func blockID(file ingest.Digest, size int64, index int, crc uint64) string {
	id := append([]byte(nil), file[:]...)
	id = binary.BigEndian.AppendUint64(id, uint64(size))
	id = binary.BigEndian.AppendUint32(id, uint32(index))
	id = binary.BigEndian.AppendUint64(id, crc)
	return base64.StdEncoding.EncodeToString(id)
}

// staged returns the sizes of uncommitted blocks by ID.
func (s *Store) staged(ctx context.Context, name string) (map[string]int64, error) {
	answer, err := s.container.NewBlockBlobClient(name).GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil {
		if err = s.failed(ctx, "list the blocks of", name, err); isMissing(err) {
			return nil, nil
		}
		return nil, err
	}
	found := make(map[string]int64, len(answer.UncommittedBlocks))
	for _, block := range answer.UncommittedBlocks {
		if block.Name != nil && block.Size != nil {
			found[*block.Name] = *block.Size
		}
	}
	return found, nil
}

// stage sends one block. If the container is missing, it creates it and sends the block again.
func (s *Store) stage(ctx context.Context, name, id string, crc uint64, block []byte) error {
	err := s.stageOnce(ctx, name, id, crc, block)
	if !s.mayMakeContainer(err) {
		return err
	}
	if err := s.makeContainer(ctx); err != nil {
		return err
	}
	return s.stageOnce(ctx, name, id, crc, block)
}

func (s *Store) stageOnce(ctx context.Context, name, id string, crc uint64, block []byte) error {
	answer, err := s.container.NewBlockBlobClient(name).StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(block)),
		&blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(crc)})
	if err != nil {
		return s.failed(ctx, "send a block of", name, err)
	}
	return s.received("send a block of", name, answer.ContentCRC64, crc)
}

// received compares the checksum in the service's answer with the one that was sent.
func (s *Store) received(act, name string, got []byte, sent uint64) error {
	if len(got) == 0 || base64.StdEncoding.EncodeToString(got) == crcText(sent) {
		return nil
	}
	return &Error{
		Act:       act,
		URL:       s.urlOf(name),
		transient: true,
		cause:     fmt.Errorf("the service received other bytes: their CRC64 is %x", got),
	}
}

// commit creates the blob from its blocks.
func (f *sending) commit(
	ctx context.Context,
	ids []string,
	condition *blob.ModifiedAccessConditions,
) (ingest.Address, error) {
	tier := f.tier
	if f.readable {
		tier = nil
	}
	answer, err := f.container.NewBlockBlobClient(f.name).CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{
		Metadata:         metadata{}.with(metaDigest, f.digest.String()),
		Tier:             tier,
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType)},
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: condition},
	})
	if err != nil {
		return ingest.Address{}, f.failed(ctx, "commit the blocks of", f.name, err)
	}
	return f.address(f.name, f.size, answer.ETag, answer.LastModified), nil
}

// discard removes the uncommitted blocks of a blob that does not exist. The service does so when a
// block list is committed, so discard commits an empty one, and deletes the resulting blob, which
// has no digest.
func (s *Store) discard(ctx context.Context, name string) error {
	c := s.container.NewBlockBlobClient(name)
	answer, err := c.CommitBlockList(ctx, nil, &blockblob.CommitBlockListOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: ifAbsent()},
	})
	if err != nil {
		if err = s.failed(ctx, "discard the blocks of", name, err); isTaken(err) {
			return nil // another writer created the blob, which also discarded the blocks
		}
		return err
	}
	_, err = c.Delete(ctx, &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: answer.ETag}}})
	if err == nil {
		return nil
	}
	if err = s.failed(ctx, "discard the blocks of", name, err); isTaken(err) || isMissing(err) {
		return nil
	}
	return err
}
