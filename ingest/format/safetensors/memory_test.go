package safetensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// TestTextsCostNoMemory: long texts and ignored fields are read, but not kept.
func TestTextsCostNoMemory(t *testing.T) {
	long := strings.Repeat(`x\n`, 1_000_000)
	for name, header := range map[string]string{
		"metadata":    `{"__metadata__":{"preview":"` + long + `"}}`,
		"field":       one(good + `,"x":"` + long + `"`),
		"list":        one(good + `,"x":[` + strings.Repeat("1,", 1_000_000) + `1]`),
		"number":      one(good + `,"x":` + strings.Repeat("1", 1_000_000)),
		"white space": one(good) + strings.Repeat(" ", 1_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			file := safetensorstest.Raw(header, make([]byte, 16*strings.Count(header, good)))
			took := headertest.Allocated(func() {
				if _, err := parse(file); err != nil {
					t.Error(err)
				}
			})
			if took > 120_000 {
				t.Errorf("allocated %d bytes for a header of %d", took, len(header))
			}
		})
	}
}

// TestLimitStopsLongNames: a name is refused before it is kept.
func TestLimitStopsLongNames(t *testing.T) {
	for name, text := range map[string]string{
		"tensor": `{"` + strings.Repeat("n", 5_000_000) + `":{` + good + `}}`,
		"open":   `{"` + strings.Repeat("n", 5_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			file := safetensorstest.Raw(text, make([]byte, 16))
			took := headertest.Allocated(func() {
				_, err := safetensors.Limits{Memory: 1 << 20}.Parse(bytes.NewReader(file), int64(len(file)))
				if !errors.Is(err, header.ErrMemory) {
					t.Error(err)
				}
			})
			if took > 1<<20+100_000 {
				t.Errorf("allocated %d bytes", took)
			}
		})
	}
}

// manyTensors returns a header with n tensors without bytes.
func manyTensors(n int, format, shape string) []byte {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `"`+format+`":{"dtype":"F32","shape":%s,"data_offsets":[0,0]}`, i, shape)
	}
	return safetensorstest.Raw(b.String()+"}", nil)
}

func manyTypes(n int) []byte {
	file := safetensorstest.File{}
	for i := range n {
		file.Tensors = append(file.Tensors, safetensorstest.Tensor{Name: fmt.Sprint(i),
			Dtype: safetensors.Dtype(fmt.Sprintf("X%060d", i)), Data: []byte{1}})
	}
	return file.Bytes()
}

func manyKeys(n int) []byte {
	file := safetensorstest.File{}
	for i := range n {
		file.Metadata = append(file.Metadata, fmt.Sprint(i), strings.Repeat("v", i%500*(i%2)))
	}
	return file.Bytes()
}

// TestMemoryLimit finds the smallest limit for a header, and compares it with the memory used.
func TestMemoryLimit(t *testing.T) {
	for _, row := range []struct {
		name string
		file []byte
	}{
		{"long tensor names", manyTensors(2_000, "%0100d", "[1,1,1,0]")},
		{"short tensor names", manyTensors(2_000, "%x", "[0]")},
		{"dimensions", manyTensors(2_000, "%x", "[0"+strings.Repeat(",0", 63)+"]")},
		{"types", manyTypes(2_000)}, {"keys", manyKeys(4_000)},
	} {
		t.Run(row.name, func(t *testing.T) {
			headertest.MemoryLimit(t, row.file, func(limit int64) headertest.Parse {
				return func(src io.ReaderAt, size int64) (any, error) {
					return safetensors.Limits{Memory: limit}.Parse(src, size)
				}
			})
		})
	}
}

func TestMemoryLimitMessage(t *testing.T) {
	file := manyTensors(150_000, "%x", "[0]")
	f, err := parse(file)
	if !errors.Is(err, header.ErrMemory) {
		t.Fatalf("got %d tensors, %v", len(f.Tensors), err)
	}
	if !strings.Contains(err.Error(),
		"the header needs more than the limit of 33554432 bytes of memory: use a larger --memory") {
		t.Errorf("message is %q", err)
	}
	f, err = safetensors.Limits{Memory: 64 << 20}.Parse(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(f.Tensors) != 150_000 {
		t.Errorf("with a larger limit: %v", err)
	}
	f, err = parse(manyTensors(100_000, "model.layers.0000.self_attn.q_proj.%05d", "[4096,0]"))
	if err != nil || len(f.Tensors) != 100_000 {
		t.Errorf("100,000 tensors under the default limit: %v", err)
	}
}
