package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// folder has real files of other programs. It is beside the checkout.
var folder = filepath.Join("..", "..", "..", "..", "shared", "testdata")

// needFolder skips the test if the folder is missing. In CI, it fails the test.
func needFolder(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("real files are missing: %v", err)
		}
		t.Skipf("real files are missing: %v", err)
	}
}

// manifest returns the rows of MANIFEST.tsv below gguf/ or with format gguf, by column names.
func manifest(t testing.TB) []map[string]string {
	t.Helper()
	needFolder(t)
	text, err := os.ReadFile(filepath.Join(folder, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, field := range strings.Split(line, "\t") {
			row[columns[i]] = field
		}
		if strings.HasPrefix(row["path"], "gguf/") || row["format"] == "gguf" {
			rows = append(rows, row)
		}
	}
	return rows
}

// refusedFiles are the invalid files.
var refusedFiles = map[string]struct {
	at     int64
	reason string
}{
	"RWKV_rwkv.cpp/tiny-rwkv-5v2-730K-FP16.bin":                     {0, "format ggmf"},
	"RWKV_rwkv.cpp/tiny-rwkv-5v2-730K-Q5_0.bin":                     {0, "format ggmf"},
	"ggml-org_whisper.cpp/1351aeba-for-tests-ggml-tiny.bin":         {0, "format ggml"},
	"ggml-org_whisper.cpp/dc23bb64-for-tests-ggml-parakeet-tdt.bin": {0, "format ggml"},
	"ggml-org_whisper.cpp/for-tests-ggml-whisper-bad-ndims.bin":     {0, "format ggml"},
	"ggml-org_whisper.cpp/for-tests-silero-v6.2.0-ggml.bin":         {0, "format ggml"},
	"ggerganov_llama.cpp/example.gguf":                              {0, "draft of the format"},
	"yailabs_yvex/bad-magic.gguf":                                   {0, `starts with "BAD!"`},
	"yailabs_yvex/short-header.gguf":                                {0, "only 3 bytes"},
	"EffortlessMetrics_BitNet-rs/mini.gguf":                         {24, "name of 962072674336 bytes"},
	"ggerganov_llama.cpp/test_writer.gguf":                          {204, "type of the value is 13"},
	"uShure_llama-jni-bridge/ggml-vocab-bert-bge.gguf":              {212, "name of 1572864 bytes"},
	"yailabs_yvex/metadata-array-oob.gguf": {52,
		"array of 3 items takes at least 12 bytes, but 4"},
	"yailabs_yvex/metadata-bool-invalid.gguf": {48, "a bool is 2"},
	"yailabs_yvex/metadata-empty-key.gguf":    {24, "the name is empty"},
	"yailabs_yvex/metadata-nested.gguf": {52,
		"array of 1 items takes at least 12 bytes, but 0"},
	"yailabs_yvex/metadata-string-oob.gguf":       {48, "string of 100 bytes, but 0"},
	"yailabs_yvex/metadata-unknown-type.gguf":     {44, "type of the value is 99"},
	"yailabs_yvex/tensor-dim-overflow.gguf":       {241, "dimension 1 is -9223372036854775808"},
	"yailabs_yvex/tensor-name-out-of-bounds.gguf": {212, "name of 100 bytes, but 0 are left"},
	"yailabs_yvex/tensor-offset-misaligned.gguf": {261,
		"offset 1 is not a multiple of the alignment 32"},
	"yailabs_yvex/tensor-offset-out-of-bounds.gguf": {261,
		"128 bytes at 288 + 1024 extend beyond the end"},
	"yailabs_yvex/tensor-rank-unsupported.gguf": {285, "480 bytes at 320 + 0 extend beyond the end"},
	"yailabs_yvex/tensor-rank-zero.gguf":        {245, "4 bytes at 256 + 0 extend beyond the end"},
	"yailabs_yvex/unsupported-version.gguf":     {4, "version 999"},
	"zackshen_gguf/eba29fcd-test-le-v3.gguf":    {69, `"general.architecture": used twice, first at offset 24`},
	"zackshen_gguf/test-be-v3.gguf":             {69, `"general.architecture": used twice, first at offset 24`},
}

func TestRealFiles(t *testing.T) {
	seen := 0
	for _, row := range manifest(t) {
		t.Run(row["path"], func(t *testing.T) {
			file, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(row["path"])))
			if err != nil {
				t.Fatal(err)
			}
			if refused, ok := refusedFiles[strings.TrimPrefix(row["path"], "gguf/")]; ok {
				seen++
				mustRefuse(t, file, refused.at, refused.reason)
				return
			}
			f, err := parse(file)
			if err != nil {
				t.Fatal(err)
			}
			checkValid(t, f, int64(len(file)))
			checkRow(t, f, row)
		})
	}
	if seen != len(refusedFiles) {
		t.Errorf("%d of %d invalid files are in the manifest", seen, len(refusedFiles))
	}
}

// checkRow compares a file with its row in the manifest, which another program wrote.
func checkRow(t *testing.T, f *gguf.File, row map[string]string) {
	t.Helper()
	endian := "LE"
	if f.BigEndian {
		endian = "BE"
	}
	count := map[string]int{}
	for _, tensor := range f.Tensors {
		count[tensor.Type.String()]++
	}
	var types []string
	for name, n := range count {
		types = append(types, fmt.Sprintf("%s:%d", name, n))
	}
	sort.Strings(types)
	alignment := int64(32)
	for _, quirk := range strings.Split(row["quirks"], "; ") {
		fmt.Sscanf(quirk, "alignment=%d", &alignment)
	}
	got := fmt.Sprintln(f.Version, endian, len(f.Tensors), len(f.Metadata), strings.Join(types, ","), f.Alignment)
	want := fmt.Sprintln(row["gguf_version"], row["endian"], row["n_tensors"], row["n_kv_or_meta"], row["types"],
		alignment)
	if got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// TestRealNames compares a file of version 1 with the names and sizes of its model.
func TestRealNames(t *testing.T) {
	needFolder(t)
	file, err := os.ReadFile(filepath.Join(folder, "gguf", "crabml_crabml", "tinyllamas-stories-260k-f32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _ := f.Lookup("tokenizer.ggml.tokens")
	if name, _ := f.String("general.architecture"); name != "llama" || tokens.Length != 512 {
		t.Errorf("architecture %q, %d tokens", name, tokens.Length)
	}
	// 260,032 parameters, and an output that is a copy of the embedding of 512 x 64.
	var elements, last int64
	for _, tensor := range f.Tensors {
		elements += int64(tensor.Elements)
		last = max(last, tensor.Offset+tensor.Size)
	}
	if elements != 260_032+512*64 || last != int64(len(file)) {
		t.Errorf("%d elements, data ends at %d of %d", elements, last, len(file))
	}
}
