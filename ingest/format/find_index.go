package format

import (
	"bufio"
	"fmt"
	"io"

	"github.com/hartonomous/ingest/ingest/format/huggingface"
	"github.com/hartonomous/ingest/ingest/source"
)

// readIndex returns the files that an index names.
func readIndex(at place) ([]string, error) {
	file, err := source.Open(at.path, at.root)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := huggingface.Shards(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("index of weights: %w", err)
	}
	return names, nil
}

// readSmall returns the content of a file of at most limit bytes.
func readSmall(at place, limit int64) ([]byte, error) {
	file, err := source.Open(at.path, at.root)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return text, err
}
