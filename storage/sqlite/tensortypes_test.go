package sqlite

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Schema step 8 gives files of an older catalogue what Begin gives to new ones.
func TestUpgradeSumsTensorTypes(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("m", 4)
	whole := f.Tensors[0]
	f.Tensors = nil
	for i, of := range []struct {
		name, kind string
		elements   int64
	}{{"output.weight", `Q6_"K"`, 3}, {"blk.0.attn_q.weight", "Q4_K", math.MaxInt64}, {"token_embd.weight", "F16", 0},
		{"blk.1.attn_q.weight", "Q4_K", 5}, {"blk.1.attn_v.weight", "Q6_K", 7},
		{"blk.2.attn_v.weight", "Q6_K", 2}} {
		s := whole
		s.Name, s.Type, s.Elements = of.name, of.kind, of.elements
		s.Bytes = whole.Bytes / 8
		s.Offset = int64(i) * s.Bytes
		f.Tensors = append(f.Tensors, s)
	}
	if _, err := f.begin(t.Context(), c, lease); err != nil {
		t.Fatal(err)
	}
	f.Path, f.Tensors = "/other", nil
	if _, err := f.begin(t.Context(), c, lease); err != nil {
		t.Fatal(err)
	}
	const all = `SELECT group_concat(TensorTypes, ' ') FROM ModelFiles`
	const want = `{"Attention":{"Q4_K":9223372036854775807,"Q6_K":9},"Embedding":{"F16":0},` +
		`"Output":{"Q6_\"K\"":3}} {}`
	if got := c.row(t, all); got != want {
		t.Errorf("a new catalogue has %s, want %s", got, want)
	}
	for _, text := range []string{`ALTER TABLE ModelFiles DROP COLUMN TensorTypes`,
		`DELETE FROM SchemaSteps WHERE Number >= 8`} {
		if _, err := c.conns.writer.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := openAt(t, c.conns.path).row(t, all); got != want {
		t.Errorf("an upgraded catalogue has %s, want %s", got, want)
	}
}
