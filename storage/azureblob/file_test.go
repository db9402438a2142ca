package azureblob

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/hartonomous/ingest/ingest"
)

func isBlock(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Get("comp") == "block"
}

func isCommit(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Get("comp") == "blocklist"
}

// counting counts the blocks that reach Azurite, and calls next.
func counting(n *atomic.Int64, next func(*http.Request) deed) func(*http.Request) deed {
	return func(r *http.Request) deed {
		var d deed
		if next != nil {
			d = next(r)
		}
		if d == nil && isBlock(r) {
			n.Add(1)
		}
		return d
	}
}

func fileStore(t *testing.T, p *proxyServer) *Store {
	t.Helper()
	clearEnvironment(t)
	settings := Settings{BlockBytes: 64 << 10, Workers: 3, Policy: quick}
	s := openStore(t, throughHost(t, p.host)+"/"+newContainer(), settings)
	if err := s.makeContainer(t.Context()); err != nil { // otherwise the first blocks fail
		t.Fatal(err)
	}
	return s
}

func TestPutFile(t *testing.T) {
	var blocks atomic.Int64
	s := fileStore(t, newProxy(t, counting(&blocks, nil)))
	for size, want := range map[int]int64{0: 0, 1: 0, 64 << 10: 0, 64<<10 + 1: 2, 1 << 20: 16, 1<<20 + 7: 17} {
		content := randomBytes(size, uint64(size))
		for _, n := range []int64{want, 0} { // the second call sends nothing
			blocks.Store(0)
			address, err := s.PutFile(t.Context(), "", ingest.Sum(content), bytes.NewReader(content), int64(size))
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if blocks.Load() != n {
				t.Errorf("%d bytes: %d blocks, want %d", size, blocks.Load(), n)
			}
			wantStored(t, s, address, content)
		}
	}
}

func TestPutFileFaults(t *testing.T) {
	for name, choose := range map[string]func(*http.Request) deed{
		"blocks cut":                  firstOf(3, isBlock, cutBody),
		"answers of blocks lost":      firstOf(3, isBlock, dropAnswer),
		"503 for blocks":              firstOf(3, isBlock, say(503, "ServerBusy")),
		"commit cut":                  firstOf(2, isCommit, cutBody),
		"answer of the commit lost":   firstOf(2, isCommit, dropAnswer),
		"commit landed, answered 500": firstOf(2, isCommit, after(say(500, "InternalError"))),
	} {
		t.Run(name, func(t *testing.T) {
			s := fileStore(t, newProxy(t, choose))
			content := randomBytes(1<<20+5, 3)
			address, err := s.PutFile(t.Context(), "", ingest.Sum(content), bytes.NewReader(content),
				int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, s, address, content)
		})
	}
}

// TestPutFileResumes interrupts an upload, and checks that another one sends only the missing
// blocks.
func TestPutFileResumes(t *testing.T) {
	var blocks atomic.Int64
	broken := true
	p := newProxy(t, counting(&blocks, func(r *http.Request) deed {
		if broken && isBlock(r) && blocks.Load() >= 10 {
			return say(403, "AuthorizationFailure")
		}
		return nil
	}))
	s := fileStore(t, p)
	content := randomBytes(2<<20, 4)
	digest := ingest.Sum(content)
	if _, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content))); err == nil {
		t.Fatal("the upload was not interrupted")
	}
	sent := blocks.Load()
	if _, err := s.head(t.Context(), payloadName(digest)); !isMissing(err) {
		t.Errorf("an unfinished file is visible: %v", err)
	}
	broken = false
	address, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	// Blocks that the other workers were sending may be lost.
	if extra := blocks.Load() - 32; extra < 0 || extra > 2 {
		t.Errorf("%d blocks before and %d after: want 32 together", sent, blocks.Load()-sent)
	}
	wantStored(t, s, address, content)
}

// TestPutFileRefusesAnotherFile checks that a file with another digest is not stored, nor blocks of
// it.
func TestPutFileRefusesAnotherFile(t *testing.T) {
	var blocks atomic.Int64
	s := fileStore(t, newProxy(t, counting(&blocks, nil)))
	content := randomBytes(1<<20, 5)
	wrong := bytes.Clone(content)
	wrong[700_000]++
	var mismatch *ingest.MismatchError
	for _, size := range []int{1 << 20, 1000} {
		digest := ingest.Sum(content[:size])
		other := wrong[:size]
		if size == 1000 {
			other = wrong[1:1001]
		}
		_, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(other), int64(size))
		if !errors.As(err, &mismatch) || mismatch.Want != digest {
			t.Errorf("another file of %d bytes: %v", size, err)
		}
		if _, err := s.head(t.Context(), payloadName(digest)); !isMissing(err) {
			t.Errorf("another file of %d bytes is stored under the digest: %v", size, err)
		}
	}
	blocks.Store(0)
	address, err := s.PutFile(t.Context(), "", ingest.Sum(content), bytes.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n := blocks.Load(); n < 1 || n > 3 { // the wrong one, and those that were being sent
		t.Errorf("%d blocks were sent, and one was wrong", n)
	}
	wantStored(t, s, address, content)
	_, err = s.PutFile(t.Context(), "", ingest.Sum(nil), strings.NewReader("short"), 1<<20)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that is too short: %v", err)
	}
}

// TestPutFileAmongForeignBlocks checks that uncommitted blocks of another program, with IDs of
// another length, are discarded.
func TestPutFileAmongForeignBlocks(t *testing.T) {
	s := fileStore(t, newProxy(t, func(*http.Request) deed { return nil }))
	content := randomBytes(1<<20, 6)
	digest := ingest.Sum(content)
	foreign := s.container.NewBlockBlobClient(payloadName(digest))
	block := streaming.NopCloser(strings.NewReader("foreign"))
	if _, err := foreign.StageBlock(t.Context(), "QUJD", block, nil); err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Clone(content)
	wrong[5]++
	var mismatch *ingest.MismatchError
	_, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(wrong), int64(len(wrong)))
	if !errors.As(err, &mismatch) {
		t.Errorf("another file: %v", err)
	}
	if left, err := s.staged(t.Context(), payloadName(digest)); err != nil || len(left) != 1 {
		t.Errorf("a wrong file discarded the blocks of another program: %v, %v", left, err)
	}
	address, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, address, content)
}

// TestPutFileBesideForeignBlocks checks that foreign blocks of an existing blob are not discarded,
// because that would overwrite the blob.
func TestPutFileBesideForeignBlocks(t *testing.T) {
	s := fileStore(t, newProxy(t, func(*http.Request) deed { return nil }))
	content := randomBytes(1<<20, 12)
	digest := ingest.Sum(content)
	before, err := s.send(t.Context(), plainUpload(digest, []byte("of another program"), metadata{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign := s.container.NewBlockBlobClient(payloadName(digest))
	block := streaming.NopCloser(strings.NewReader("foreign"))
	if _, err := foreign.StageBlock(t.Context(), "QUJD", block, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content))); err == nil ||
		!strings.Contains(err.Error(), "blocks of another program") {
		t.Errorf("%v", err)
	}
	if there, err := s.head(t.Context(), payloadName(digest)); err != nil || there.ETag != before.ETag {
		t.Errorf("the blob was written: %+v, %v", there, err)
	}
}

// TestPutFileConcurrently lets another program write other content, or discard the blocks, before
// the commit.
func TestPutFileConcurrently(t *testing.T) {
	content := randomBytes(1<<20, 13)
	digest := ingest.Sum(content)
	for name, change := range map[string]func(s *Store) error{
		"written": func(s *Store) error {
			_, err := s.send(t.Context(), plainUpload(digest, []byte("of another program"), metadata{}), nil)
			return err
		},
		"discarded": func(s *Store) error { return s.discard(t.Context(), payloadName(digest)) },
	} {
		t.Run(name, func(t *testing.T) {
			var direct *Store
			var commits atomic.Int64
			s := fileStore(t, newProxy(t, func(r *http.Request) deed {
				if isCommit(r) && commits.Add(1) == 1 {
					if err := change(direct); err != nil {
						t.Error(err)
					}
				}
				return nil
			}))
			direct = openStore(t, azurite(t)+"/"+s.containerName(), Settings{})
			address, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content)))
			if err != nil || commits.Load() < 2 {
				t.Fatalf("%v after %d commits", err, commits.Load())
			}
			wantStored(t, s, address, content)
		})
	}
}

// TestPutFileOverDamage checks that a damaged blob is replaced, and that two callers can send a
// file at the same time.
func TestPutFileOverDamage(t *testing.T) {
	s := fileStore(t, newProxy(t, func(*http.Request) deed { return nil }))
	content := randomBytes(1<<20, 7)
	digest := ingest.Sum(content)
	u := newUpload(payloadName(digest), ingest.Sum([]byte("damage")), []byte("damage"), metadata{})
	if _, err := s.send(t.Context(), u, nil); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := s.PutFile(t.Context(), "", digest, bytes.NewReader(content), int64(len(content)))
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	wantStored(t, s, ingest.Address{Bytes: int64(len(content))}, content)
}

func TestBlockBytes(t *testing.T) {
	for _, test := range []struct{ size, want int64 }{
		{0, 8 << 20}, {1 << 30, 8 << 20}, {50_000 * (8 << 20), 8 << 20}, {50_000*(8<<20) + 1, 9 << 20},
		{1 << 40, 21 << 20}, {maxFileBytes, maxBlockBytes}, {maxFileBytes + 1, 0},
	} {
		got, err := blockBytes(test.size, 8<<20)
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("%d bytes: blocks of %d, %v", test.size, got, err)
		}
		if err == nil && (test.size+got-1)/got > maxBlocks {
			t.Errorf("%d bytes need too many blocks of %d", test.size, got)
		}
	}
	if _, err := (&Store{}).PutFile(t.Context(), "", ingest.Digest{}, nil, maxFileBytes+1); err == nil ||
		!strings.Contains(err.Error(), "50,000 blocks of 4,000 MiB") {
		t.Errorf("a file beyond the limits: %v", err)
	}
}

// TestFileBuffers checks that large blocks need no more memory than small ones, or that of two
// blocks.
func TestFileBuffers(t *testing.T) {
	for _, test := range []struct {
		workers    int
		block      int64
		want, most int64
	}{
		{8, 8 << 20, 9, 72 << 20}, {64, 8 << 20, 9, 72 << 20}, {3, 8 << 20, 4, 32 << 20}, {1, 8 << 20, 2, 16 << 20},
		{8, 9 << 20, 8, 72 << 20}, {8, 21 << 20, 3, 72 << 20}, {8, 36 << 20, 2, 72 << 20},
		{8, maxBlockBytes, 2, 2 * maxBlockBytes},
	} {
		f := &sending{Store: &Store{workers: test.workers, block: 8 << 20}, block: test.block}
		if n := int64(f.buffers()); n != test.want || n*test.block > test.most {
			t.Errorf("%d workers, blocks of %d: %d buffers, want %d", test.workers, test.block, n, test.want)
		}
	}
}

func TestBlockIDs(t *testing.T) {
	a, b := ingest.Sum([]byte("a")), ingest.Sum([]byte("b"))
	ids := map[string]bool{}
	for _, id := range []string{blockID(a, 8, 0, 1), blockID(b, 8, 0, 1), blockID(a, 9, 0, 1), blockID(a, 8, 1, 1),
		blockID(a, 8, 0, 2)} {
		ids[id] = true
		if len(id) != 72 {
			t.Errorf("%d characters in %s", len(id), id)
		}
	}
	if len(ids) != 5 {
		t.Error("different blocks have the same ID")
	}
}
