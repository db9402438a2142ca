package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/header"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/source"
)

// sniffBytes is the number of bytes that sniff reads.
const sniffBytes = header.ContentBytes + 1

// knownStarts are the first bytes of weights that Parser stores without tensors: older formats of
// ggml (GGML_FILE_MAGIC and its successors, as numbers in the file's byte order), and PyTorch's
// archives and pickles.
var knownStarts = []string{"lmgg", "fmgg", "tjgg", "algg", "PK\x03\x04", "\x80\x02", "\x80\x03", "\x80\x04"}

// sniff reports whether a file that is named like weights, or after its content, is weights. The
// error says what else it is if its name promises weights.
func sniff(at place) (bool, error) {
	file, err := source.Open(at.path, at.root)
	if err != nil {
		return false, err
	}
	defer file.Close()
	first := make([]byte, sniffBytes)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	first = first[:n]
	if gguf.Sniff(first) || safetensors.Sniff(first) {
		return true, nil
	}
	name := at.path
	if !IsWeights(name) {
		name = at.real
	}
	if !IsWeights(name) {
		return false, nil
	}
	for _, known := range knownStarts {
		if bytes.HasPrefix(first, []byte(known)) {
			return true, nil
		}
	}
	if what := header.Content(first); what != "" {
		return false, fmt.Errorf("not weights: it %s", what)
	}
	return !hasExtension(name, ".bin"), nil
}

// errLinkText is for a link that was lost when its folder was copied.
var errLinkText = errors.New("it has the text of a symbolic link: copy the folder with its links")

// isLostLink reports whether a small file of weights has the text of a relative link instead.
func isLostLink(path string, first []byte, size int64) bool {
	return size < 1000 && IsWeights(filepath.Base(path)) && strings.HasPrefix(string(first), "../") &&
		strings.HasPrefix(header.Content(first), "is text") && !bytes.ContainsAny(first, "\n{")
}
