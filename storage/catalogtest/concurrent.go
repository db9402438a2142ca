package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

var concurrentTests = []test{
	{name: "of many that request a job, one gets it", run: func(t *testing.T, db Database) {
		var won, busy atomic.Int32
		group, ctx := errgroup.WithContext(t.Context())
		for i := range 8 {
			c := db(t)
			group.Go(func() error {
				_, err := c.Open(ctx, jobRequest("/a", 10+i))
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, ingest.ErrBusy):
					busy.Add(1)
				default:
					return err
				}
				return nil
			})
		}
		must(t, group.Wait())
		want(t, "winners", won.Load(), 1)
		want(t, "refused", busy.Load(), 7)
		want(t, "jobs", len(list(t, db(t).AllJobs(t.Context()))), 1)
	}},
	{name: "of many that take over a job, the last one holds it", run: func(t *testing.T, db Database) {
		start(t, db(t), "/a")
		var leases [6]ingest.Lease
		group, ctx := errgroup.WithContext(t.Context())
		for i := range leases {
			c := db(t)
			group.Go(func() (err error) {
				request := jobRequest("/a", 10+i)
				request.HolderDead = func(ingest.Holder) bool { return true }
				leases[i], err = c.Open(ctx, request)
				return err
			})
		}
		must(t, group.Wait())
		holders, tokens := 0, map[int64]bool{}
		for _, lease := range leases {
			tokens[lease.Token] = true
			if err := db(t).Renew(t.Context(), lease); err == nil {
				holders++
			} else {
				wantIs(t, err, ingest.ErrLeaseLost)
			}
		}
		want(t, "holders", holders, 1)
		want(t, "different tokens", len(tokens), len(leases))
	}},
	{name: "two handles record the same atoms at once", run: func(t *testing.T, db Database) {
		const handles = 3
		group, ctx := errgroup.WithContext(t.Context())
		for i := range handles {
			r := start(t, db(t), fmt.Sprint("/", i))
			w := newWork(fmt.Sprint("m", i), gguf(fmt.Sprintf("/%d.gguf", i), "the same"),
				gguf(fmt.Sprintf("/own%d.gguf", i), fmt.Sprint("own ", i)))
			e := r.begin(w)
			for file := range w.sources {
				group.Go(func() error {
					for _, b := range w.sources[file].batches(e, file, 1, 0) {
						if err := r.Record(ctx, r.lease, b); err != nil {
							return err
						}
					}
					return nil
				})
			}
		}
		must(t, group.Wait())
		c := db(t)
		must(t, Check(t.Context(), c, nil))
		one := gguf("", "the same")
		stored, shared := int64(0), int64(0)
		for _, s := range list(t, c.Models(t.Context())) {
			stored, shared = stored+s.BytesStored, shared+s.BytesShared
		}
		// Each distinct byte is stored once: the common file once, and of each model's own file
		// everything but the tensor named shared.
		want(t, "stored", stored, one.Bytes+handles*(one.Bytes-3*mib))
		want(t, "stored and shared", stored+shared, 2*handles*one.Bytes)
	}},
	{name: "two handles complete the same weights at once", run: func(t *testing.T, db Database) {
		const handles = 4
		var ids [handles]ingest.ModelID
		group, ctx := errgroup.WithContext(t.Context())
		for i := range handles {
			r := start(t, db(t), fmt.Sprint("/", i))
			e := r.fill(newWork(fmt.Sprint("m", i), gguf(fmt.Sprintf("/%d.gguf", i), "the same")))
			group.Go(func() (err error) {
				ids[i], err = r.Complete(ctx, r.lease, e.ID, 0)
				return err
			})
		}
		must(t, group.Wait())
		c := db(t)
		for _, id := range ids {
			want(t, "model", id, ids[0])
		}
		all := list(t, c.Models(t.Context()))
		want(t, "models", len(all), 1)
		want(t, "names", len(all[0].Names), handles)
		must(t, Check(t.Context(), c, nil))
	}},
	{name: "two handles begin the same model at once", run: func(t *testing.T, db Database) {
		var won, busy atomic.Int32
		w := newWork("m", gguf("/m.gguf", "m"))
		group, ctx := errgroup.WithContext(t.Context())
		for i := range 4 {
			r := start(t, db(t), fmt.Sprint("/", i))
			group.Go(func() error {
				_, err := r.Begin(ctx, r.lease, w.model, w.plans)
				if err == nil {
					won.Add(1)
				} else if errors.Is(err, ingest.ErrBusy) {
					busy.Add(1)
					err = nil
				}
				return err
			})
		}
		must(t, group.Wait())
		want(t, "winners", won.Load(), 1)
		want(t, "refused", busy.Load(), 3)
	}},
	{name: "handles relocate shared payloads while others record them", run: func(t *testing.T, db Database) {
		group, ctx := errgroup.WithContext(t.Context())
		for i := range 3 {
			r := start(t, db(t), fmt.Sprint("/", i))
			e := r.fill(newWork(fmt.Sprint("m", i), gguf(fmt.Sprintf("/%d.gguf", i), "the same")))
			segments := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))
			group.Go(func() error {
				for _, s := range segments {
					to := otherAddress(s)
					to.URI += fmt.Sprint(".", i)
					if err := r.Relocate(ctx, r.lease, s, to); err != nil && !errors.Is(err, ingest.ErrMoved) {
						return err
					}
				}
				return nil
			})
			other := start(t, db(t), fmt.Sprint("/other", i))
			w := newWork(fmt.Sprint("n", i), gguf(fmt.Sprintf("/n%d.gguf", i), "the same"))
			f := other.begin(w)
			group.Go(func() error {
				for _, b := range w.sources[0].batches(f, 0, 2, 0) {
					if err := other.Record(ctx, other.lease, b); err != nil {
						return err
					}
				}
				return nil
			})
		}
		must(t, group.Wait())
		must(t, Check(t.Context(), db(t), nil))
	}},
	{name: "readers see whole transactions while others write", run: func(t *testing.T, db Database) {
		writer := start(t, db(t), "/a")
		ctx, stop := context.WithCancel(t.Context())
		group, _ := errgroup.WithContext(ctx)
		for range 2 {
			c := db(t)
			group.Go(func() error {
				for ctx.Err() == nil {
					for s, err := range c.Models(t.Context()) {
						if err != nil {
							return err
						}
						if s.BytesStored+s.BytesShared != s.Files[0].Recorded {
							return fmt.Errorf("half a batch is visible: %+v", s)
						}
					}
				}
				return nil
			})
		}
		for i := range 5 {
			writer.take(newWork(fmt.Sprint(i), gguf(fmt.Sprintf("/%d.gguf", i), fmt.Sprint(i))))
		}
		stop()
		must(t, group.Wait())
	}},
}
