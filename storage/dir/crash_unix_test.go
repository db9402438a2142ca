//go:build unix

package dir

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// childRoot tells the test binary to be a process that writes until it is killed.
const childRoot = "INGEST_TEST_DIR_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		writeForever(root)
	}
	os.Exit(m.Run())
}

// crashPayload is the i-th payload of the writing process.
func crashPayload(i int) []byte { return bytes.Repeat([]byte(strconv.Itoa(i)+"."), 40_000) }

func writeForever(root string) {
	s, err := Open(root)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		p := aligned(len(crashPayload(i)))
		copy(p, crashPayload(i))
		if _, err := s.Put(context.Background(), ingest.Sum(p), p); err != nil {
			panic(err)
		}
		// The parent holds us to this: what was reported is there.
		if err := os.WriteFile(filepath.Join(root, "reported"), []byte(strconv.Itoa(i)), 0o600); err != nil {
			panic(err)
		}
	}
}

// TestKilledWhileWriting kills processes at random instants: two write the same
// payloads at once, and whatever has a digest for a name is whole.
func TestKilledWhileWriting(t *testing.T) {
	root := t.TempDir()
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		var writers []*exec.Cmd
		for range 2 {
			writer := exec.Command(os.Args[0])
			writer.Env = append(os.Environ(), childRoot+"="+root)
			if err := writer.Start(); err != nil {
				t.Fatal(err)
			}
			writers = append(writers, writer)
		}
		time.Sleep(time.Duration(60+17*round) * time.Millisecond)
		for _, writer := range writers {
			_ = writer.Process.Kill()
			_ = writer.Wait()
		}
	}
	s := open(t, root)
	whole, remains := 0, 0
	for stray, err := range s.Sweep(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if stray.Digest.IsZero() {
			remains++
			continue
		}
		got, err := s.Get(t.Context(), stray.Digest, ingest.Address{Bytes: stray.Bytes}, nil)
		if err != nil || ingest.Sum(got) != stray.Digest {
			t.Errorf("%s holds %d bytes that are not its own, %v", stray.Name, stray.Bytes, err)
		}
		whole++
	}
	t.Logf("%d kills: %d whole payloads, %d remains", 2*rounds, whole, remains)
	if text, err := os.ReadFile(filepath.Join(root, "reported")); err != nil || whole == 0 {
		t.Errorf("the processes wrote nothing: %v", err)
	} else if n, _ := strconv.Atoi(string(text)); whole < n {
		t.Errorf("%d payloads were reported as stored, %d are there", n+1, whole)
	}
}

// TestPipeForAPayload would hang if the pipe were opened.
func TestPipeForAPayload(t *testing.T) {
	s := open(t, t.TempDir())
	digest, address := put(t, s, nil)
	if err := os.Remove(s.payload(digest)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(s.payload(digest), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), digest, address, nil); err == nil || errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a pipe: %v", err)
	}
	put(t, s, nil)
	if _, err := s.Get(t.Context(), digest, address, nil); err != nil {
		t.Errorf("after Put: %v", err)
	}
}
