package gguf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
)

func FuzzParse(f *testing.F) {
	for _, group := range [][]refusal{preambles, metadata, tensors} {
		for _, row := range group {
			var r gguftest.Raw
			row.write(&r)
			headertest.AddSmall(f, r.Bytes)
		}
	}
	for _, row := range accepted {
		var r gguftest.Raw
		row.write(&r)
		headertest.AddSmall(f, r.Bytes)
	}
	for version := uint32(1); version <= 3; version++ {
		for _, big := range []bool{false, true} {
			file := sample()
			file.Version, file.BigEndian = version, big
			f.Add(file.Bytes())
		}
	}
	f.Add(gguftest.Model(gguftest.ModelOptions{Layers: 1, Vocabulary: 4}).Header())
	real, _ := filepath.Glob(filepath.Join(folder, "gguf", "*", "*"))
	reported, _ := filepath.Glob(filepath.Join(cases, "*", "*.gguf"))
	for _, path := range append(real, reported...) {
		if file, err := os.ReadFile(path); err == nil {
			headertest.AddSmall(f, file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkFuzzed(t, file) })
}

// checkFuzzed checks the properties of any input.
func checkFuzzed(t *testing.T, file []byte) {
	// The worst case is an item of an array: one byte of the file, 72 bytes of memory.
	got, err := headertest.Fuzzed(t, file, 80, parse)
	if err != nil {
		return
	}
	checkValid(t, got, int64(len(file)))
	if len(got.Metadata)+len(got.Tensors) > 0 {
		if less, err := parse(file[:got.HeaderSize-1]); err == nil {
			t.Errorf("without the header's last byte: got %+v", less)
		}
	}
	const trailing = "trailing"
	more, err := parse(append(bytes.Clone(file), trailing...))
	if err == nil { // the last tensor has these bytes, if its size is unknown
		for i := range more.Tensors {
			if t := &more.Tensors[i]; !t.Known() && t.Offset+t.Size == int64(len(file)+len(trailing)) {
				t.Size -= int64(len(trailing))
			}
		}
	}
	if err != nil || len(got.Warnings) == 0 && !reflect.DeepEqual(got, more) { // a fork's type may fit now
		t.Errorf("with trailing bytes: got %+v, %v", more, err)
	}
}
