package gguf_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

func TestCutNames(t *testing.T) {
	whole := sample().Bytes()
	f, err := parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string]string{
		"a/m.gguf.part1of2": ".part1of2", "m.gguf.PART01OF10": ".PART01OF10", "m.gguf-split-a": "-split-a",
		"m-split-ab": "-split-ab", "m.gguf": "", "m-00001-of-00002.gguf": "", "m.part1of2.gguf": "", "part1of2": "",
		"m.gguf-split-": "", "": "",
	} {
		for _, end := range []int64{25, 30, 50, 400, f.HeaderSize - 9, f.HeaderSize, f.HeaderSize + 500} {
			checkCut(t, name, part, whole[:end])
		}
		checkCut(t, name, part, []byte("middle of the file"))
		checkCut(t, name, "", bytes.Replace(whole, []byte("u8"), []byte("i8"), 1)) // invalid, but not truncated
	}
}

// checkCut checks that the error of an invalid file names a part, or no part.
func checkCut(t *testing.T, name, part string, file []byte) {
	t.Helper()
	want := fmt.Sprintf(": %q is a part of a file that was cut: join all parts in order, with cat or copy /b", part)
	_, err := gguf.Limits{Name: name}.Parse(bytes.NewReader(file), int64(len(file)))
	if err == nil || strings.HasSuffix(err.Error(), want) != (part != "") ||
		part == "" && strings.Contains(err.Error(), "cut") {
		t.Errorf("%q, %d bytes: %v", name, len(file), err)
	}
}

// TestArraysOfCutFiles: every length of a truncated header is named as cut.
func TestArraysOfCutFiles(t *testing.T) {
	for _, row := range append(metadata, tensors...) {
		var r gguftest.Raw
		row.write(&r)
		_, err := gguf.Limits{Name: "m.gguf-split-a"}.Parse(bytes.NewReader(r.Bytes), r.Len())
		truncated := strings.Contains(row.reason, "left") || strings.Contains(row.reason, "ends inside") ||
			strings.Contains(row.reason, "extend beyond")
		if err == nil || strings.Contains(err.Error(), "was cut") != truncated {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestTwoInOne(t *testing.T) {
	second := gguftest.File{Tensors: []gguftest.Tensor{{Name: "b", Shape: []uint64{8}}}}
	data := []gguftest.Tensor{{Name: "a", Type: gguf.TypeI8, Shape: []uint64{33}}}
	for _, row := range []struct {
		name  string
		first gguftest.File
		zeros int
		found bool
	}{
		{"padded", gguftest.File{Tensors: data}, 0, true},
		{"unpadded", gguftest.File{Tensors: data, Unpadded: true}, 0, true},
		{"aligned", gguftest.File{Tensors: data, Alignment: 4096}, 0, true},
		{"no data, padded", gguftest.File{}, 0, true},
		{"no data, unpadded", gguftest.File{Unpadded: true}, 0, true},
		{"far behind the data", gguftest.File{Tensors: data}, 32, false},
		{"after a type of unknown size",
			gguftest.File{Tensors: []gguftest.Tensor{{Name: "a", Type: 99, Shape: []uint64{1}, Bytes: 32}}}, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			first := append(row.first.Bytes(), make([]byte, row.zeros)...)
			f, err := parse(append(first, second.Bytes()...))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if row.found {
				want = []string{fmt.Sprintf("two GGUF files in one: another starts at offset %d: "+
					"its bytes are stored, its tensors are not recorded", len(first))}
			}
			if strings.Join(f.Warnings, "\n") != strings.Join(want, "\n") || len(f.Tensors) != len(row.first.Tensors) {
				t.Errorf("warnings are %q, want %q", f.Warnings, want)
			}
			part := row.first
			part.KVs = []gguftest.KV{{Key: "split.count", Value: uint16(2)}}
			if first := append(part.Bytes(), make([]byte, row.zeros)...); row.found {
				mustRefuse(t, append(first, second.Bytes()...), int64(len(first)),
					"another GGUF file starts here: the 2 parts of a split model were joined with cat")
			}
		})
	}
}

// TestCasesOfEnds reads the cases of joined files, and of a GGUF inside another file.
func TestCasesOfEnds(t *testing.T) {
	mustRefuse(t, readCase(t, "32-ends/cat-of-parts.gguf"), 384, "the 2 parts of a split model were joined with cat")
	mustRefuse(t, readCase(t, "32-ends/link-to-first.gguf"), 0, `text: "parts/x-00001-of-00002.gguf"`)
	for name, warning := range map[string]string{
		"two-in-one.gguf": "two GGUF files in one: another starts at offset 2304: " +
			"its bytes are stored, its tensors are not recorded",
		"padded.gguf": "", "unpadded.gguf": "", "parts/x-00001-of-00002.gguf": "", "parts/x-00002-of-00002.gguf": "",
	} {
		f, err := parse(readCase(t, "32-ends/"+name))
		if err != nil || strings.Join(f.Warnings, "\n") != warning || len(f.Tensors) == 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	file := readCase(t, "36-llamafile/demo.llamafile")
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range archive.File {
		if !strings.HasSuffix(entry.Name, ".gguf") {
			continue
		}
		at, err := entry.DataOffset()
		size := int64(entry.UncompressedSize64)
		if err != nil || entry.Method != zip.Store {
			t.Fatal(err)
		}
		f, err := gguf.Parse(io.NewSectionReader(bytes.NewReader(file), at, size), size)
		if err != nil || len(f.Tensors) == 0 {
			t.Errorf("GGUF at %d of %d: %+v, %v", at, len(file), f, err)
		}
	}
}
