package catalogtest

import (
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var aloneTests = []test{
	{name: "a live job keeps an alone one out", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		_, err := c.Open(t.Context(), alone("gc", 2))
		wantIs(t, err, ingest.ErrBusy)
		must(t, c.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobOpen}))
		_, err = c.Open(t.Context(), alone("gc", 2))
		must(t, err)
	}},
	{name: "an alone job keeps all others out", run: func(t *testing.T, db Database) {
		c := db(t)
		gc, err := c.Open(t.Context(), alone("gc", 1))
		must(t, err)
		_, err = c.Open(t.Context(), claim("/a", 2))
		wantIs(t, err, ingest.ErrBusy)
		_, err = c.Open(t.Context(), alone("other", 2))
		wantIs(t, err, ingest.ErrBusy)
		must(t, c.CloseJob(t.Context(), gc, ingest.Outcome{State: ingest.JobComplete}))
		start(t, c, "/a")
	}},
	{name: "a lapsed job that an alone one passed over may not write any more", run: func(t *testing.T, db Database) {
		c := db(t)
		ask := claim("/a", 1)
		ask.TTL = short
		lapsed, err := c.Open(t.Context(), ask)
		must(t, err)
		time.Sleep(lapse)
		_, err = c.Open(t.Context(), alone("gc", 2))
		must(t, err)
		// Its payloads may be swept away at this moment: a row now would lack one.
		wantIs(t, c.Renew(t.Context(), lapsed), ingest.ErrLeaseLost)
		w := newWork("m", gguf("/m.gguf", "m"))
		_, err = c.Begin(t.Context(), lapsed, w.model, w.plans)
		wantIs(t, err, ingest.ErrLeaseLost)
	}},
	{name: "a lapsed alone job that another passed over is told so", run: func(t *testing.T, db Database) {
		c := db(t)
		ask := alone("gc", 1)
		ask.TTL = short
		gc, err := c.Open(t.Context(), ask)
		must(t, err)
		time.Sleep(lapse)
		start(t, c, "/a")
		wantIs(t, c.Renew(t.Context(), gc), ingest.ErrLeaseLost)
	}},
	{name: "a gone holder does not keep an alone job out", run: func(t *testing.T, db Database) {
		c := db(t)
		start(t, c, "/a")
		ask := alone("gc", 2)
		ask.HolderDead = func(h ingest.Holder) bool { return h == holder(1) }
		_, err := c.Open(t.Context(), ask)
		must(t, err)
	}},
	{name: "a job that is refused leaves no trace", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		_, err := c.Open(t.Context(), alone("gc", 2))
		wantIs(t, err, ingest.ErrBusy)
		want(t, "jobs", len(list(t, c.AllJobs(t.Context()))), 1)
		must(t, c.Renew(t.Context(), a.lease))
	}},
}

func alone(source string, process int) ingest.JobRequest {
	c := claim(source, process)
	c.Pipeline, c.Exclusive = "gc", true
	return c
}
