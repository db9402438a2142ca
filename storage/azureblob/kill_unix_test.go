//go:build unix

package azureblob

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

const killedSize = 4 << 20 // 64 blocks

// uploader opens the store for the uploads.
func uploader(t *testing.T, address string) *Store {
	t.Helper()
	return openStore(t, address, Settings{BlockBytes: 64 << 10, Workers: 3, Policy: quick, CapMbps: 1e6})
}

// TestKilledChild is the upload that TestKill kills.
func TestKilledChild(t *testing.T) {
	address, path := os.Getenv("INGEST_TEST_KILL_ADDRESS"), os.Getenv("INGEST_TEST_KILL_FILE")
	if address == "" {
		t.Skip("no upload is named for it: it runs only as the child of TestKill")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := uploader(t, address)
	file := bytes.NewReader(content)
	if _, err := s.PutFile(t.Context(), "", ingest.Sum(content), file, int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

// TestKill kills a process between two blocks repeatedly, and counts the blocks. Only blocks whose
// answers were lost are sent again.
func TestKill(t *testing.T) {
	clearEnvironment(t)
	var blocks atomic.Int64
	var killAt, commits atomic.Int64
	reached := make(chan struct{}, 100)
	p := newProxy(t, counting(&blocks, func(r *http.Request) deed {
		if isCommit(r) {
			commits.Add(1)
		}
		if isBlock(r) && blocks.Load() >= killAt.Load() {
			reached <- struct{}{}
			return silent
		}
		return nil
	}))
	content := randomBytes(killedSize, 8)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	address := throughHost(t, p.host) + "/" + newContainer()
	for _, at := range []int64{10, 25, 40} {
		killAt.Store(at)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$")
		child.Env = append(os.Environ(), "INGEST_TEST_KILL_ADDRESS="+address, "INGEST_TEST_KILL_FILE="+path)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-reached:
		case <-time.After(30 * time.Second):
			t.Error("the child ended too early")
		}
		_ = child.Process.Kill()
		_ = child.Wait()
		for len(reached) > 0 {
			<-reached
		}
	}
	killAt.Store(1 << 40)
	before := blocks.Load()
	s := uploader(t, address)
	stored, err := s.PutFile(t.Context(), "", ingest.Sum(content), bytes.NewReader(content), killedSize)
	if err != nil {
		t.Fatal(err)
	}
	// Each kill may lose the blocks that the workers were sending, and at first there is no container.
	t.Logf("64 blocks: %d before the last start, %d after it, %d commits", before, blocks.Load()-before, commits.Load())
	if extra := blocks.Load() - 64; extra < 0 || extra > 4*3 || commits.Load() != 1 {
		t.Errorf("%d blocks were sent for 64, and %d commits", blocks.Load(), commits.Load())
	}
	wantStored(t, openStore(t, address, Settings{}), stored, content)
}
