//go:build linux && amd64

package main

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestOldRowsOnServer migrates rows of the old .NET reader to a folder and to blobs, on the double of
// SQL Server.
func TestOldRowsOnServer(t *testing.T) {
	t.Run("dir", func(t *testing.T) { oldRowsTo(t, "dir:"+filepath.Join(t.TempDir(), "store")) })
	for _, layout := range []string{"content", "position"} {
		t.Run(layout, func(t *testing.T) {
			oldRowsTo(t, azurite(t)+"/"+layout+strings.ToLower(rand.Text()), "--blob-layout", layout)
		})
	}
}

func oldRowsTo(t *testing.T, store string, flags ...string) {
	s := newServerDouble(t)
	b := newBox(t, t.TempDir(), true)
	b.server = s
	for _, statement := range append(catalogtest.OldRows,
		`INSERT INTO Models (ModelName, ModelType) VALUES ('old', 'GGUF')`,
		`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName, QuantizationType)
			VALUES (1, 0, 'a', 'F32'), (1, 1, 'b', 'Q8_0')`,
		`INSERT INTO LayerTensorSegments
				(LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, RawPayload)
			SELECT LayerId, 0, 0, 1, QuantizationType, randomblob(100000 * (1 + LayerIdx)) FROM ModelLayers`) {
		s.Exec(s.Server, statement)
	}
	verified := func(args ...string) {
		t.Helper()
		e := b.must(append([]string{"verify", "old", "--store", store}, append(args, flags...)...)...)
		if sum := e.event("summary"); number(sum, "models") != 1 || number(sum, "bytes") != 300_000 {
			t.Errorf("verify %v: %v", args, sum)
		}
	}
	swept := func(payloads int64) {
		t.Helper()
		time.Sleep(1100 * time.Millisecond) // gc keeps blobs written in the second in which it starts
		lines := b.must("gc", "--yes", "--older-than", "0s", "--store", store).lines
		if got := number(lines[len(lines)-1], "payloads"); got != payloads {
			t.Errorf("gc removed %v, want %d payloads", lines, payloads)
		}
	}
	move := append([]string{"migrate", "segments", "--to", store}, flags...)
	if sum := b.must(move...).event("summary"); count(sum, "copied") != 2 {
		t.Errorf("copied: %v", sum)
	}
	swept(0)
	verified()
	if sum := b.must(append(move, "--clear-source")...).event("summary"); count(sum, "cleared") != 2 {
		t.Errorf("cleared: %v", sum)
	}
	swept(0)
	verified()
	if len(flags) > 0 {
		verified("--read")
	}
	back := append([]string{"migrate", "segments", "--to", inRows, "--store", store}, flags...)
	if sum := b.must(back...).event("summary"); count(sum, "copied") != 2 {
		t.Errorf("copied back: %v", sum)
	}
	b.must(append(back, "--clear-source")...)
	var rows int
	s.Row(s.Server, `SELECT COUNT(*) FROM LayerTensorSegments WHERE length(RawPayload) = ByteSize AND BlobUri IS NULL`,
		&rows)
	if rows != 2 {
		t.Errorf("%d payloads are in their rows only, want 2", rows)
	}
	verified()
	swept(2)
	b.must(move...)
	b.must("rm", "old", "--yes", "--store", store)
	swept(2)
}
