package catalogtest

import (
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var fencingTests = []test{
	{name: "after a takeover every writing verb of the old holder is refused", run: func(t *testing.T, db Database) {
		old := db(t)
		r := start(t, old, "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		complete := r.take(newWork("c", gguf("/c.gguf", "c")))
		e := r.begin(w)
		batches := w.sources[0].batches(e, 0, 4, 0)
		must(t, r.Record(t.Context(), r.lease, batches[0]))

		next := &run{t, db(t), takeOver(t, db(t), "/a", 2)}
		before := next.snapshot(e.ID)
		refused := map[string]error{
			"Renew":    old.Renew(t.Context(), r.lease),
			"Record":   old.Record(t.Context(), r.lease, batches[1]),
			"again":    old.Record(t.Context(), r.lease, batches[0]),
			"Abandon":  old.Abandon(t.Context(), r.lease, e.ID),
			"Attach":   old.Attach(t.Context(), r.lease, complete, ingest.Alias{Name: "x"}, nil),
			"CloseJob": old.CloseJob(t.Context(), r.lease, ingest.Outcome{State: ingest.JobComplete}),
		}
		segment := list(t, next.Segments(t.Context(), e.Files[0].ID, 0))[0]
		refused["Relocate"] = old.Relocate(t.Context(), r.lease, segment, ingest.Address{URI: "moved"})
		content, digest := payload(1, 10)
		inRow := segment
		inRow.Digest = digest
		refused["ReplacePayload"] = old.ReplacePayload(t.Context(), r.lease, inRow, content)
		refused["Remove"] = old.Remove(t.Context(), r.lease, complete, false)
		refused["RemoveName"] = old.RemoveName(t.Context(), r.lease, complete, "c")
		refused["Rename"] = old.Rename(t.Context(), r.lease, complete, "c", "d")
		_, _, refused["Unreferenced"] = old.Unreferenced(t.Context(), r.lease, true)
		_, refused["Register"] = old.Register(t.Context(), r.lease, w.model, w.content())
		_, refused["Begin"] = old.Begin(t.Context(), r.lease, w.model, w.plans)
		_, refused["Complete"] = old.Complete(t.Context(), r.lease, e.ID, 0)
		refused["Record in rows"] = old.Record(t.Context(), r.lease, withPayloads(batches[1]))
		for verb, err := range refused {
			t.Run(verb, func(t *testing.T) { wantIs(t, err, ingest.ErrLeaseLost) })
		}
		want(t, "counts", next.snapshot(e.ID), before)
		want(t, "names", len(next.summary(complete).Names), 1)
		want(t, "name", next.summary(complete).Name, "c")
		want(t, "address", list(t, next.Segments(t.Context(), e.Files[0].ID, 0))[0], segment)

		for _, b := range batches {
			must(t, next.Record(t.Context(), next.lease, b))
		}
		_, err := next.Complete(t.Context(), next.lease, e.ID, 0)
		must(t, err)
		next.check()
	}},
	{name: "a job that lost a model to another job may not write to it", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := a.begin(w)
		batches := w.sources[0].batches(e, 0, 4, 0)
		must(t, a.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobOpen}))
		b := start(t, c, "/b")
		b.begin(w) // the model is b's now
		a = start(t, c, "/a")
		wantIs(t, a.Record(t.Context(), a.lease, batches[0]), ingest.ErrLeaseLost)
		_, err := a.Complete(t.Context(), a.lease, e.ID, 0)
		wantIs(t, err, ingest.ErrLeaseLost)
		wantError(t, a.Abandon(t.Context(), a.lease, e.ID), "abandoning what another job took over")
		b.record(w, e, 0)
		_, err = b.Complete(t.Context(), b.lease, e.ID, 0)
		must(t, err)
	}},
	{name: "a token that was never given out is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		forged := r.lease
		forged.Token++
		wantIs(t, r.Renew(t.Context(), forged), ingest.ErrLeaseLost)
		wantIs(t, r.Renew(t.Context(), ingest.Lease{Job: r.lease.Job, TTL: long}), ingest.ErrLeaseLost)
		must(t, r.Renew(t.Context(), r.lease))
	}},
}

// takeOver opens the job of a source whose holder is known to be dead.
func takeOver(t *testing.T, c ingest.Catalog, source string, process int) ingest.Lease {
	t.Helper()
	request := jobRequest(source, process)
	request.HolderDead = func(ingest.Holder) bool { return true }
	lease, err := c.Open(t.Context(), request)
	must(t, err)
	return lease
}
