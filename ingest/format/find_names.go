package format

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/llamafile"
)

// The extensions of weights. A search does not open a file with one of parsedExtensions: Parser
// refuses it if its content is something else. It opens one with another extension, because many
// other files are named .bin.
var (
	parsedExtensions = []string{".gguf", ".safetensors", ".llamafile"}
	otherExtensions  = []string{".bin", ".ggml", ".pt", ".pth", ".ckpt", ".onnx"}
)

// IsWeights reports whether a file may be weights, by its name.
func IsWeights(name string) bool {
	extension := strings.ToLower(filepath.Ext(name))
	return slices.Contains(parsedExtensions, extension) || slices.Contains(otherExtensions, extension) ||
		llamafile.IsName(name)
}

// isParsed reports whether Parser knows what to expect in a file of this name.
func isParsed(name string) bool {
	return IsWeights(name) && !slices.Contains(otherExtensions, strings.ToLower(filepath.Ext(name)))
}

// isCut reports whether a file is a part of weights that were cut, such as x.gguf.part1of2.
func isCut(name string) bool {
	whole, ok := gguf.WholeName(name)
	return ok && IsWeights(whole)
}

// contentName matches the names of files in stores that name files after their content.
var contentName = regexp.MustCompile(`^(sha256[-:])?[0-9a-fA-F]{64}$`)

func hasExtension(name string, extensions ...string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

// Roles of the small files of a repository, beside those of package ingest.
const (
	roleTokenizer ingest.Role = "tokenizer"
	roleIndex     ingest.Role = "index"  // says which file has which tensor
	roleReadme    ingest.Role = "readme" // the model card
	roleDraft     ingest.Role = "draft"  // predicts tokens for speculative decoding
)

// smallNames are the files that transformers, PEFT and MLX write beside weights, in lower case. A
// star stands for any characters.
var smallNames = []struct {
	pattern string
	role    ingest.Role
}{
	{"*.safetensors.index.json", roleIndex},
	{"*.bin.index.json", roleIndex},
	{"config.json", ingest.Config},
	{"tokenizer*.json", roleTokenizer},
	{"tokenizer*.model", roleTokenizer},
	{"*_config.json", ingest.Config},
	{"params.json", ingest.Params},
	{"special_tokens_map.json", roleTokenizer},
	{"added_tokens.json", roleTokenizer},
	{"vocab.json", roleTokenizer},
	{"vocab.txt", roleTokenizer},
	{"merges.txt", roleTokenizer},
	{"tekken.json", roleTokenizer},
	{"spiece.model", roleTokenizer},
	{"sentencepiece*.model", roleTokenizer},
	{"*.tiktoken", roleTokenizer},
	{"chat_template.json", ingest.Template},
	{"*.jinja", ingest.Template},
	{"license*", ingest.License},
	{"notice*", ingest.License},
	{"use_policy*", ingest.License},
	{"readme.md", roleReadme},
}

// smallRole returns the role of a file that may be beside weights; empty for any other name.
func smallRole(name string) ingest.Role {
	name = strings.ToLower(name)
	for _, small := range smallNames {
		before, after, star := strings.Cut(small.pattern, "*")
		if name == small.pattern || star && len(name) >= len(before)+len(after) &&
			strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			return small.role
		}
	}
	return ""
}

// describesModel reports whether a file says that its folder is a repository: all its small files
// belong to its weights.
func describesModel(name string) bool { return name == "config.json" || name == "adapter_config.json" }

// mtpPrefix starts the names of drafts in llama.cpp (common/preset.cpp at pull request 24431).
const mtpPrefix = "mtp-"

// sidecarRole returns the role of a GGUF that llama.cpp loads with another one; empty if name is that
// of a model.
func sidecarRole(name string) ingest.Role {
	name = strings.ToLower(name)
	switch {
	case !hasExtension(name, ".gguf"):
		return ""
	case strings.Contains(name, "mmproj"):
		return ingest.Projector
	case strings.HasPrefix(name, mtpPrefix):
		return roleDraft
	}
	return ""
}
