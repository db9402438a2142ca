package sqlserver

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// A damaged payload is replaced through a file, in the transaction that clears the row's address.
func TestFilesReplaced(t *testing.T) {
	k := newKillTest(t)
	k.complete()
	c := open(t, k.DSN())
	files := &folderFiles{folder: k.folder}
	c.engine.access.files = files
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "verify", Source: "x", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	model, err := c.Model(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range c.Segments(t.Context(), model.Files[0].ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		payload := k.content[s.Offset : s.Offset+s.Bytes]
		var changed int
		k.Row(k.Server, fmt.Sprintf("UPDATE FileSegments SET RawPayload = x'00', BlobUri = 'dir:gone' WHERE "+
			"FileSegmentId = %d RETURNING 1", s.RowID), &changed)
		k.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* ingest: token */", Do: tdstest.Reset()})
		if err := c.ReplacePayload(t.Context(), lease, s, payload); err != nil {
			t.Fatal(err)
		}
		k.Row(k.Server, fmt.Sprintf("SELECT COUNT(*) FROM FileSegments WHERE FileSegmentId = %d AND BlobUri IS NULL",
			s.RowID), &changed)
		got := make([]byte, s.Bytes)
		if err := c.ReadPayload(t.Context(), s, got); err != nil || !bytes.Equal(got, payload) || changed != 1 {
			t.Errorf("the segment at %d: %d bytes, %v; %d rows without an address", s.Offset, len(got), err, changed)
		}
		s.RowID = 99
		if err := c.ReplacePayload(t.Context(), lease, s, payload); !errors.Is(err, ingest.ErrNotFound) {
			t.Errorf("a missing row: %v", err)
		}
	}
	if files.steps["write"] != 11 || files.steps["open"] != 22 {
		t.Errorf("steps %v: want 11 payloads written and read as files", files.steps)
	}
	if got := k.recorded(); got != int64(len(k.content)) {
		t.Errorf("%d bytes are stored, want %d", got, len(k.content))
	}
}
