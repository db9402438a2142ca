package azureblob

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Workers keep their connections: opening one costs more than a call.
func TestConnectionsFitTheWorkers(t *testing.T) {
	clearEnvironment(t)
	const workers = 24
	var made atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := openStore(t, server.URL+"/devstoreaccount1/pool", Settings{Workers: workers})
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range 20 {
				p := randomBytes(lookFirst, uint64(w*100+i))
				if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := made.Load(); n > 2*workers {
		t.Errorf("%d connections for %d workers and %d calls", n, workers, workers*20*2)
	}
}

// endless is a file of which every byte is the same.
type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestPutFileMemory sends a file in many blocks and measures the memory that all goroutines
// allocate.
func TestPutFileMemory(t *testing.T) {
	clearEnvironment(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method != http.MethodPut {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	s := openStore(t, server.URL+"/devstoreaccount1/frugal", Settings{Workers: 4, BlockBytes: 256 << 10})
	const size = 64 << 20
	digest := ingest.Sum(make([]byte, size))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.PutFile(t.Context(), "", digest, endless{}, size); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 40<<20 {
		t.Errorf("%d MiB were allocated for a file of 64 MiB and five blocks of 256 KiB", used>>20)
	}
}
