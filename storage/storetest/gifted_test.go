package storetest_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// gifted is a store in memory with every ability, and, where flaw says so, with one of them not as promised.
type gifted struct {
	flaw string

	mu        sync.Mutex
	stored    map[string]write
	claims    storetest.Memory
	announced time.Time // that Claim has learned of
	sweeping  time.Time
	writes    int
}

type write struct {
	digest   ingest.Digest
	payload  []byte
	tag      string
	modified time.Time
}

func (g *gifted) address(name string) ingest.Address {
	w := g.stored[name]
	return ingest.Address{URI: "gifted:" + name, Name: name, ETag: w.tag, Bytes: int64(len(w.payload)), Modified: w.modified}
}

func (g *gifted) put(ctx context.Context, name string, digest ingest.Digest, p []byte, anew bool) (ingest.Address, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return ingest.Address{}, err
	}
	there, ok := g.stored[name]
	old := !there.modified.After(g.announced) && !g.announced.IsZero() && g.flaw != "relies on anything"
	if ok && there.digest == digest && !anew && !old && ingest.Sum(there.payload) == digest {
		return g.address(name), nil
	}
	if g.stored == nil {
		g.stored = map[string]write{}
	}
	g.writes++
	g.stored[name] = write{digest, append([]byte(nil), p...), strconv.Itoa(g.writes), time.Now()}
	return g.address(name), nil
}

func (g *gifted) Put(ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
	return g.put(ctx, digest.String(), digest, p, false)
}

func (g *gifted) Replace(ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
	return g.put(ctx, digest.String(), digest, p, true)
}

func (g *gifted) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.at(digest, address)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok:
		return nil, fmt.Errorf("gifted: %w", ingest.ErrNoPayload)
	case int64(len(w.payload)) != address.Bytes:
		return nil, fmt.Errorf("gifted: %d bytes", len(w.payload))
	}
	return append(buffer[:0], w.payload...), nil
}

func (g *gifted) at(digest ingest.Digest, address ingest.Address) (write, bool) {
	name := address.Name
	if name == "" {
		name = digest.String()
	}
	w, ok := g.stored[name]
	return w, ok
}

func (g *gifted) Damage(digest ingest.Digest, p []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stored[digest.String()] = write{payload: append([]byte(nil), p...), modified: time.Now()}
}

func (g *gifted) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		g.mu.Lock()
		var all []ingest.Object
		for name, w := range g.stored {
			all = append(all, ingest.Object{Digest: w.digest, Name: name, Bytes: int64(len(w.payload)), Modified: w.modified, Tag: w.tag})
		}
		if g.flaw == "sweeps announcements" && !g.sweeping.IsZero() {
			all = append(all, ingest.Object{Digest: ingest.Sum(nil), Name: "sweeping", Modified: g.sweeping})
		}
		g.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield(ingest.Object{}, err)
			return
		}
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (g *gifted) Remove(ctx context.Context, stray ingest.Object) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if w, ok := g.stored[stray.Name]; ok && w.tag != stray.Tag {
		return ingest.ErrModified
	}
	delete(g.stored, stray.Name)
	return nil
}

func (g *gifted) Claim(ctx context.Context, catalog string) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.announced = g.sweeping
	return g.claims.Claim(ctx, catalog)
}

func (g *gifted) Claims(ctx context.Context) ([]string, error) { return g.claims.Claims(ctx) }

func (g *gifted) Announce(ctx context.Context, _ string) (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil && g.flaw != "announces after the end" {
		return time.Time{}, err
	}
	if g.sweeping = time.Now(); g.flaw == "announces long ago" {
		return g.sweeping.Add(-time.Hour), nil
	}
	return g.sweeping, nil
}

func (g *gifted) Withdraw(_ context.Context, _ string, since time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.flaw == "withdraws once" && g.sweeping.IsZero():
		return fmt.Errorf("there is nothing to withdraw")
	case g.flaw == "withdraws nothing":
		g.sweeping = time.Now()
		return nil
	case g.sweeping.After(since) && g.flaw != "withdraws any":
		return nil
	}
	g.sweeping = time.Time{}
	return nil
}

func (g *gifted) PutAt(ctx context.Context, at ingest.Position, digest ingest.Digest, p []byte) (ingest.Address, error) {
	name := fmt.Sprint(at.Model, "/", at.File, "/", at.Layer, "/", at.Ordinal)
	switch g.flaw {
	case "mixes up files":
		name = fmt.Sprint(at.Model, "/", at.Layer, "/", at.Ordinal)
	case "keeps the first of a position":
		g.mu.Lock()
		_, there := g.stored[name]
		g.mu.Unlock()
		if there {
			return g.address(name), ctx.Err()
		}
	case "writes positions again":
		return g.put(ctx, name, digest, p, true)
	}
	return g.put(ctx, name, digest, p, false)
}

func (g *gifted) ReplaceAt(ctx context.Context, address ingest.Address, digest ingest.Digest, p []byte) (ingest.Address, error) {
	if g.flaw == "replaces elsewhere" {
		return g.Replace(ctx, digest, p)
	}
	return g.put(ctx, address.Name, digest, p, true)
}

func (g *gifted) Probe(ctx context.Context, digest ingest.Digest, address ingest.Address) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.at(digest, address)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case g.flaw == "believes":
		return nil
	case !ok && g.flaw != "calls missing changed":
		return ingest.ErrNoPayload
	case int64(len(w.payload)) != address.Bytes && g.flaw != "asks for no size":
		return fmt.Errorf("%d bytes", len(w.payload))
	case w.digest != digest && g.flaw != "asks for no digest":
		return fmt.Errorf("another digest")
	case w.tag != address.ETag && g.flaw != "asks for no ETag":
		return &ingest.RewrittenError{Was: address.ETag, Now: ingest.Address{Name: address.Name, ETag: w.tag}}
	}
	return nil
}

func (g *gifted) PutFile(ctx context.Context, digest ingest.Digest, file io.ReaderAt, size int64) (ingest.Address, error) {
	p := make([]byte, size)
	if n, err := file.ReadAt(p, 0); int64(n) < size && g.flaw != "takes short files" {
		return ingest.Address{}, err
	}
	if got := ingest.Sum(p); got != digest {
		switch g.flaw {
		case "takes any file", "takes short files":
		case "leaves wrong files":
			if _, err := g.Put(ctx, digest, p); err != nil {
				return ingest.Address{}, err
			}
			fallthrough
		default:
			return ingest.Address{}, &ingest.MismatchError{Want: digest, Got: got}
		}
	}
	return g.Put(ctx, digest, p)
}

// gifts are the flaws, each with the part of the suite that must notice.
var gifts = map[string]string{
	"mixes up files": "place", "keeps the first of a position": "place", "writes positions again": "place", "replaces elsewhere": "place",
	"believes": "probe", "calls missing changed": "probe", "asks for no size": "probe", "asks for no digest": "probe", "asks for no ETag": "probe",
	"relies on anything": "announce", "sweeps announcements": "announce", "announces long ago": "announce", "announces after the end": "announce",
	"withdraws once": "announce", "withdraws nothing": "announce", "withdraws any": "announce",
	"takes any file": "put_file", "takes short files": "put_file", "leaves wrong files": "put_file",
}

func TestGifted(t *testing.T) {
	storetest.Run(t, func(*testing.T) ingest.Store { return &gifted{} })
}

// TestSuiteNoticesGifts is TestSuiteNotices for the abilities that not every store has.
func TestSuiteNoticesGifts(t *testing.T) {
	for flaw, want := range gifts {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			out, err := runBroken(flaw)
			if err == nil || !strings.Contains(out, "--- FAIL: TestBroken/"+want) {
				t.Errorf("%s passed %s: %v\n%s", flaw, want, err, out)
			}
		})
	}
}
