package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// cases has files made after public reports; see CASES.md there. It is beside the checkout.
var cases = filepath.Join("..", "..", "..", "..", "shared", "cases", "sources")

// readCase returns a file of cases. It skips the test if the folder is missing, except in CI.
func readCase(t testing.TB, path string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(cases, filepath.FromSlash(path)))
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("cases are missing: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCases(t *testing.T) {
	for _, row := range []struct {
		path    string
		tensors []string // name, type, shape, offset, size
		warning string
	}{
		{"01-five-dims/wan-demo.gguf", []string{
			"blocks.0.self_attn.q.weight F32 [32 4] 224 512",
			"patch_embedding.weight F32 [2 2 1 4 8] 736 512",
		}, ""},
		{"02-long-tensor-name/sd-demo.gguf", []string{
			"model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_q.weight F32 [32 4] 224 512",
			"a.weight F32 [32] 736 128",
		}, ""},
		{"03-type42-group128/ternary-demo-Q2_0.gguf", []string{
			"blk.0.ffn_down.weight type 42 [256 64] 256 4352",
			"blk.1.ffn_down.weight type 42 [256 64] 4608 4352",
			"output_norm.weight F32 [256] 8960 1024",
		}, `Q2_0: tensor "blk.0.ffn_down.weight": its 4608 bytes do not fit into the 4352 up to the next tensor`},
		{"03b-type42-at-end/ternary-demo-Q2_0.gguf", []string{
			"token_embd.weight type 42 [256 64] 128 4352",
		}, `Q2_0: tensor "token_embd.weight": its 4608 bytes do not fit into the 4352 up to the end of the file`},
		{"04-type39-tl2/ggml-model-tl2.gguf", []string{
			"blk.0.ffn_up.weight type 39 [3200 32] 224 21376",
			"blk.1.ffn_up.weight type 39 [3200 32] 21600 21376",
		}, `MXFP4: tensor "blk.0.ffn_up.weight": its 54400 bytes do not fit into the 21376 up to the next tensor`},
		{"05-type36-i2_s/ggml-model-i2_s.gguf", []string{
			"blk.0.ffn_up.weight type 36 [256 32] 256 2080",
			"blk.1.ffn_up.weight type 36 [256 32] 2336 2080",
		}, ""},
	} {
		t.Run(row.path, func(t *testing.T) {
			file := readCase(t, row.path)
			f, err := parse(file)
			if err != nil {
				t.Fatal(err)
			}
			checkValid(t, f, int64(len(file)))
			checkShown(t, f, row.tensors)
			if warning := strings.Join(f.Warnings, "\n"); !strings.HasSuffix(warning, row.warning) ||
				(warning == "") != (row.warning == "") {
				t.Errorf("warnings are %q, want %q", warning, row.warning)
			}
		})
	}
}

func checkShown(t *testing.T, f *gguf.File, want []string) {
	t.Helper()
	var got []string
	for _, tensor := range f.Tensors {
		got = append(got, fmt.Sprintf("%s %s %v %d %d", tensor.Name, tensor.Type, tensor.Shape, tensor.Offset,
			tensor.Size))
	}
	if shown := strings.Join(got, "\n"); shown != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", shown, strings.Join(want, "\n"))
	}
}
