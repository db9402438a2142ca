package gguf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
)

func FuzzParse(f *testing.F) {
	for _, group := range [][]refusal{preambles, metadata, tensors} {
		for _, row := range group {
			var r gguftest.Raw
			row.write(&r)
			addSmall(f, r.Bytes)
		}
	}
	for _, row := range accepted {
		var r gguftest.Raw
		row.write(&r)
		addSmall(f, r.Bytes)
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
			addSmall(f, file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkFuzzed(t, file) })
}

// addSmall leaves out large files, which slow down the fuzzer.
func addSmall(f *testing.F, file []byte) {
	if len(file) < 16<<10 {
		f.Add(file)
	}
}

// checkFuzzed checks the properties of any input.
func checkFuzzed(t *testing.T, file []byte) {
	size := int64(len(file))
	var got *gguf.File
	var err error
	// The worst case is an item of an array: one byte of the file, 72 bytes of memory.
	if took := headertest.Allocated(func() { got, err = parse(file) }); took > 80*size+16<<10 {
		t.Errorf("allocated %d bytes for a file of %d", took, size)
	}
	again, errAgain := parse(file)
	if !reflect.DeepEqual(got, again) || !reflect.DeepEqual(err, errAgain) {
		t.Errorf("parsed twice: got %+v, %v, then %+v, %v", got, err, again, errAgain)
	}
	if err != nil {
		var e *gguf.Error
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > size || e.Reason == "" || e.Err != nil || got != nil {
			t.Errorf("refused with %#v, %+v", err, got)
		}
		return
	}
	checkValid(t, got, size)
	if shown, err := json.Marshal(got); err != nil || !json.Valid(shown) {
		t.Errorf("no JSON: %v", err)
	}
	if len(got.Metadata)+len(got.Tensors) > 0 {
		if less, err := parse(file[:got.HeaderSize-1]); err == nil {
			t.Errorf("without the header's last byte: got %+v", less)
		}
	}
	more, err := parse(append(bytes.Clone(file), "trailing"...))
	if err != nil || len(got.Warnings) == 0 && !reflect.DeepEqual(got, more) { // a fork's type may fit now
		t.Errorf("with trailing bytes: got %+v, %v", more, err)
	}
}
