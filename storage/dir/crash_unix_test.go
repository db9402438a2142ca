//go:build unix

package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// childRoot makes the test binary a process that writes until it is killed or its stdin ends.
const childRoot = "INGEST_TEST_DIR_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		go func() { // the test may be killed, too
			io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
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
	log, err := os.OpenFile(
		filepath.Join(root, fmt.Sprint("reported.", os.Getpid())),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY,
		0o600,
	)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		p := aligned(len(crashPayload(i)))
		copy(p, crashPayload(i))
		if _, err := s.Put(context.Background(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
			panic(err)
		}
		// The parent expects every reported payload to be stored.
		if _, err := fmt.Fprintln(log, i); err != nil {
			panic(err)
		}
		if i == 0 {
			fmt.Println("reported")
		}
	}
}

// Processes are killed at random times while two write the same payloads. Every file named by a
// digest must be whole, and every reported payload stored.
func TestKilledWhileWriting(t *testing.T) {
	root := t.TempDir()
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		writers := []*writer{startWriter(t, root), startWriter(t, root)}
		if round%3 != 2 { // on a busy machine, the first payload may take long
			writers[round%2].awaitReport(t)
		}
		time.Sleep(time.Duration(60+17*round) * time.Millisecond)
		for _, writer := range writers {
			_ = writer.Process.Kill()
			_ = writer.Wait()
			if writer.ProcessState.Exited() {
				t.Errorf("a writer ended before it was killed: %v", writer.ProcessState)
			}
		}
	}
	s := open(t, root)
	whole, temporary := 0, 0
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if object.Digest.IsZero() {
			temporary++
			continue
		}
		got, err := get(t, s, object.Digest, ingest.Address{Bytes: object.Bytes})
		if err != nil || ingest.Sum(got) != object.Digest {
			t.Errorf("%s holds %d bytes of other content, %v", object.Name, object.Bytes, err)
		}
		whole++
	}
	reported := reportedPayloads(t, root)
	for i := range reported {
		p := crashPayload(i)
		if got, err := get(t, s, ingest.Sum(p), ingest.Address{Bytes: int64(len(p))}); err != nil ||
			!bytes.Equal(got, p) {
			t.Errorf("payload %d was reported as stored, but has %d of %d bytes, %v", i, len(got), len(p), err)
		}
	}
	if len(reported) == 0 {
		t.Error("the processes reported nothing")
	}
	t.Logf("%d kills: %d payloads reported, %d stored, %d temporary files", 2*rounds, len(reported), whole, temporary)
}

// writer is a process that writes payloads.
type writer struct {
	*exec.Cmd
	stdout io.Reader
}

// startWriter starts a writer. It ends with the test at the latest.
func startWriter(t *testing.T, root string) *writer {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRoot+"="+root)
	c.Stderr = os.Stderr
	_, err := c.StdinPipe()
	stdout, err2 := c.StdoutPipe()
	if err := errors.Join(err, err2, c.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return &writer{c, stdout}
}

// awaitReport waits until the writer has reported a payload.
func (w *writer) awaitReport(t *testing.T) {
	t.Helper()
	if _, err := io.ReadFull(w.stdout, make([]byte, 1)); err != nil {
		t.Fatalf("a writer ended before it reported a payload: %v", err)
	}
}

// reportedPayloads reads the logs of all writers. A partial line is no report.
func reportedPayloads(t *testing.T, root string) map[int]bool {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(root, "reported.*"))
	if err != nil {
		t.Fatal(err)
	}
	reported := map[int]bool{}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			number, ended := strings.CutSuffix(line, "\n")
			if !ended {
				continue
			}
			i, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			reported[i] = true
		}
	}
	return reported
}

// Opening a pipe would block.
func TestPipeForAPayload(t *testing.T) {
	s := open(t, t.TempDir())
	digest, address := put(t, s, nil)
	if err := os.Remove(s.payload(raw(digest))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(s.payload(raw(digest)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, s, digest, address); err == nil || errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a pipe: %v", err)
	}
	put(t, s, nil)
	if _, err := get(t, s, digest, address); err != nil {
		t.Errorf("after Put: %v", err)
	}
}
