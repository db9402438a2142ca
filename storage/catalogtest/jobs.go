package catalogtest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// hostile holds bytes that a path or a name may contain and that must come back unchanged.
const hostile = "a'b\"c;--\n\x1b[31m\x00\xff\xfe\u202e€ %s?#&{}"

var jobTests = []test{
	{name: "a new job is open, live and not continued", run: func(t *testing.T, db Database) {
		c := db(t)
		lease, err := c.Open(t.Context(), jobRequest("/models", 1))
		must(t, err)
		want(t, "continued", lease.Continued, false)
		want(t, "TTL", lease.TTL, long)
		job, err := c.Job(t.Context(), lease.Job)
		must(t, err)
		want(t, "state", job.State, ingest.JobOpen)
		want(t, "live", job.Live, true)
		want(t, "holder", job.Holder, holder(1))
		want(t, "completed", job.Completed.IsZero(), true)
		if age := time.Since(job.Started); age < -time.Minute || age > time.Minute {
			t.Fatalf("started %s ago", age)
		}
	}},
	{name: "two sources are two jobs", run: func(t *testing.T, db Database) {
		c := db(t)
		a, b := start(t, c, "/a"), start(t, c, "/b")
		if a.lease.Job == b.lease.Job {
			t.Fatal("one job for two sources")
		}
		want(t, "jobs", len(list(t, c.AllJobs(t.Context()))), 2)
	}},
	{name: "the same source under two pipelines is two jobs", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		other := jobRequest("/a", 2)
		other.Pipeline = "verify"
		b, err := c.Open(t.Context(), other)
		must(t, err)
		if a.lease.Job == b.Job {
			t.Fatal("one job for two pipelines")
		}
	}},
	{name: "a live job is busy, requested by source or by number", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		byNumber := jobRequest("/a", 2)
		byNumber.Job = a.lease.Job
		for _, request := range []ingest.JobRequest{jobRequest("/a", 2), byNumber} {
			_, err := c.Open(t.Context(), request)
			wantIs(t, err, ingest.ErrBusy)
			var busy *ingest.BusyError
			if !errors.As(err, &busy) || busy.Job != a.lease.Job || busy.Holder != holder(1) || busy.Until <= 0 ||
				busy.Until > long {
				t.Fatalf("error is %#v", busy)
			}
		}
		must(t, c.Renew(t.Context(), a.lease))
	}},
	{name: "a job whose lease expired is continued with a greater token", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest("/a", 1)
		request.TTL = short
		a, err := c.Open(t.Context(), request)
		must(t, err)
		time.Sleep(lapse)
		job, err := c.Job(t.Context(), a.Job)
		must(t, err)
		want(t, "live", job.Live, false)
		b, err := c.Open(t.Context(), jobRequest("/a", 2))
		must(t, err)
		want(t, "job", b.Job, a.Job)
		want(t, "continued", b.Continued, true)
		if b.Token <= a.Token {
			t.Fatalf("token %d after %d", b.Token, a.Token)
		}
		wantIs(t, c.Renew(t.Context(), a), ingest.ErrLeaseLost)
		wantIs(t, c.CloseJob(t.Context(), a, ingest.Outcome{State: ingest.JobComplete}), ingest.ErrLeaseLost)
		must(t, c.Renew(t.Context(), b))
	}},
	{name: "an expired lease that no other job took is still valid", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest("/a", 1)
		request.TTL = short
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		time.Sleep(lapse)
		w := newWork("m", gguf("/m.gguf", "m"))
		_, err = c.Begin(t.Context(), lease, w.model, w.plans)
		must(t, err)
		must(t, c.Renew(t.Context(), lease))
	}},
	{name: "a renewed lease does not expire", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest("/a", 1)
		request.TTL = short
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		lease.TTL = long
		must(t, c.Renew(t.Context(), lease))
		time.Sleep(lapse)
		_, err = c.Open(t.Context(), jobRequest("/a", 2))
		wantIs(t, err, ingest.ErrBusy)
	}},
	{name: "the lease of a dead holder is taken over at once", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		request := jobRequest("/a", 2)
		var asked ingest.Holder
		request.HolderDead = func(h ingest.Holder) bool { asked = h; return true }
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		want(t, "asked after", asked, holder(1))
		want(t, "job", lease.Job, a.lease.Job)
		wantIs(t, c.Renew(t.Context(), a.lease), ingest.ErrLeaseLost)
	}},
	{name: "the model of a job with a dead holder is taken over at once", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		begun := a.begin(w)
		first := w.sources[0].batches(begun, 0, 4, 0)[0]
		must(t, a.Record(t.Context(), a.lease, first))
		other, err := c.Open(t.Context(), jobRequest("/c", 3))
		must(t, err)
		request := jobRequest("/b", 2)
		request.HolderDead = func(h ingest.Holder) bool { return h == holder(1) }
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		e, err := c.Begin(t.Context(), lease, w.model, w.plans)
		must(t, err)
		want(t, "model", e.ID, begun.ID)
		want(t, "recorded", e.Files[0].Recorded, first.To)
		job, err := c.Job(t.Context(), a.lease.Job)
		must(t, err)
		want(t, "state of the job", job.State, ingest.JobOpen)
		want(t, "live", job.Live, false)
		wantIs(t, a.Record(t.Context(), a.lease, first), ingest.ErrLeaseLost)
		must(t, c.Renew(t.Context(), other)) // its holder is alive
		again, err := c.Open(t.Context(), jobRequest("/a", 4))
		must(t, err)
		want(t, "job", again.Job, a.lease.Job)
		want(t, "continued", again.Continued, true)
	}},
	{name: "a refused request does not end the leases of dead holders", run: func(t *testing.T, db Database) {
		c := db(t)
		dead := start(t, c, "/a")
		_, err := c.Open(t.Context(), jobRequest("/b", 2))
		must(t, err)
		request := jobRequest("/b", 3)
		request.HolderDead = func(h ingest.Holder) bool { return h == holder(1) }
		_, err = c.Open(t.Context(), request)
		wantIs(t, err, ingest.ErrBusy)
		must(t, c.Renew(t.Context(), dead.lease))
	}},
	{name: "the lease of a holder that may be alive is respected", run: func(t *testing.T, db Database) {
		c := db(t)
		start(t, c, "/a")
		request := jobRequest("/a", 2)
		request.HolderDead = func(ingest.Holder) bool { return false }
		_, err := c.Open(t.Context(), request)
		wantIs(t, err, ingest.ErrBusy)
	}},
	{name: "a job left open is continued with its paths, options and problems", run: func(t *testing.T, db Database) {
		c := db(t)
		request := jobRequest(hostile, 1)
		request.Paths, request.Options = []string{"/x", hostile}, map[string]string{"segment": hostile, "empty": ""}
		lease, err := c.Open(t.Context(), request)
		must(t, err)
		problems := []ingest.Problem{{Path: hostile, Reason: "read " + hostile}, {Path: "/y", Reason: "short"}}
		must(t, c.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobOpen, Problems: problems}))
		again, err := c.Open(t.Context(), ingest.JobRequest{Job: lease.Job, Holder: holder(2), TTL: long})
		must(t, err)
		want(t, "continued", again.Continued, true)
		job, err := c.Job(t.Context(), lease.Job)
		must(t, err)
		want(t, "source", job.Source, hostile)
		if !reflect.DeepEqual(job.Paths, request.Paths) || !reflect.DeepEqual(job.Options, request.Options) ||
			!reflect.DeepEqual(job.Problems, problems) {
			t.Fatalf("job is %+v", job)
		}
	}},
	{name: "a closed job is not live, and its source gets a new job", run: func(t *testing.T, db Database) {
		for _, state := range []ingest.JobState{ingest.JobComplete, ingest.JobFailed} {
			c := db(t)
			a := start(t, c, string(state))
			must(t, c.CloseJob(t.Context(), a.lease, ingest.Outcome{State: state}))
			job, err := c.Job(t.Context(), a.lease.Job)
			must(t, err)
			want(t, "state", job.State, state)
			want(t, "live", job.Live, false)
			want(t, "completed", job.Completed.IsZero(), false)
			b := start(t, c, string(state))
			if b.lease.Job == a.lease.Job || b.lease.Continued {
				t.Fatalf("lease is %+v", b.lease)
			}
			_, err = c.Open(t.Context(), ingest.JobRequest{Job: a.lease.Job, Holder: holder(1), TTL: long})
			wantError(t, err, "continuing a job that has ended")
		}
	}},
	{name: "a failed job of which something succeeded is partial", run: func(t *testing.T, db Database) {
		c := db(t)
		for _, outcome := range []struct {
			ingest.Outcome
			read ingest.JobState
		}{
			{ingest.Outcome{State: ingest.JobFailed, Succeeded: 1}, ingest.JobPartial},
			{ingest.Outcome{State: ingest.JobFailed}, ingest.JobFailed},
			{ingest.Outcome{State: ingest.JobComplete, Succeeded: 1}, ingest.JobComplete},
			{ingest.Outcome{State: ingest.JobOpen, Succeeded: 1}, ingest.JobOpen},
		} {
			a := start(t, c, fmt.Sprint(outcome))
			must(t, c.CloseJob(t.Context(), a.lease, outcome.Outcome))
			job, err := c.Job(t.Context(), a.lease.Job)
			must(t, err)
			want(t, "state", job.State, outcome.read)
			var all ingest.Job
			for all, err = range c.AllJobs(t.Context()) {
				must(t, err)
			}
			want(t, "state in the list", all.State, outcome.read)
		}
	}},
	{name: "a failed job is not partial because of an earlier run", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		must(t, c.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobOpen, Succeeded: 1}))
		b := start(t, c, "/a")
		must(t, c.CloseJob(t.Context(), b.lease, ingest.Outcome{State: ingest.JobFailed}))
		job, err := c.Job(t.Context(), a.lease.Job)
		must(t, err)
		want(t, "state", job.State, ingest.JobFailed)
	}},
	{name: "a closed lease is over", run: func(t *testing.T, db Database) {
		c := db(t)
		a := start(t, c, "/a")
		must(t, c.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobComplete}))
		wantIs(t, c.Renew(t.Context(), a.lease), ingest.ErrLeaseLost)
		w := newWork("m", gguf("/m.gguf", "m"))
		_, err := c.Begin(t.Context(), a.lease, w.model, w.plans)
		wantIs(t, err, ingest.ErrLeaseLost)
	}},
	{name: "a request without a pipeline or a source is refused", run: func(t *testing.T, db Database) {
		c := db(t)
		for _, request := range []ingest.JobRequest{{Pipeline: "models"}, {Source: "/a"}} {
			request.Holder, request.TTL = holder(1), long
			if lease, err := c.Open(t.Context(), request); err == nil {
				t.Errorf("%+v got the lease %+v", request, lease)
			}
		}
	}},
	{name: "an unknown job is not found", run: func(t *testing.T, db Database) {
		c := db(t)
		_, err := c.Job(t.Context(), 99)
		wantIs(t, err, ingest.ErrNotFound)
		_, err = c.Open(t.Context(), ingest.JobRequest{Job: 99, Holder: holder(1), TTL: long})
		wantIs(t, err, ingest.ErrNotFound)
		wantIs(t, c.Renew(t.Context(), ingest.Lease{Job: 99, Token: 1, TTL: long}), ingest.ErrLeaseLost)
	}},
	{name: "jobs come in the order of their IDs, and a loop may stop early", run: func(t *testing.T, db Database) {
		c := db(t)
		for _, source := range []string{"/1", "/2", "/3"} {
			start(t, c, source)
		}
		last := int64(0)
		for job, err := range c.AllJobs(t.Context()) {
			must(t, err)
			if job.ID <= last {
				t.Fatalf("job %d after %d", job.ID, last)
			}
			last = job.ID
			if job.Source == "/2" {
				break
			}
		}
		want(t, "jobs", len(list(t, c.AllJobs(t.Context()))), 3)
	}},
	{name: "the identity does not change", run: func(t *testing.T, db Database) {
		a, err := db(t).Identity(t.Context())
		must(t, err)
		b, err := db(t).Identity(t.Context())
		must(t, err)
		want(t, "identity", b, a)
		if len(a) < 16 {
			t.Fatalf("identity %q is too short to be unique", a)
		}
	}},
}
