package azureblob

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
