package reader

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

type Store interface {
	Get(ctx context.Context, digest ingest.Digest, address ingest.Address, offset int64, into []byte) error
	Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (attested bool, err error)
	Replace(ctx context.Context, digest ingest.Digest, address ingest.Address, payload []byte) (ingest.Address, error)
}
