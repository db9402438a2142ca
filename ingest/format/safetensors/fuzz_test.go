package safetensors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header/headertest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

func FuzzParse(f *testing.F) {
	for _, group := range [][]refusal{syntax, layouts, numberRefusals()} {
		for _, row := range group {
			file, _ := row.file()
			addSmall(f, file)
		}
	}
	for _, row := range preambles {
		addSmall(f, []byte(row.file))
	}
	for _, row := range accepted {
		addSmall(f, safetensorstest.Raw(row.header, make([]byte, row.data)))
	}
	f.Add(sample())
	real, _ := filepath.Glob(filepath.Join(folder, "safetensors", "*", "*"))
	for _, path := range real {
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
	var got *safetensors.File
	var err error
	// The worst case is a metadata pair: seven bytes of the file, 160 bytes of memory.
	if took := headertest.Allocated(func() { got, err = parse(file) }); took > 40*size+16<<10 {
		t.Errorf("allocated %d bytes for a file of %d", took, size)
	}
	again, errAgain := parse(file)
	if !reflect.DeepEqual(got, again) || !reflect.DeepEqual(err, errAgain) {
		t.Errorf("parsed twice: got %+v, %v, then %+v, %v", got, err, again, errAgain)
	}
	if err != nil {
		var e *safetensors.Error
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > size || e.Reason == "" || e.Err != nil || got != nil {
			t.Errorf("refused with %#v, %+v", err, got)
		}
		if why := wrong(file); why == "" {
			t.Errorf("refused, but nothing is wrong: %v", err)
		}
		return
	}
	checkValid(t, got, file)
	if why := wrong(file); why != "" {
		t.Errorf("accepted, but %s", why)
	}
	if !safetensors.Sniff(file) {
		t.Error("accepted, but not recognised")
	}
	if shown, err := json.Marshal(got); err != nil || !json.Valid(shown) {
		t.Errorf("no JSON: %v", err)
	}
	if less, err := parse(file[:size-1]); err == nil {
		t.Errorf("without the last byte: got %+v", less)
	}
	if more, err := parse(append(bytes.Clone(file), 0)); err == nil {
		t.Errorf("with another byte: got %+v", more)
	}
}
