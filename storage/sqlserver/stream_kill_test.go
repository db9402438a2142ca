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

// These environment variables make the test binary a process that ingests a file, with payloads
// written as files, and is killed: the address of the double, its folder, the file, and the step at
// which it halts.
const (
	streamerVariable = "INGEST_TEST_STREAMER"
	streamerFolder   = "INGEST_TEST_STREAMER_FOLDER"
	streamerSource   = "INGEST_TEST_STREAMER_SOURCE"
	streamerHalt     = "INGEST_TEST_STREAMER_HALT"
)

// killRows is the number of rows in a batch.
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

// folderFiles replaces the driver: it opens the files of a tdstest.Share.
type folderFiles struct {
	folder string
	halt   string // the step at which to halt forever, and its number: "write 6"
	mu     sync.Mutex
	steps  map[string]int
}

// step halts at the step in halt, after printing a line.
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

// Write halts in the middle of a payload.
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

// killTest is a double of the server, and a file of several batches.
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

// process returns a streamer that has not started.
func (k *killTest) process(halt string) *exec.Cmd {
	c := exec.CommandContext(k.Context(), os.Args[0])
	c.Env = append(os.Environ(), streamerVariable+"="+k.DSN(), streamerFolder+"="+k.folder, streamerSource+"="+k.source,
		streamerHalt+"="+halt)
	c.Stderr = new(bytes.Buffer)
	return c
}

// complete runs a streamer that ingests the file to its end.
func (k *killTest) complete() {
	k.Helper()
	c := k.process("")
	if err := c.Run(); err != nil {
		k.Fatalf("%v\n%s", err, c.Stderr)
	}
}

// recorded compares the stored payloads with the file, and returns how many bytes are stored.
func (k *killTest) recorded() (bytes int64) {
	k.Helper()
	if !k.WaitIdle(time.Minute) {
		k.Error("a transaction is open")
	}
	if left, err := os.ReadDir(filepath.Join(k.folder, "files")); err != nil || len(left) > 0 {
		k.Errorf("files of the share are left: %v, %v", left, err)
	}
	c := open(k.T, k.DSN())
	for model, err := range c.Models(k.Context()) {
		if err != nil {
			k.Fatal(err)
		}
		for s, err := range c.Segments(k.Context(), model.Files[0].ID, 0) {
			if err != nil {
				k.Fatal(err)
			}
			payload := make([]byte, s.Bytes)
			err = c.ReadPayload(k.Context(), s, payload)
			if err != nil || s.Offset != bytes || string(payload) != string(k.content[bytes:bytes+s.Bytes]) {
				k.Fatalf("the segment at %d, of %d bytes, after %d: %d bytes, %v", s.Offset, s.Bytes, bytes,
					len(payload), err)
			}
			bytes += s.Bytes
		}
		if model.Files[0].Recorded != bytes {
			k.Errorf("%d bytes are recorded, but %d are stored", model.Files[0].Recorded, bytes)
		}
	}
	if err := c.Audit(k.Context()); err != nil {
		k.Error(err)
	}
	return bytes
}

// A process is killed while it writes payloads as files: its last batch is not stored, all batches
// before are, and the next run completes the file.
func TestFilesKilled(t *testing.T) {
	for step, number := range map[string]int{"open": 5, "write": 6, "flush": 7, "close": 8} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k := newKillTest(t)
			c := k.process(fmt.Sprint(step, " ", number))
			printed, err := c.StdoutPipe()
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(printed, make([]byte, len("halted")))
			c.Process.Kill()
			c.Wait()
			if err != nil {
				t.Fatalf("it did not reach the step: %v\n%s", err, c.Stderr)
			}
			want := int64((number-1)/killRows*killRows) * ingest.MinSegmentBytes
			if got := k.recorded(); got != want {
				t.Errorf("%d bytes are stored, want the %d of the batches before", got, want)
			}
			k.complete()
			if got := k.recorded(); got != int64(len(k.content)) {
				t.Errorf("%d bytes are stored, want %d", got, len(k.content))
			}
		})
	}
}
