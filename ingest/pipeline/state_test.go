package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// state describes the content of a home independent of the order of ingestion, so without row IDs.
// Reference counts are left to check.
func (h *home) state(t *testing.T) string {
	t.Helper()
	h.check(t)
	var all []string
	for _, m := range h.models(t) {
		all = append(all, h.modelState(t, m))
	}
	if h.memory != nil {
		for object, err := range h.memory.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("payload %s %d bytes\n", object.Name, object.Bytes))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func (h *home) modelState(t *testing.T, m ingest.Summary) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "model %s %s %s, %d parameters, %s, %d tensors, %d segments, %s\n",
		m.Name, m.Type, m.Architecture, m.Parameters, m.State, m.Tensors, m.Segments, m.Metadata)
	files := map[ingest.FileID]int{}
	for i, f := range m.Files {
		files[f.ID] = i
		fmt.Fprintf(&text, "file %d %s %s %s %d bytes, %d recorded, %s, expected %s, %d tensors, segments of %d\n",
			f.Index, f.Role, f.Name, f.Format, f.Bytes, f.Recorded, f.Digest, f.Expected, f.Tensors, f.SegmentBytes)
		for _, p := range h.segments(t, f) {
			fmt.Fprintf(&text, "segment %q %d at %d, %d bytes, %s %s %v\n", p.Tensor, p.Ordinal, p.Offset, p.Bytes,
				p.Digest, p.Address.URI, p.InRow)
		}
	}
	var names []string
	for _, n := range m.Names {
		var of []int
		for _, f := range n.Files {
			of = append(of, files[f.ID])
		}
		slices.Sort(of)
		names = append(names, fmt.Sprintf("name %s %s of files %v\n", n.Name, n.URI, of))
	}
	slices.Sort(names)
	text.WriteString(strings.Join(names, ""))
	for l, err := range h.catalog.Layers(t.Context(), m.ID) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "layer %d %s %s %s %v, %d elements at %d, %d bytes, %d segments\n",
			l.Index, l.Name, l.Kind, l.Type, l.Shape, l.Elements, l.Offset, l.Bytes, l.Segments)
	}
	return text.String()
}

// checkState fails with the first line that differs.
func checkState(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("state differs at line %d of %d and %d:\n got %s\nwant %s", i, len(g), len(w), lineAt(g, i),
				lineAt(w, i))
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// snapshot is a copy of a home that many tests start from.
type snapshot struct {
	database []byte
	memory   *storetest.Memory // nil if payloads are in the catalogue's rows
}

// takeSnapshot copies a home and closes its catalogue.
func takeSnapshot(t *testing.T, h *home) snapshot {
	t.Helper()
	if err := h.catalog.Close(); err != nil {
		t.Fatal(err)
	}
	database, err := os.ReadFile(h.path)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot{database, h.memory}
}

func (f snapshot) restore(t *testing.T) *home {
	t.Helper()
	h := &home{path: filepath.Join(t.TempDir(), "catalogue.db")}
	write(t, h.path, f.database)
	if f.memory != nil {
		h.memory = f.memory.Copy()
	}
	return reopen(t, h)
}
