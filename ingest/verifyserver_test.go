package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// hasher stands for a server that hashes what is in its rows.
type hasher struct{ rows ingest.RowStore }

func (h hasher) HashPayload(ctx context.Context, piece ingest.StoredSegment) (ingest.Digest, error) {
	payload, err := h.rows.ReadPayload(ctx, piece, nil)
	return ingest.Sum(payload), err
}

// unread is a RowStore whose payloads may not be read.
type unread struct {
	ingest.RowStore
	t *testing.T
}

func (u unread) ReadPayload(_ context.Context, piece ingest.StoredSegment, _ []byte) ([]byte, error) {
	u.t.Errorf("payload %d was read", piece.Ordinal)
	return nil, errFault
}

// probed is a store whose payloads may not be read, and that tells without.
type probed struct {
	ingest.Store
	t *testing.T
}

func (p probed) Get(context.Context, ingest.Digest, ingest.Address, int64, []byte) error {
	p.t.Error("a payload was read")
	return errFault
}

func (p probed) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	payload := make([]byte, address.Bytes)
	err := p.Store.Get(ctx, digest, address, 0, payload)
	if err == nil && ingest.Sum(payload) != digest {
		err = errors.New("it differs")
	}
	return err == nil, err
}

// TestVerifyOnServer: what a server, or a store, can tell of payloads is not read, and all that is wrong is found, named and
// repaired as it is otherwise.
func TestVerifyOnServer(t *testing.T) {
	path := create(t, filepath.Join(t.TempDir(), "motley.gguf"), motley())
	content, err := os.ReadFile(path)
	must(t, err)
	eachHome(t, func(t *testing.T, h *home) {
		h.take(t, file(path))
		f := onlyModel(t, h).Files[0]
		piece := h.pieces(t, f)[3]
		payloads := h.payloads()
		rows := payloads.Rows
		payloads.Rows = unread{rows, t}
		if h.memory != nil {
			payloads.Store = probed{h.memory, t}
		}
		verify := func(repair []byte) (all []ingest.Damage) {
			t.Helper()
			v := ingest.Verifier{Catalog: h.catalog, Payloads: payloads, Options: few, Server: hasher{rows}, Progress: &ingest.Progress{}}
			if repair != nil {
				v.Repair = bytes.NewReader(repair)
			}
			must(t, v.Verify(t.Context(), f, func(d ingest.Damage) { all = append(all, d) }))
			if n := v.Progress.BytesRecorded.Load(); n != f.Bytes {
				t.Errorf("%d bytes verified of %d", n, f.Bytes)
			}
			return all
		}
		for name, spoil := range spoils {
			if all := verify(nil); len(all) != 0 {
				t.Fatalf("before %s: %v", name, all)
			}
			h.spoil(t, piece, spoil(bytes.Clone(content[piece.Offset:piece.Offset+piece.Bytes])))
			wantDamage(t, verify(nil), piece, name == "missing", false)
			wantDamage(t, verify(content), piece, name == "missing", true)
		}
		h.giveBack(t)
	})
}

// TestVerifyOnServerReads: of a store that cannot tell, payloads are read, and the file as a whole is hashed.
func TestVerifyOnServerReads(t *testing.T) {
	h := storeHome(t)
	h.take(t, file(blob(t, filepath.Join(t.TempDir(), "blob"), 2*mib, 1)))
	f := onlyModel(t, h).Files[0]
	f.Digest[0]++
	v := ingest.Verifier{Catalog: h.catalog, Payloads: h.payloads(), Options: few, Server: hasher{h.payloads().Rows}}
	var all []ingest.Damage
	must(t, v.Verify(t.Context(), f, func(d ingest.Damage) { all = append(all, d) }))
	var mismatch *ingest.MismatchError
	if len(all) != 1 || !errors.As(all[0].Reason, &mismatch) {
		t.Errorf("damage %+v", all)
	}
}
