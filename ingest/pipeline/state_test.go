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

// state is all that a home holds, in words that do not depend on the order in which it came
// there: numbers of rows are left out. Counts of references are those of the rows, which check sees to.
func (h *home) state(t *testing.T) string {
	t.Helper()
	h.check(t)
	var all []string
	for _, m := range h.models(t) {
		all = append(all, h.modelState(t, m))
	}
	if h.memory != nil {
		for stray, err := range h.memory.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("payload %s %d bytes\n", stray.Name, stray.Bytes))
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
		fmt.Fprintf(&text, "file %d %s %s %s %d bytes, %d recorded, %s, claim %s, %d tensors, cut to %d\n",
			f.Index, f.Role, f.Name, f.Format, f.Bytes, f.Recorded, f.Digest, f.Expected, f.Tensors, f.SegmentBytes)
		for _, p := range h.pieces(t, f) {
			fmt.Fprintf(&text, "piece %q %d at %d, %d bytes, %s %s %v\n", p.Tensor, p.Ordinal, p.Offset, p.Bytes,
				p.Digest, p.Address.URI, p.InRow)
		}
	}
	var names []string
	for _, n := range m.Names {
		var of []int
		for _, id := range n.Files {
			of = append(of, files[id])
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

// wantState fails with the first line in which two states differ.
func wantState(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("state differs at line %d of %d and %d:\n got %s\nwant %s", i, len(g), len(w), at(g, i), at(w, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// frozen is a home as bytes, from which many tests begin.
type frozen struct {
	database []byte
	rows     bool
	payloads [][]byte
}

// freeze closes the home's catalogue.
func freeze(t *testing.T, h *home) frozen {
	t.Helper()
	f := frozen{rows: h.memory == nil}
	if err := h.catalog.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.database, err = os.ReadFile(h.path); err != nil {
		t.Fatal(err)
	}
	if f.rows {
		return f
	}
	for stray := range h.memory.List(t.Context()) {
		p := make([]byte, stray.Bytes)
		if err := h.memory.Get(t.Context(), stray.Digest, ingest.Address{Bytes: stray.Bytes}, 0, p); err != nil {
			t.Fatal(err)
		}
		f.payloads = append(f.payloads, p)
	}
	return f
}

// thaw makes a home like the one that was frozen.
func (f frozen) thaw(t *testing.T) *home {
	t.Helper()
	h := &home{path: filepath.Join(t.TempDir(), "catalogue.db")}
	write(t, h.path, f.database)
	if !f.rows {
		h.memory = &storetest.Memory{}
		for _, p := range f.payloads {
			if _, err := h.memory.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return reopen(t, h)
}
