package azureblob

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

// observed is a store of which a test sees each sweep and each Remove before it is done.
type observed struct {
	*Store
	sweep, before func()
}

func (o observed) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	if o.sweep != nil {
		o.sweep()
	}
	return o.Store.Sweep(ctx)
}

func (o observed) Remove(ctx context.Context, stray ingest.Object) error {
	if o.before != nil {
		o.before()
	}
	return o.Store.Remove(ctx, stray)
}

// nextSecond waits until the service's clock shows another second: it tells writes apart by that.
func nextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1050 * time.Millisecond)))
}

// sweeper is gc of a catalogue of its own, whose container holds one old payload that no row needs.
type sweeper struct {
	ingest.Collector
	address string
	listing func() // called before the container is listed
	payload []byte
	digest  ingest.Digest
	at      ingest.Address
}

func newSweeper(t *testing.T) *sweeper {
	t.Helper()
	clearEnvironment(t)
	catalog, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { catalog.Close() })
	identity, err := catalog.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := &sweeper{address: azurite(t) + "/" + newContainer(), payload: randomBytes(100_000, 21)}
	g.digest = ingest.Sum(g.payload)
	store := openStore(t, g.address, Settings{}).(*Store)
	if _, err := store.Claim(t.Context(), identity); err != nil {
		t.Fatal(err)
	}
	if g.at, err = store.Put(t.Context(), g.digest, g.payload); err != nil {
		t.Fatal(err)
	}
	g.Collector = ingest.Collector{Catalog: catalog, Store: store, Remove: true}
	nextSecond()
	return g
}

func (g *sweeper) store() *Store { return g.Store.(*Store) }

// collect runs gc, and calls before each time that it is about to remove something.
func (g *sweeper) collect(t *testing.T, before func()) (ingest.Collection, error) {
	t.Helper()
	c := g.Collector
	c.Store = observed{g.store(), g.listing, before}
	claim := ingest.JobRequest{Pipeline: "gc", Source: "gc", Holder: ingest.ThisProcess(), TTL: pipeline.DefaultLease}
	return c.Collect(t.Context(), claim, func(ingest.Object) {})
}

// relies claims the store for a catalogue and puts the payload: from then on it has a row.
func (g *sweeper) relies(t *testing.T, catalog string) ingest.Address {
	t.Helper()
	s := openStore(t, g.address, Settings{}).(*Store)
	if _, err := s.Claim(t.Context(), catalog); err != nil {
		t.Fatal(err)
	}
	at, err := s.Put(t.Context(), g.digest, g.payload)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestSweepAndClaim lets another catalogue come to rely on a payload at each moment of a gc that takes it for garbage:
// gc is refused or spares it, or has removed it before it is put.
func TestSweepAndClaim(t *testing.T) {
	t.Run("before gc begins", func(t *testing.T) {
		g := newSweeper(t)
		at := g.relies(t, "another")
		if at.ETag != g.at.ETag {
			t.Error("what was there was put again, although nobody is about to remove it")
		}
		if _, err := g.collect(t, nil); err == nil || !strings.Contains(err.Error(), "2 catalogues") {
			t.Errorf("gc of a store of two catalogues: %v", err)
		}
		wantStored(t, g.store(), at, g.payload)
	})
	t.Run("after gc has asked who refers to the store", func(t *testing.T) {
		g := newSweeper(t)
		var at ingest.Address
		sum, err := g.collect(t, func() { at = g.relies(t, "another") })
		if err != nil || sum.Payloads != 0 || sum.Young != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		wantStored(t, g.store(), at, g.payload)
	})
	t.Run("after the announcement, with what is written after it", func(t *testing.T) {
		g := newSweeper(t)
		identity, err := g.Catalog.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var late, at ingest.Address
		g.listing = func() { nextSecond(); late = g.relies(t, identity) } // by a run that has lost its lease: it gets no row
		sum, err := g.collect(t, func() { t.Error("what was written after the announcement is about to be removed") })
		if err != nil || sum.Young != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		if at = g.relies(t, identity); at.ETag != late.ETag {
			t.Error("what was written after the announcement was put again")
		}
		wantStored(t, g.store(), at, g.payload)
	})
	t.Run("after the payload was removed", func(t *testing.T) {
		g := newSweeper(t)
		sum, err := g.collect(t, nil)
		if err != nil || sum.Payloads != 1 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if err := g.store().Probe(t.Context(), g.digest, g.at); !errors.Is(err, ingest.ErrNoPayload) {
			t.Fatalf("after gc: %v", err)
		}
		wantStored(t, g.store(), g.relies(t, "another"), g.payload)
	})
	t.Run("while gc of the same catalogue sleeps without its lease", func(t *testing.T) {
		g := newSweeper(t)
		identity, err := g.Catalog.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var at ingest.Address
		if sum, err := g.collect(t, func() { at = g.relies(t, identity) }); err != nil || sum.Young != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		wantStored(t, g.store(), at, g.payload)
	})
}

// TestAnnouncementLeft: a gc that was killed leaves its announcement. Payloads from before are put again, once, whole files
// too; the next gc takes it back, and from then on they are relied on.
func TestAnnouncementLeft(t *testing.T) {
	g := newSweeper(t)
	identity, err := g.Catalog.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := randomBytes(3<<16, 22)
	whole := openStore(t, g.address, Settings{BlockBytes: 1 << 16}).(*Store)
	old, err := whole.PutFile(t.Context(), ingest.Sum(file), strings.NewReader(string(file)), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	nextSecond()
	if _, err := g.store().Announce(t.Context(), identity); err != nil {
		t.Fatal(err)
	}
	nextSecond()
	first := g.relies(t, identity)
	if second := g.relies(t, identity); first.ETag == g.at.ETag || second.ETag != first.ETag {
		t.Errorf("ETag %s before, then %s and %s", g.at.ETag, first.ETag, second.ETag)
	}
	if _, err := whole.Claim(t.Context(), identity); err != nil {
		t.Fatal(err)
	}
	again, err := whole.PutFile(t.Context(), ingest.Sum(file), strings.NewReader(string(file)), int64(len(file)))
	if err != nil || again.ETag == old.ETag {
		t.Errorf("a file from before the announcement: ETag %s, then %s, %v", old.ETag, again.ETag, err)
	}
	g.OlderThan = time.Hour
	if sum, err := g.collect(t, nil); err != nil || sum.Young != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	nextSecond()
	if third := g.relies(t, identity); third.ETag != first.ETag {
		t.Error("the announcement was not taken back")
	}
}

// TestAnnouncementStays: it is taken back whatever becomes of gc, but for a Remove that was not answered.
func TestAnnouncementStays(t *testing.T) {
	left := func(g *sweeper) int {
		n := 0
		for range g.store().list(t.Context(), sweeps, false) {
			n++
		}
		return n
	}
	g := newSweeper(t)
	if _, err := g.collect(t, nil); err != nil || left(g) != 0 {
		t.Errorf("after gc: %v, %d announcements", err, left(g))
	}
	for name, fault := range map[string]struct {
		d    deed
		want int
	}{
		"refused": {say(409, "BlobImmutableDueToPolicy"), 0}, "leased": {say(412, "LeaseIdMissing"), 0},
		"no answer": {cut, 1}, "not allowed": {say(403, "AuthorizationPermissionMismatch"), 1},
	} {
		g := newSweeper(t)
		p := newProxy(t, func(r *http.Request) deed {
			if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, payloads) {
				return fault.d
			}
			return nil
		})
		container := g.address[strings.LastIndexByte(g.address, '/'):]
		direct := g.Store
		g.Store = openStore(t, throughHost(t, p.host)+container, Settings{})
		var refused []string
		g.Refused = func(s ingest.Object, err error) { refused = append(refused, s.Name) }
		sum, err := g.collect(t, nil)
		if (err != nil) != (fault.want == 1) || int(sum.Refused) != 1-fault.want || slices.Contains(refused, g.at.Name) != (fault.want == 0) {
			t.Errorf("%s: %+v, refused %v, %v", name, sum, refused, err)
		}
		g.Store = direct
		if n := left(g); n != fault.want {
			t.Errorf("%s: %d announcements are left, want %d", name, n, fault.want)
		}
	}
}
