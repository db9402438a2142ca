package storage

import (
	"context"
	"io"
	"iter"
	"time"

	"golang.org/x/time/rate"

	"github.com/hartonomous/ingest/ingest"
)

// Cap returns store with no more than so many megabits (of 1,000,000 bits) of payloads put and read each second, all
// callers together; store itself if megabits is zero or less. The result has the abilities of store (ingest.Sweeper,
// Claimer, Placer, Prober, Announcer, FilePutter) and no other. A payload waits before it is handed on, and then travels as fast as the line:
// the cap holds over seconds, not over milliseconds. One that turns out to be stored already has waited as well.
//
// Cap belongs inside of Retry, so that what is sent again counts again.
func Cap(store ingest.Store, megabits float64) ingest.Store {
	if megabits <= 0 {
		return store
	}
	perSecond := megabits * 1e6 / 8
	// A tenth of a second may go at once. Less would only add waits: a payload is never sent in parts.
	burst := max(1, int(perSecond/10))
	return withAbilitiesOf(store, &capped{store, rate.NewLimiter(rate.Limit(perSecond), burst)})
}

// capped passes every verb on to store, which may not have it: withAbilitiesOf sees to that.
type capped struct {
	store   ingest.Store
	limiter *rate.Limiter
}

// wait returns when so many bytes may go. The limiter gives no more than its burst at a time.
func (c *capped) wait(ctx context.Context, bytes int64) error {
	for bytes > 0 {
		n := min(bytes, int64(c.limiter.Burst()))
		if err := c.limiter.WaitN(ctx, int(n)); err != nil {
			if ended := ctx.Err(); ended != nil {
				return ended
			}
			return context.DeadlineExceeded // it would end before the bytes may go
		}
		bytes -= n
	}
	return ctx.Err()
}

func (c *capped) Put(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := c.wait(ctx, int64(len(payload))); err != nil {
		return ingest.Address{}, err
	}
	return c.store.Put(ctx, digest, payload)
}

func (c *capped) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := c.wait(ctx, int64(len(payload))); err != nil {
		return ingest.Address{}, err
	}
	return c.store.Replace(ctx, digest, payload)
}

func (c *capped) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	if err := c.wait(ctx, address.Bytes); err != nil {
		return nil, err
	}
	return c.store.Get(ctx, digest, address, buffer)
}

func (c *capped) PutAt(ctx context.Context, position ingest.Position, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := c.wait(ctx, int64(len(payload))); err != nil {
		return ingest.Address{}, err
	}
	return c.store.(ingest.Placer).PutAt(ctx, position, digest, payload)
}

func (c *capped) ReplaceAt(ctx context.Context, address ingest.Address, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := c.wait(ctx, int64(len(payload))); err != nil {
		return ingest.Address{}, err
	}
	return c.store.(ingest.Placer).ReplaceAt(ctx, address, digest, payload)
}

func (c *capped) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return c.store.(ingest.Sweeper).Sweep(ctx)
}

func (c *capped) Remove(ctx context.Context, stray ingest.Object) error {
	return c.store.(ingest.Sweeper).Remove(ctx, stray)
}

func (c *capped) Claim(ctx context.Context, catalog string) ([]string, error) {
	return c.store.(ingest.Claimer).Claim(ctx, catalog)
}

func (c *capped) Claims(ctx context.Context) ([]string, error) {
	return c.store.(ingest.Claimer).Claims(ctx)
}

func (c *capped) Probe(ctx context.Context, digest ingest.Digest, address ingest.Address) error {
	return c.store.(ingest.Prober).Probe(ctx, digest, address)
}

func (c *capped) Announce(ctx context.Context, catalog string) (time.Time, error) {
	return c.store.(ingest.Announcer).Announce(ctx, catalog)
}

func (c *capped) Withdraw(ctx context.Context, catalog string, since time.Time) error {
	return c.store.(ingest.Announcer).Withdraw(ctx, catalog, since)
}

// PutFile caps what is read of the file: a block that is sent a second time counts once.
func (c *capped) PutFile(ctx context.Context, digest ingest.Digest, file io.ReaderAt, size int64) (ingest.Address, error) {
	return c.store.(ingest.FilePutter).PutFile(ctx, digest, cappedFile{c, ctx, file}, size)
}

// cappedFile is a file of which no more is read than may go.
type cappedFile struct {
	*capped
	ctx  context.Context
	file io.ReaderAt
}

func (f cappedFile) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.wait(f.ctx, int64(len(p))); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, offset)
}
