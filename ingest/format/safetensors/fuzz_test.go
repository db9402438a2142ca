package safetensors_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header/headertest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

func FuzzParse(f *testing.F) {
	for _, group := range [][]refusal{syntax, layouts, numberRefusals()} {
		for _, row := range group {
			file, _ := row.file()
			headertest.AddSmall(f, file)
		}
	}
	for _, row := range preambles {
		headertest.AddSmall(f, []byte(row.file))
	}
	for _, row := range accepted {
		headertest.AddSmall(f, safetensorstest.Raw(row.header, make([]byte, row.data)))
	}
	f.Add(sample())
	real, _ := filepath.Glob(filepath.Join(folder, "safetensors", "*", "*"))
	for _, path := range real {
		if file, err := os.ReadFile(path); err == nil {
			headertest.AddSmall(f, file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkFuzzed(t, file) })
}

// checkFuzzed checks the properties of any input.
func checkFuzzed(t *testing.T, file []byte) {
	// The worst case is a metadata pair: seven bytes of the file, 160 bytes of memory.
	got, err := headertest.Fuzzed(t, file, 40, parse)
	if err != nil {
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
	if less, err := parse(file[:len(file)-1]); err == nil {
		t.Errorf("without the last byte: got %+v", less)
	}
	if more, err := parse(append(bytes.Clone(file), 0)); err == nil {
		t.Errorf("with another byte: got %+v", more)
	}
}
