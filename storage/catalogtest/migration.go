package catalogtest

import (
	"context"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// moves returns moves of all segments of a model, with addresses and payloads.
func (r *run) moves(e *ingest.Entry) (all []ingest.Move) {
	r.Helper()
	for _, f := range e.Files {
		for _, s := range list(r.T, r.Segments(r.Context(), f.ID, 0)) {
			m := ingest.Move{Segment: s, Address: segmentAddress(s.Digest, s.Bytes)}
			if s.InRow {
				m.Payload = r.payload(s)
			}
			all = append(all, m)
		}
	}
	return all
}

type moveVerb func(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error)

// move checks that a verb changes so many rows, and none when it is repeated.
func (r *run) move(what string, verb moveVerb, moves []ingest.Move, changed int) {
	r.Helper()
	for _, n := range []int{changed, 0} {
		moved, err := verb(r.Context(), r.lease, moves)
		must(r.T, err)
		want(r.T, "rows", len(moved), len(moves))
		got := 0
		for _, one := range moved {
			if one {
				got++
			}
		}
		want(r.T, what, got, n)
	}
}

// places checks whether each segment is in its row, and whether it has an address.
func (r *run) places(e *ingest.Entry, inRow, addressed bool) []ingest.Move {
	r.Helper()
	all := r.moves(e)
	for _, m := range all {
		s := m.Segment
		want(r.T, "in its row", s.InRow, inRow)
		at := ingest.Address{}
		if addressed {
			at = segmentAddress(s.Digest, s.Bytes)
		}
		want(r.T, "address", s.Address.URI, at.URI)
		want(r.T, "tag", s.Address.ETag, at.ETag)
		want(r.T, "encoding", s.Address.Encoding, at.Encoding)
		needed, err := r.Referenced(r.Context(), []ingest.Digest{s.Digest})
		must(r.T, err)
		want(r.T, "names that gc keeps", len(needed[s.Digest]) > 0, addressed)
	}
	r.check()
	return all
}

// withPayload adds the payloads of others to moves.
func withPayload(moves, others []ingest.Move) []ingest.Move {
	for i := range moves {
		moves[i].Payload = others[i].Payload
	}
	return moves
}

var migrationTests = []test{
	{name: "payloads move to a store and back", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		first := r.places(e, true, false)
		n := len(first)
		r.move("rows with an address", r.AddAddresses, first, n)
		both := r.places(e, true, true)
		r.move("rows emptied", r.ClearPayloads, both, n)
		stored := r.places(e, false, true)
		r.move("rows filled", r.AddPayloads, withPayload(stored, first), n)
		both = r.places(e, true, true)
		r.move("addresses removed", r.ClearAddresses, both, n)
		last := r.places(e, true, false)
		for i := range last {
			want(t, "payload", string(last[i].Payload), string(first[i].Payload))
		}
	}},
	{name: "a changed row is skipped", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		first := r.moves(e)
		r.move("a row with an address", r.AddAddresses, first, 1)
		both := r.moves(e)
		other := r.moves(e)
		other[0].Address.URI = "dir:elsewhere"
		r.move("a row that has an address already", r.AddAddresses, other, 0)
		other[0].Segment.Address.URI = "dir:elsewhere"
		r.move("a row with another address", r.ClearPayloads, other, 0)
		r.move("a row with another address", r.ClearAddresses, other, 0)
		r.move("a row that is full", r.AddPayloads, both, 0)
		r.move("an emptied row", r.ClearPayloads, both, 1)
		r.move("a row without its payload", r.ClearAddresses, both, 0)
		other[0].Payload = first[0].Payload
		r.move("a row with another address", r.AddPayloads, other, 0)
		r.move("a row that has an address already", r.AddAddresses, first, 0)
		r.places(e, false, true)
		gone := r.moves(e)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		r.move("a row that is gone", r.AddPayloads, withPayload(gone, first), 0)
	}},
	{name: "a row whose address changes in name or letters is skipped", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for _, change := range []string{`BlobName = UPPER(BlobName)`, `BlobName = NULL`, `BlobUri = UPPER(BlobUri)`} {
			e := r.fillRows(newWork(change, gguf("/m.gguf", change), small("/t", change, ingest.Template)))
			r.move("rows with an address", r.AddAddresses, r.moves(e), len(r.moves(e)))
			both := r.moves(e)
			for _, table := range byHand(t, r.Catalog).AddressTables() {
				r.exec(`UPDATE ` + table + ` SET ` + change)
			}
			r.move("rows with another address", r.ClearPayloads, both, 0)
			r.move("rows with another address", r.ClearAddresses, both, 0)
		}
	}},
	{name: "a row with its payload and a shared address gets the new address", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a, b := r.fillRows(newWork("m", template("/t"))), r.fillRows(newWork("n", template("/u")))
		for _, e := range []*ingest.Entry{a, b} {
			r.move("rows with an address", r.AddAddresses, r.moves(e), 1)
		}
		r.move("rows emptied", r.ClearPayloads, r.moves(a), 1)
		for _, e := range []*ingest.Entry{a, b} {
			s := r.moves(e)[0].Segment
			to := otherAddress(s)
			want(t, "payloads in rows", r.stored(b.ID)[0].InRow, true)
			must(t, r.Relocate(t.Context(), r.lease, s, to))
			want(t, "address", r.stored(a.ID)[0].Address, to)
			want(t, "address of the other", r.stored(b.ID)[0].Address, to)
			want(t, "names", r.neededAs(s.Digest), to.Name)
			r.check()
		}
		want(t, "payloads in rows", r.stored(b.ID)[0].InRow, false)
	}},
	{name: "a payload with another digest is neither written nor cleared", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		first := r.moves(e)
		r.move("a row with an address", r.AddAddresses, first, 1)
		damaged := append([]byte(nil), first[0].Payload...)
		damaged[3] ^= 1
		byHand(t, r.Catalog).Overwrite(t, first[0].Segment, damaged)
		both := r.moves(e)
		r.move("a damaged row", r.ClearPayloads, both, 0)
		r.move("a damaged row", r.ClearAddresses, both, 0)
		both[0].Payload = damaged
		_, err := r.AddPayloads(t.Context(), r.lease, both)
		wantError(t, err, "a payload with another digest")
		both[0].Address = ingest.Address{}
		_, err = r.AddAddresses(t.Context(), r.lease, both)
		wantError(t, err, "an empty address")
	}},
	{name: "nothing moves after the lease is lost", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		moves := r.moves(e)
		lost := r.lease
		lost.Token--
		for _, verb := range []moveVerb{r.AddAddresses, r.AddPayloads, r.ClearPayloads, r.ClearAddresses} {
			_, err := verb(t.Context(), lost, moves)
			wantIs(t, err, ingest.ErrLeaseLost)
		}
		r.places(e, true, false)
	}},
}
