package rebuild_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/rebuild"
)

// linesOf returns the lines of a description.
func (f *fixture) linesOf(d ingest.Description) string {
	f.Helper()
	content := make([]byte, d.Bytes)
	f.must(f.store.ReadDescription(f.Context(), d, 0, content))
	r, err := zstd.NewReader(bytes.NewReader(content))
	f.must(err)
	defer r.Close()
	lines, err := io.ReadAll(r)
	f.must(err)
	return string(lines)
}

// put puts a description of these lines, in one frame, into the store.
func (f *fixture) put(sequence int64, lines string) {
	f.Helper()
	w, err := zstd.NewWriter(nil)
	f.must(err)
	content := w.EncodeAll([]byte(lines), nil)
	table := []uint32{0x184D2A5E, 8 + 9, uint32(len(content)), uint32(len(lines)), 1}
	for _, n := range table {
		content = binary.LittleEndian.AppendUint32(content, n)
	}
	content = binary.LittleEndian.AppendUint32(append(content, 0), 0x8F92EAB1)
	f.must(f.store.PutDescription(f.Context(), ingest.Description{Sequence: sequence, Content: ingest.Sum(content),
		Bytes: int64(len(content))}, bytes.NewReader(content)))
}

// TestHostile: a description with the right digest, but with lines that do not fit, is refused. Nothing of its
// model is left, and the other model is rebuilt.
func TestHostile(t *testing.T) {
	const digest = `[0-9a-f]{64}`
	for name, c := range map[string]struct{ replace, by, want string }{
		"version": {`"description":1`, `"description":2`, "it has 2, and this program reads 1"},
		"key": {`"model":"` + digest, `"model":"` + strings.Repeat("1", 64),
			"its key is not that of its files"},
		"field":             {`"ordinal":0`, `"ordinal":0,"x":1`, `unknown field "x"`},
		"text after a line": {`(?m)^(\{"segment_of".*)$`, `$1 {}`, "text follows the object"},
		"no weights": {`"role":"weights"`, `"role":"config"`,
			"it has files for a model with other weights, which was not rebuilt"},
		"no names": {`"names":\[.*?\]\}\],`, ``, "1 files and 0 names"},
		"many names": {`"names":\[(.*?\]\})\],`, `"names":[` +
			strings.Repeat(`{"name":"n","uri":"u","files":[]},`, 10_000) + `${1}],`, "1 files and 10001 names"},
		"long line":          {`"ordinal":0`, `"ordinal":` + strings.Repeat(" ", 1<<20) + `0`, "a line of 10"},
		"file of a name":     {`"file":0`, `"file":1`, "has file 1 of 1"},
		"file of a segment":  {`"segment_of":0`, `"segment_of":1`, "segment 0 is out of range"},
		"tensor":             {`"tensor":0`, `"tensor":1`, "segment 0 is out of range"},
		"tensor before none": {`"tensor":0`, `"tensor":-2`, "segment 0 is out of range"},
		"empty segment":      {`"bytes":1048576`, `"bytes":0`, "segment 0 is out of range"},
		"huge segment":       {`"bytes":1048576`, `"bytes":1099511627776`, "segment 0 is out of range"},
		"gap": {`"offset":1048576`, `"offset":1048577`,
			"segment at byte 1048577 of /m follows byte 1048576"},
		"overlap": {`"offset":1048576`, `"offset":1048575`,
			"segment at byte 1048575 of /m follows byte 1048576"},
		"ordinal": {`"ordinal":1`, `"ordinal":2`, "segment at byte 1048576 of /m is not segment 1"},
		"outside the tensor": {`"shape":\[524288\],"elements":524288,"offset":0,"bytes":2097152`,
			`"shape":[2],"elements":2,"offset":0,"bytes":8`, "segment at byte 0 of /m is not segment 0"},
		"tensor outside file": {`"offset":0,"bytes":2097152`, `"offset":9,"bytes":2097152`,
			"tensors overlap or extend beyond the file"},
		"segments end early": {`(?s)\{"segment_of":0,"tensor":0,"ordinal":1.*`,
			"{\"end\":{\"tensors\":1,\"segments\":1}}\n", "its segments end at byte 1048576 of 2097152 of /m"},
		"digest of the file": {`("files":\[\{"path":"/m".*"sha256":")` + digest, `${1}` + strings.Repeat("2", 64),
			"its key is not that of its files"},
		"payload": {`("ordinal":0.*)\}`, `${1},"payload":"AAAA"}`,
			"the payload of the segment at byte 0 of /m is damaged"},
		"no end": {`\{"end".*\n`, ``, "it ends early"},
		"other end": {`"segments":2\}\}`, `"segments":3}}`,
			"it has 1 tensors and 2 segments, and ends with"},
		"lines after the end": {`\z`, "{}\n", "lines follow its end"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.ingest("m", content(2, 1))
			f.edit(c.replace, c.by)
			f.ingest("other", content(1, 9))
			f.open()
			sum, refused, err := f.run(f.catalog)
			f.must(err)
			if sum.Rebuilt != 1 || len(refused) != 1 || !strings.Contains(refused[0], c.want) {
				t.Errorf("%+v, refused %q, want %q", sum, refused, c.want)
			}
			for m, err := range f.catalog.Models(t.Context()) {
				if f.must(err); m.Name != "other" {
					t.Errorf("model %s is %s", m.Name, m.State)
				}
			}
		})
	}
}

// TestMemory: a model with more tensors than the memory holds is refused.
func TestMemory(t *testing.T) {
	f := newFixture(t)
	f.ingest("m", content(1, 1))
	f.open()
	var refused []error
	r := rebuild.Rebuilder{Catalog: f.catalog, Store: f.store, Address: "memory", Memory: 100, TakeOver: true,
		Refused: func(_ string, err error) { refused = append(refused, err) }}
	if _, err := r.Run(t.Context(), ingest.JobRequest{Pipeline: "rebuild", Source: "r"}); err != nil {
		t.Fatal(err)
	}
	if len(refused) != 1 || !strings.Contains(refused[0].Error(), "raise --memory") {
		t.Errorf("refused %v", refused)
	}
}
