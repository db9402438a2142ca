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

// A payload that is damaged in its row is written anew as a file, under the transaction that takes away
// the row's address.
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
	for piece, err := range c.Segments(t.Context(), model.Files[0].ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		payload := k.content[piece.Offset : piece.Offset+piece.Bytes]
		var changed int
		k.Row(k.Server, fmt.Sprintf("UPDATE FileSegments SET RawPayload = x'00', BlobUri = 'dir:gone' WHERE "+
			"FileSegmentId = %d RETURNING 1", piece.RowID), &changed)
		k.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* ingest: token */", Do: tdstest.Reset()})
		if err := c.ReplacePayload(t.Context(), lease, piece, payload); err != nil {
			t.Fatal(err)
		}
		k.Row(k.Server, fmt.Sprintf("SELECT COUNT(*) FROM FileSegments WHERE FileSegmentId = %d AND BlobUri IS NULL",
			piece.RowID), &changed)
		got := make([]byte, piece.Bytes)
		if err := c.ReadPayload(t.Context(), piece, got); err != nil || !bytes.Equal(got, payload) || changed != 1 {
			t.Errorf("the segment at %d: %d bytes, %v; %d rows without an address", piece.Offset, len(got), err,
				changed)
		}
		piece.RowID = 99
		if err := c.ReplacePayload(t.Context(), lease, piece, payload); !errors.Is(err, ingest.ErrNotFound) {
			t.Errorf("a row that is gone: %v", err)
		}
	}
	if files.steps["write"] != 11 || files.steps["open"] != 22 {
		t.Errorf("steps %v: 11 payloads were to be written and read as files", files.steps)
	}
	if got := k.recorded(); got != int64(len(k.content)) {
		t.Errorf("%d bytes are there, want %d", got, len(k.content))
	}
}
