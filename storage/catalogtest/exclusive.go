package catalogtest

import (
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var exclusiveTests = []test{
	{name: "a live job keeps an exclusive job out", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		_, err := c.Open(t.Context(), exclusive("gc", 2))
		wantIs(t, err, ingest.ErrBusy)
		must(t, c.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobOpen}))
		_, err = c.Open(t.Context(), exclusive("gc", 2))
		must(t, err)
	}},
	{name: "an exclusive job keeps all others out", run: func(t *testing.T, db Database) {
		c := db(t)
		gc, err := c.Open(t.Context(), exclusive("gc", 1))
		must(t, err)
		_, err = c.Open(t.Context(), jobRequest("/a", 2))
		wantIs(t, err, ingest.ErrBusy)
		_, err = c.Open(t.Context(), exclusive("other", 2))
		wantIs(t, err, ingest.ErrBusy)
		must(t, c.CloseJob(t.Context(), gc, ingest.Outcome{State: ingest.JobComplete}))
		start(t, c, "/a")
	}},
	{name: "an expired job may not write after an exclusive job started", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest("/a", 1)
		request.TTL = short
		expired, err := c.Open(t.Context(), request)
		must(t, err)
		time.Sleep(lapse)
		_, err = c.Open(t.Context(), exclusive("gc", 2))
		must(t, err)
		// gc may delete its payloads from now on, so a new row could lack one.
		wantIs(t, c.Renew(t.Context(), expired), ingest.ErrLeaseLost)
		w := newWork("m", gguf("/m.gguf", "m"))
		_, err = c.Begin(t.Context(), expired, w.model, w.plans)
		wantIs(t, err, ingest.ErrLeaseLost)
	}},
	{name: "an expired exclusive job loses its lease when another starts", run: func(t *testing.T, db Database) {
		c := db(t)
		request := exclusive("gc", 1)
		request.TTL = short
		gc, err := c.Open(t.Context(), request)
		must(t, err)
		time.Sleep(lapse)
		start(t, c, "/a")
		wantIs(t, c.Renew(t.Context(), gc), ingest.ErrLeaseLost)
	}},
	{name: "a dead holder does not keep an exclusive job out", run: func(t *testing.T, db Database) {
		c := db(t)
		start(t, c, "/a")
		request := exclusive("gc", 2)
		request.HolderDead = func(h ingest.Holder) bool { return h == holder(1) }
		_, err := c.Open(t.Context(), request)
		must(t, err)
	}},
	{name: "a job that is refused leaves no trace", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		_, err := c.Open(t.Context(), exclusive("gc", 2))
		wantIs(t, err, ingest.ErrBusy)
		want(t, "jobs", len(list(t, c.AllJobs(t.Context()))), 1)
		must(t, c.Renew(t.Context(), a.lease))
	}},
}

func exclusive(source string, process int) ingest.JobRequest {
	c := jobRequest(source, process)
	c.Pipeline, c.Exclusive = "gc", true
	return c
}
