// Package safetensorstest creates safetensors files for tests.
//
// A [File] describes a valid file. [Raw] puts any text in the place of the header. The same
// description always gives the same bytes.
package safetensorstest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/safetensors"
)

// File describes a safetensors file.
type File struct {
	// Metadata has the keys and texts of __metadata__, in turn. If it is empty, the file has none.
	Metadata []string
	// Tensors in the order of the header and of their data.
	Tensors []Tensor
	// Seed selects the data of tensors.
	Seed uint64
}

// Tensor describes a tensor.
type Tensor struct {
	Name  string
	Dtype safetensors.Dtype
	Shape []uint64
	// Data of the tensor. If it is nil, the data depends on the file's seed.
	Data []byte
}

// Bytes returns the file. Its header is padded to a multiple of eight bytes, as by the format's own
// library. It panics if a tensor without data has an unknown type.
func (f File) Bytes() []byte {
	var data []byte
	random := rand.NewChaCha8([32]byte{byte(f.Seed), byte(f.Seed >> 8)})
	var members []string
	if len(f.Metadata) > 0 {
		var texts []string
		for i := 0; i < len(f.Metadata); i += 2 {
			texts = append(texts, quote(f.Metadata[i])+":"+quote(f.Metadata[i+1]))
		}
		members = append(members, `"__metadata__":{`+strings.Join(texts, ",")+"}")
	}
	for _, t := range f.Tensors {
		begin := len(data)
		if t.Data == nil {
			t.Data = make([]byte, t.size())
			random.Read(t.Data)
		}
		data = append(data, t.Data...)
		members = append(members, fmt.Sprintf(`%s:{"dtype":%s,"shape":[%s],"data_offsets":[%d,%d]}`, quote(t.Name),
			quote(string(t.Dtype)), strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ","), "[]"), begin,
			len(data)))
	}
	header := "{" + strings.Join(members, ",") + "}"
	return Raw(header+strings.Repeat(" ", (8-len(header)%8)%8), data)
}

// size returns the size of the data in bytes.
func (t Tensor) size() int64 {
	elements, size, ok := t.Dtype.Block()
	if !ok {
		panic(fmt.Sprintf("safetensorstest: no size for type %q", t.Dtype))
	}
	n := int64(1)
	for _, dim := range t.Shape {
		n *= int64(dim)
	}
	return n / elements * size
}

// quote returns a JSON string.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// Raw returns a file with any header and data.
func Raw(header string, data []byte) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), data...)
}
