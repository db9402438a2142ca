package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// theBatch is all of a file of ten bytes: two outside tensors, then a tensor of four segments, two
// of which are equal.
func theBatch(payloads bool) *ingest.Batch {
	b := &ingest.Batch{Model: theModel, File: theFile, To: theBytes, InRows: payloads, HashState: []byte("state"),
		Digest: ingest.Sum([]byte("file"))}
	add := func(layer ingest.LayerID, tensor, ordinal int, text string) {
		at := int64(0)
		if n := len(b.Segments); n > 0 {
			at = b.Segments[n-1].End()
		}
		r := ingest.NewSegment{Segment: ingest.Segment{Tensor: tensor, Ordinal: ordinal, Offset: at,
			Bytes: int64(len(text)), First: at, Count: 2}, Layer: layer, Digest: ingest.Sum([]byte(text)),
			Address: ingest.Address{URI: "dir:" + text, Bytes: int64(len(text))}}
		if layer != 0 {
			r.Type = "F32"
		}
		if payloads {
			r.Payload, r.Address = []byte(text), ingest.Address{}
		}
		b.Segments = append(b.Segments, r)
	}
	add(0, ingest.NoTensor, 0, "hd")
	for i, text := range []string{"aa", "bb", "aa", "cc"} {
		add(7, 0, i, text)
	}
	return b
}

// check makes sure that the server holds all of the batch, or nothing.
func (d *double) check(t *testing.T, payloads, all bool) {
	t.Helper()
	if !d.WaitIdle(10 * time.Second) { // until the server has rolled back transactions of lost connections
		t.Errorf("a transaction was left open")
	}
	if d.streams != nil && d.streams.OpenHandles() > 0 {
		t.Errorf("%d files are open", d.streams.OpenHandles())
	}
	d.Do(func() {
		if !all {
			for digest, n := range d.atoms.All() { // an atom without references may exist
				if n != 0 {
					t.Errorf("atom %s is counted %d times", digest, n)
				}
			}
			if d.segments.Len() != 0 || d.files.Len() != 0 {
				t.Errorf("a batch that failed left %v %v %v", d.atoms.All(), d.segments.All(),
					d.files.All())
			}
			return
		}
		b := theBatch(payloads)
		references := map[ingest.Digest]int64{}
		for _, s := range b.Segments {
			references[s.Digest]++
			at := spot{ordinal: int64(s.Ordinal), layer: int64(s.Layer)}
			if s.Layer == 0 {
				at.file = theFile
			}
			want := segment{s.Offset, s.Bytes, s.First, s.Count, s.Digest, s.Type, s.Address.URI, string(s.Payload),
				true}
			got, _ := d.segments.Get(at)
			if d.streams != nil {
				got.payload = string(d.streams.Payload(at.name()))
			}
			if got != want {
				t.Errorf("segment %+v is %+v, want %+v", at, got, want)
			}
		}
		if d.segments.Len() != len(b.Segments) || fmt.Sprint(d.atoms.All()) != fmt.Sprint(references) {
			t.Errorf("%d segments; atoms %v, want %v", d.segments.Len(), d.atoms.All(), references)
		}
		if f, _ := d.files.Get(theFile); f != (progress{theBytes, 5, 8, 2, b.Digest}) {
			t.Errorf("the file is %+v", f)
		}
	})
}

var theLease = ingest.Lease{Job: theJob, Token: 1, TTL: time.Minute}

func (d *double) record(ctx context.Context, c *Catalog, payloads bool) error {
	return c.Record(ctx, theLease, theBatch(payloads))
}

// transientFaults are faults after which the same call succeeds. The batch must be recorded once
// after each.
var transientFaults = map[string]tdstest.Fault{
	"none": {At: tdstest.BeforeEffect, Match: "/* nothing */", Do: tdstest.Drop()},
	"deadlock victim": {At: tdstest.BeforeEffect, Match: "/* ingest: add-atoms */",
		Do: tdstest.Fail(tdstest.Err(1205))},
	"deadlock late": {At: tdstest.AfterEffect, Match: "/* ingest: advance */",
		Do: tdstest.Fail(tdstest.Err(1205))},
	"three deadlocks": {At: tdstest.BeforeEffect, Match: "/* ingest: count-atoms */", Times: 3,
		Do: tdstest.Fail(tdstest.Err(1205))},
	"lock timeout": {At: tdstest.BeforeEffect, Match: "/* ingest: lock-file */",
		Do: tdstest.Fail(tdstest.Err(1222))},
	"throttled": {At: tdstest.BeforeEffect, Match: "/* ingest: hold */",
		Do: tdstest.Fail(tdstest.Err(40197))},
	"lost a race": {At: tdstest.BeforeEffect, Match: "/* ingest: add-atoms */",
		Do: tdstest.Fail(tdstest.Err(2627))},
	"reset before a statement": {At: tdstest.BeforeEffect, Match: "/* ingest: look-at-file */",
		Do: tdstest.Reset()},
	"dropped after a statement":     {At: tdstest.AfterEffect, Match: "/* ingest: reconcile */", Do: tdstest.Drop()},
	"reset during the bulk copy":    {At: tdstest.InBulk, Rows: 3, Do: tdstest.Reset()},
	"dropped during the bulk copy":  {At: tdstest.InBulk, Rows: 2, Do: tdstest.Drop()},
	"an error during the bulk copy": {At: tdstest.InBulk, Rows: 1, Do: tdstest.Fail(tdstest.Err(1205))},
	"reset before COMMIT":           {At: tdstest.BeforeEffect, Match: tdstest.Commit, Do: tdstest.Reset()},
	"reset after COMMIT":            {At: tdstest.AfterEffect, Match: tdstest.Commit, Do: tdstest.Reset()},
	"dropped after COMMIT":          {At: tdstest.AfterEffect, Match: tdstest.Commit, Do: tdstest.Drop()},
	"two answers of COMMIT lost":    {At: tdstest.AfterEffect, Match: tdstest.Commit, Times: 2, Do: tdstest.Drop()},
	"a deadlock reported after COMMIT": {At: tdstest.AfterEffect, Match: tdstest.Commit,
		Do: tdstest.Fail(tdstest.Err(1205))},
	"stall before a statement": {At: tdstest.BeforeEffect, Match: "/* ingest: count-atoms */",
		Do: tdstest.Stall()},
	"stall during the bulk copy":    {At: tdstest.InBulk, Rows: 2, Do: tdstest.Stall()},
	"stall after COMMIT":            {At: tdstest.AfterEffect, Match: tdstest.Commit, Do: tdstest.Stall()},
	"login temporarily refused":     {At: tdstest.AtLogin, Do: tdstest.Fail(tdstest.Err(40197))},
	"connection lost at the fence":  {At: tdstest.AfterEffect, Match: "/* ingest: fence */", Do: tdstest.Reset()},
	"connection lost at its set-up": {At: tdstest.BeforeEffect, Match: "/* ingest: session */", Do: tdstest.Reset()},
}

func TestTransientFaults(t *testing.T) {
	for name, fault := range transientFaults {
		for _, payloads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", name, payloads), func(t *testing.T) {
				t.Parallel()
				d := newDouble(t)
				d.recordDespite(t, d.open(t), fault, payloads)
			})
		}
	}
}

// releaseLater ends a stall after the client has given up.
func releaseLater(t *testing.T, injected *tdstest.Injected) {
	t.Cleanup(injected.Release)
	go func() {
		select {
		case <-injected.Struck():
		case <-t.Context().Done():
		}
		time.Sleep(1200 * time.Millisecond)
		injected.Release()
	}()
}

// recordDespite records the batch despite a transient fault.
func (d *double) recordDespite(t *testing.T, c *Catalog, fault tdstest.Fault, payloads bool) {
	t.Helper()
	injected := d.Inject(fault)
	// Drop the connections, so that new ones meet the fault.
	if fault.At == tdstest.AtLogin || fault.Match == "/* ingest: session */" {
		c.engine.usual.drop()
	}
	releaseLater(t, injected)
	for range 2 { // a caller may repeat a batch
		if err := d.record(t.Context(), c, payloads); err != nil {
			t.Fatal(err)
		}
		d.check(t, payloads, true)
	}
	if times := max(fault.Times, 1); fault != transientFaults["none"] && injected.Fired() != times {
		t.Errorf("the fault struck %d times, want %d", injected.Fired(), times)
	}
}

// An error that arrives after the only row of an answer is not lost.
func TestErrorAfterTheRow(t *testing.T) {
	for _, statement := range []string{"add-tensor-segments", "reconcile", "count-atoms", "advance", "fence"} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t)
			c := d.open(t)
			late := tdstest.Fault{At: tdstest.InRows, Match: "/* ingest: " + statement + " */", Rows: 1}
			late.Do = tdstest.Slow(200 * time.Millisecond)
			d.Inject(late)
			late.Do = tdstest.Fail(tdstest.Err(1205))
			d.recordDespite(t, c, late, false)
		})
	}
}

// A stalled login delays only the call that needs a new connection.
func TestStalledLogin(t *testing.T) {
	d := newDouble(t)
	c := d.open(t)
	pool := c.engine.usual
	inUse, err := pool.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool.drop() // so that the next call needs a new one
	stalled := d.Inject(tdstest.Fault{At: tdstest.AtLogin, Times: -1, Do: tdstest.Stall()})
	t.Cleanup(stalled.Release)
	waiting := make(chan error, 1)
	go func() {
		conn, err := pool.get(t.Context())
		if err == nil {
			pool.put(conn)
		}
		waiting <- err
	}()
	<-stalled.Struck()
	pool.put(inUse)
	reused, err := pool.get(t.Context())
	if err != nil || reused != inUse {
		t.Errorf("another connection, or %v", err)
	}
	select {
	case err := <-waiting:
		t.Fatalf("waited for the login, which ended with %v", err)
	default:
	}
	pool.put(reused)
	stalled.Release()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

func TestPermanentFaults(t *testing.T) {
	for name, c := range map[string]struct {
		number int32
		hint   string
	}{
		"database full": {1105, "database is full"}, "log full": {9002, "transaction log is full"},
		"no permission": {229, "lacks a permission"},
		"may not":       {262, "schema apply"}, "read-only": {3906, "read-only"}, "no table": {208, "schema check"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t)
			catalog := d.open(t)
			injected := d.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* ingest: add-tensor-segments */",
				Times: 1, Do: tdstest.Fail(tdstest.Err(c.number))})
			err := d.record(t.Context(), catalog, false)
			if err == nil || !strings.Contains(err.Error(), c.hint) || storage.IsTransient(err) {
				t.Errorf("error is %v, want one with %q", err, c.hint)
			}
			if injected.Fired() != 1 {
				t.Errorf("%d attempts", injected.Fired())
			}
			d.check(t, false, false)
			if err := d.record(t.Context(), catalog, false); err != nil { // the fault is over
				t.Fatal(err)
			}
			d.check(t, false, true)
		})
	}
}

func TestOpenRefused(t *testing.T) {
	for name, c := range map[string]struct {
		number int32
		hint   string
	}{
		"wrong database": {4060, "check its name"}, "wrong password": {18456, "check user and password"},
		"firewall": {40615, "firewall"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDouble(t)
			injected := d.Inject(tdstest.Fault{At: tdstest.AtLogin, Times: -1, Do: tdstest.Fail(tdstest.Err(c.number))})
			_, err := Open(t.Context(), d.DSN(), Settings{})
			if err == nil || !strings.Contains(err.Error(), c.hint) || strings.Contains(err.Error(), "Dev-Only") {
				t.Errorf("error is %v, want one with %q", err, c.hint)
			}
			if injected.Fired() != 1 {
				t.Errorf("%d attempts", injected.Fired())
			}
		})
	}
}

func TestDeadlockEveryTime(t *testing.T) {
	d := newDouble(t)
	c := d.open(t)
	injected := d.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* ingest: add-atoms */", Times: -1,
		Do: tdstest.Fail(tdstest.Err(1205))})
	var gaveUp *storage.GaveUpError
	if err := d.record(t.Context(), c, false); !errors.As(err, &gaveUp) || injected.Fired() != 4 {
		t.Errorf("after %d attempts: %v", injected.Fired(), err)
	}
	d.check(t, false, false)
}

func TestLeaseLostAtTheEnd(t *testing.T) {
	d := newDouble(t)
	c := d.open(t)
	d.Handle("/* ingest: fence */", affected(0))
	if err := d.record(t.Context(), c, false); !errors.Is(err, ingest.ErrLeaseLost) {
		t.Errorf("error is %v", err)
	}
	d.check(t, false, false)
}

// Triggers of other programs report rows, too.
func TestTriggersAreNotCounted(t *testing.T) {
	for _, payloads := range []bool{false, true} {
		d := newDouble(t)
		triggered := func(serve tdstest.HandlerFunc) tdstest.HandlerFunc {
			return func(req *tdstest.Request) (tdstest.Result, error) {
				result, err := serve(req)
				result.Triggers = 3
				return result, err
			}
		}
		d.Handle("/* ingest: add-tensor-", triggered(func(req *tdstest.Request) (tdstest.Result, error) {
			return d.addRows(req, true)
		}))
		d.Handle("/* ingest: add-file-", triggered(func(req *tdstest.Request) (tdstest.Result, error) {
			return d.addRows(req, false)
		}))
		d.Handle("/* ingest: advance */", triggered(d.advance))
		c := d.open(t)
		if err := d.record(t.Context(), c, payloads); err != nil {
			t.Fatal(err)
		}
		d.check(t, payloads, true)
		// The lease is lost, but the trigger reports rows.
		d.Handle("/* ingest: fence */", triggered(affected(0)))
		if err := d.record(t.Context(), c, payloads); !errors.Is(err, ingest.ErrLeaseLost) {
			t.Errorf("error is %v", err)
		}
	}
}

// A paused Azure database refuses logins until it has resumed.
func TestOpenOfAPausedDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 20 s, as such a server asks for, not with -short")
	}
	t.Parallel()
	d := newDouble(t)
	injected := d.Inject(tdstest.Fault{At: tdstest.AtLogin, Times: 3, Do: tdstest.Fail(tdstest.Err(40613))})
	c, err := Open(t.Context(), d.DSN(), Settings{})
	if err != nil || injected.Fired() != 3 {
		t.Fatalf("after %d refusals: %v", injected.Fired(), err)
	}
	c.Close()
}

// A cancelled call leaves no partial batch and no connection in doubt.
func TestCancelled(t *testing.T) {
	for name, fault := range map[string]tdstest.Fault{
		"in a statement": {At: tdstest.BeforeEffect, Match: "/* ingest: count-atoms */",
			Do: tdstest.Slow(time.Minute)},
		"during the bulk copy": {At: tdstest.InBulk, Rows: 2, Do: tdstest.Slow(300 * time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t)
			c := d.open(t)
			injected := d.Inject(fault)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-injected.Struck()
				cancel()
			}()
			if err := d.record(ctx, c, false); !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			d.check(t, false, false)
			if err := d.record(t.Context(), c, false); err != nil {
				t.Fatal(err)
			}
			d.check(t, false, true)
		})
	}
}

// Rows that a bulk copy silently lost are noticed.
func TestLostRowsAreNoticed(t *testing.T) {
	d := newDouble(t)
	c := d.open(t)
	d.HandleBulk("#ingest_batch", func(req *tdstest.Request, _ []tdstest.Column, rows [][]any) error {
		table, err := req.Table("#ingest_batch")
		if err != nil {
			return err
		}
		for i := range rows { // columns that are not sent are NULL
			rows[i] = append(rows[i], nil)
		}
		return req.Insert(table, rows[1:]...)
	})
	if err := d.record(t.Context(), c, false); err == nil || !strings.Contains(err.Error(), "5 segments sent") {
		t.Errorf("error is %v", err)
	}
	d.check(t, false, false)
}
