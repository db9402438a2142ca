package sqlserver

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// What has the test binary be a process that takes in a file, with payloads written as files, and be
// killed at that: the
// address of the double, its folder, the file, and after how many steps of what kind it stands still.
const (
	streamerVariable = "INGEST_TEST_STREAMER"
	streamerFolder   = "INGEST_TEST_STREAMER_FOLDER"
	streamerSource   = "INGEST_TEST_STREAMER_SOURCE"
	streamerHalt     = "INGEST_TEST_STREAMER_HALT"
)

// killRows are the rows of the batches that are written at once, together.
const killRows = 4

// streamer is that process.
func streamer(address string) (code int) {
	err := func() error {
		c, err := Open(context.Background(), address, Settings{})
		if err != nil {
			return err
		}
		defer c.Close()
		c.engine.access.files = &folderFiles{folder: os.Getenv(streamerFolder), halt: os.Getenv(streamerHalt)}
		found, err := format.Find(context.Background(), []string{os.Getenv(streamerSource)})
		if err != nil {
			return err
		}
		in := pipeline.Ingester{Catalog: c, StoreAddress: ingest.StoreRows, Parse: format.Parser{}.Parse,
			Options: pipeline.Options{SegmentBytes: ingest.MinSegmentBytes, BatchRows: killRows, Jobs: 1}}
		report, err := in.Run(context.Background(), ingest.JobRequest{Pipeline: "models",
			Source: os.Getenv(streamerSource), Paths: []string{os.Getenv(streamerSource)},
			Holder: ingest.ThisProcess(), TTL: lease.DefaultTTL, HolderDead: ingest.Holder.Dead}, found)
		if err == nil && len(report.Refused) > 0 {
			err = report.Refused[0].Reason
		}
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// folderFiles stands for the driver: it opens what tdstest.Share lends.
type folderFiles struct {
	folder string
	halt   string // the step at which to stand still for ever, and after how many such steps: "write 6"
	mu     sync.Mutex
	steps  map[string]int
}

// step says that the process stands still, once it does.
func (f *folderFiles) step(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.steps == nil {
		f.steps = make(map[string]int)
	}
	f.steps[name]++
	if f.halt == fmt.Sprint(name, " ", f.steps[name]) {
		fmt.Println("halted")
		select {}
	}
}

// Open implements filestream.Files.
func (f *folderFiles) Open(path string, access filestream.Access, token []byte) (filestream.Handle, error) {
	if _, err := os.Stat(filepath.Join(f.folder, "tokens", hex.EncodeToString(token))); err != nil {
		return nil, win32(87)
	}
	name := filepath.Join(f.folder, "files", path[strings.LastIndexByte(path, '\\')+1:])
	flags := os.O_RDONLY
	if access == filestream.Write {
		flags = os.O_WRONLY | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return nil, win32(2)
	}
	f.step("open")
	return &folderFile{file, f}, nil
}

type folderFile struct {
	file  *os.File
	files *folderFiles
}

func (f *folderFile) Read(buffer []byte) (int, error) { return f.file.Read(buffer) }

// Write stands still in the midst of a payload.
func (f *folderFile) Write(data []byte) (int, error) {
	n, err := f.file.Write(data[:len(data)/2])
	if err != nil {
		return n, err
	}
	f.files.step("write")
	m, err := f.file.Write(data[n:])
	return n + m, err
}

func (f *folderFile) Flush() error { f.files.step("flush"); return nil }

func (f *folderFile) Close() error {
	err := f.file.Close()
	f.files.step("close")
	return err
}

// killTest is a double of the server, and a file that takes several batches.
type killTest struct {
	*testing.T
	*tdstest.Server
	*tables.Tables
	folder, source string
	content        []byte
}

func newKillTest(t *testing.T) *killTest {
	folder := t.TempDir()
	k := &killTest{T: t, Server: tdstest.Start(t), folder: filepath.Join(folder, "share"),
		source: filepath.Join(folder, "source")}
	k.Tables = tables.New(t, k.Server, k.folder)
	k.Tables.Share.AnyLogin = true
	for i := range 10*ingest.MinSegmentBytes/32 + 1 {
		digest := ingest.Sum(fmt.Append(nil, i))
		k.content = append(k.content, digest[:]...)
	}
	if err := os.WriteFile(k.source, k.content, 0o666); err != nil {
		t.Fatal(err)
	}
	return k
}

// process is a streamer that has not begun yet.
func (k *killTest) process(halt string) *exec.Cmd {
	c := exec.CommandContext(k.Context(), os.Args[0])
	c.Env = append(os.Environ(), streamerVariable+"="+k.DSN(), streamerFolder+"="+k.folder, streamerSource+"="+k.source,
		streamerHalt+"="+halt)
	c.Stderr = new(bytes.Buffer)
	return c
}

// complete has a streamer take in the file to its end.
func (k *killTest) complete() {
	k.Helper()
	c := k.process("")
	if err := c.Run(); err != nil {
		k.Fatalf("%v\n%s", err, c.Stderr)
	}
}

// recorded compares the payloads that are there with the file, from its start, and returns how far they go.
func (k *killTest) recorded() (bytes int64) {
	k.Helper()
	if !k.WaitIdle(time.Minute) {
		k.Error("a transaction is open")
	}
	if left, err := os.ReadDir(filepath.Join(k.folder, "files")); err != nil || len(left) > 0 {
		k.Errorf("files that were lent are there: %v, %v", left, err)
	}
	c := open(k.T, k.DSN())
	for model, err := range c.Models(k.Context()) {
		if err != nil {
			k.Fatal(err)
		}
		for piece, err := range c.Segments(k.Context(), model.Files[0].ID, 0) {
			if err != nil {
				k.Fatal(err)
			}
			payload := make([]byte, piece.Bytes)
			err = c.ReadPayload(k.Context(), piece, payload)
			if err != nil || piece.Offset != bytes || string(payload) != string(k.content[bytes:bytes+piece.Bytes]) {
				k.Fatalf("the segment at %d, of %d bytes, after %d: %d bytes, %v", piece.Offset, piece.Bytes, bytes,
					len(payload), err)
			}
			bytes += piece.Bytes
		}
		if model.Files[0].Recorded != bytes {
			k.Errorf("%d bytes are recorded, and %d are there", model.Files[0].Recorded, bytes)
		}
	}
	if err := c.Audit(k.Context()); err != nil {
		k.Error(err)
	}
	return bytes
}

// TestFilesKilled kills the process that writes payloads as files, in the midst of a batch: nothing of
// that one is there, all
// of those before it, and the next run completes the file.
func TestFilesKilled(t *testing.T) {
	for step, number := range map[string]int{"open": 5, "write": 6, "flush": 7, "close": 8} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k := newKillTest(t)
			c := k.process(fmt.Sprint(step, " ", number))
			said, err := c.StdoutPipe()
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(said, make([]byte, len("halted")))
			c.Process.Kill()
			c.Wait()
			if err != nil {
				t.Fatalf("it did not come that far: %v\n%s", err, c.Stderr)
			}
			want := int64((number-1)/killRows*killRows) * ingest.MinSegmentBytes
			if got := k.recorded(); got != want {
				t.Errorf("%d bytes are there, and the batches before the one that was killed have %d", got, want)
			}
			k.complete()
			if got := k.recorded(); got != int64(len(k.content)) {
				t.Errorf("%d bytes are there, want %d", got, len(k.content))
			}
		})
	}
}
