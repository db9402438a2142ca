package sqlcatalog

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var (
	digestA = ingest.Sum([]byte("a"))
	digestB = ingest.Sum([]byte("b"))
)

func TestSetColumns(t *testing.T) {
	for name, test := range map[string]struct {
		state    ingest.ModelState
		recorded int64
		want     ingest.Digest
	}{
		"of a complete model": {ingest.ModelComplete, 7, digestA},
		"all recorded":        {ingest.ModelOpen, 9, digestA},
		"bytes are missing: not the digest of a file": {ingest.ModelOpen, 7, ingest.Digest{}},
	} {
		f := modelFile{StoredFile: ingest.StoredFile{Bytes: 9, Recorded: test.recorded}, State: test.state}
		f.setColumns(1_500_000_000_000_000_001, nil, digestA[:])
		if f.Digest != test.want || !f.Expected.IsZero() || f.Modified.UnixNano() != 1_500_000_000_000_000_001 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestCheckWhole(t *testing.T) {
	for name, test := range map[string]struct {
		change      func(*modelFile)
		rows, bytes int64
		whole       bool
	}{
		"whole":             {func(*modelFile) {}, 3, 9, true},
		"without a claim":   {func(f *modelFile) { f.Expected = ingest.Digest{} }, 3, 9, true},
		"bytes are missing": {func(f *modelFile) { f.Recorded = 8 }, 3, 9, false},
		"no digest": {func(f *modelFile) { f.Digest, f.Expected = ingest.Digest{}, ingest.Digest{} }, 3, 9,
			false},
		"a row is missing": {func(*modelFile) {}, 2, 9, false},
		"a row is shorter": {func(*modelFile) {}, 3, 8, false},
		"wrong digest":     {func(f *modelFile) { f.Expected = digestB }, 3, 9, false},
	} {
		f := modelFile{StoredFile: ingest.StoredFile{Bytes: 9, Recorded: 9, Digest: digestA, Expected: digestA},
			Segments: 3}
		test.change(&f)
		if err := f.checkWhole(test.rows, test.bytes); (err == nil) != test.whole || err != nil &&
			!errors.Is(err, ingest.ErrIncomplete) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestCheckSharable(t *testing.T) {
	for name, test := range map[string]struct {
		file     ingest.StoredFile
		sharable bool
	}{
		"weights":              {ingest.StoredFile{Role: ingest.Weights}, false},
		"adapter with tensors": {ingest.StoredFile{Role: "adapter", Tensors: 1}, false},
		"a template":           {ingest.StoredFile{Role: "template"}, true},
	} {
		f := modelFile{StoredFile: test.file}
		if err := f.checkSharable(2); (err == nil) != test.sharable {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func someFiles() modelFiles {
	return modelFiles{
		{StoredFile: ingest.StoredFile{ID: 1, Role: "template", Digest: digestA}, Segments: 1, Stored: 10},
		{StoredFile: ingest.StoredFile{ID: 2, Role: ingest.Weights, Digest: digestA, Tensors: 4}, Segments: 2,
			Shared: 20},
		{StoredFile: ingest.StoredFile{ID: 3, Role: ingest.Weights, Digest: digestB, Tensors: 5}, Segments: 3,
			Stored: 30, Shared: 1},
	}
}

func TestModelFilesSame(t *testing.T) {
	files := someFiles()
	f := modelFile{StoredFile: ingest.StoredFile{ID: 9, Role: ingest.Weights, Digest: digestA}}
	if got := files.same(&f); got != &files[1] {
		t.Errorf("same content and role: %+v", got)
	}
	f.Role = "projector"
	if got := files.same(&f); got != nil {
		t.Errorf("same content in another role: %+v", got)
	}
}

func TestModelFilesAddTo(t *testing.T) {
	files := someFiles()
	s := ingest.Summary{ID: 8}
	files.addTo(&s)
	want := ingest.Summary{ID: 8, Tensors: 9, Segments: 6, BytesStored: 40, BytesShared: 21,
		Files: []ingest.StoredFile{files[0].StoredFile, files[1].StoredFile, files[2].StoredFile}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func TestModelFilesWeights(t *testing.T) {
	files := someFiles()
	if got := files.weights(); !slices.Equal(got, []ingest.NamedFile{{ID: 2}, {ID: 3}}) {
		t.Errorf("weights are %v", got)
	}
	for name, test := range map[string]struct {
		present, others modelFiles
		fit             bool
	}{
		"the same":               {files, files, true},
		"fewer weights":          {files, files[1:2], true},
		"a template is missing":  {files[1:], files, true},
		"weights are missing":    {files[:2], files, false},
		"the same as a template": {files[:1], files[1:2], false},
	} {
		if err := test.present.checkWeights(7, test.others); (err == nil) != test.fit {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestNameRows(t *testing.T) {
	first, second := ingest.Alias{Name: "first"}, ingest.Alias{Name: "second", URI: "ollama://second"}
	var rows nameRows
	rows.add(4, first, ingest.NamedFile{ID: 1})
	rows.add(4, first, ingest.NamedFile{ID: 3, Path: "x"})
	rows.add(6, second, ingest.NamedFile{})
	rows.add(7, first, ingest.NamedFile{ID: 2})
	want := []ingest.Name{{Alias: first, Files: []ingest.NamedFile{{ID: 1}, {ID: 3, Path: "x"}}}, {Alias: second},
		{Alias: first, Files: []ingest.NamedFile{{ID: 2}}}}
	if !reflect.DeepEqual(rows.Names, want) {
		t.Errorf("%+v, want %+v", rows.Names, want)
	}
}
