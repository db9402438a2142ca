// Package huggingface reads the files with which transformers and the Hugging Face hub describe a
// model: the index of sharded weights, and the names in a hub cache. Package format reads the folders.
//
// The layout of the cache is that of docs/source/en/guides/manage-cache.md and file_download.py of
// github.com/huggingface/huggingface_hub; the index is that of save_torch_state_dict in
// serialization/_torch.py there.
package huggingface

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of an index. Real ones have up to 150,000 tensors in 200 files, and 20 MB.
const (
	maxIndexBytes = 64 << 20
	maxText       = 1 << 20 // bytes of a name or of another value
	maxShards     = 100_000
	maxNesting    = 32
)

// Index reads the weight_map of an index (model.safetensors.index.json), and calls visit for each
// tensor and the file that has it, in their order. It keeps none in memory. A file is the name of
// one in the folder of the index.
func Index(src io.Reader, visit func(tensor, file string) error) error {
	return index(src, maxIndexBytes, visit)
}

func index(src io.Reader, limit int64, visit func(tensor, file string) error) error {
	r := &reader{src: src, limit: limit}
	r.json = json.NewDecoder(r)
	if err := r.open('{'); err != nil {
		return err
	}
	found := false
	for r.json.More() {
		key, err := r.text()
		if err != nil {
			return err
		}
		if key != "weight_map" || found {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		found = true
		if err := r.weightMap(visit); err != nil {
			return err
		}
	}
	if _, err := r.json.Token(); err != nil {
		return r.invalid(err)
	}
	if !found {
		return errors.New("it has no weight_map")
	}
	return nil
}

// Shards returns the files that an index names, sorted.
func Shards(src io.Reader) ([]string, error) {
	seen := map[string]bool{}
	err := Index(src, func(_, file string) error {
		if seen[file] = true; len(seen) > maxShards {
			return fmt.Errorf("it names more than %d files", maxShards)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, errors.New("its weight_map is empty")
	}
	return names, nil
}

// reader limits what the decoder reads for one token.
type reader struct {
	src   io.Reader
	json  *json.Decoder
	read  int64
	limit int64
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.read > r.limit:
		return 0, fmt.Errorf("it has more than %d bytes", r.limit)
	case r.read-r.json.InputOffset() > maxText:
		return 0, fmt.Errorf("a value at byte %d has more than %d bytes", r.json.InputOffset(), maxText)
	}
	n, err := r.src.Read(p)
	r.read += int64(n)
	return n, err
}

func (r *reader) invalid(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("not a valid index: byte %d: %w", r.json.InputOffset(), err)
}

func (r *reader) open(want json.Delim) error {
	token, err := r.json.Token()
	if err != nil {
		return r.invalid(err)
	}
	if token != want {
		return r.invalid(fmt.Errorf("want %v", want))
	}
	return nil
}

func (r *reader) text() (string, error) {
	token, err := r.json.Token()
	if err != nil {
		return "", r.invalid(err)
	}
	text, ok := token.(string)
	if !ok {
		return "", r.invalid(errors.New("want a string"))
	}
	return text, nil
}

// skip reads one value.
func (r *reader) skip() error {
	for depth := 0; ; {
		token, err := r.json.Token()
		if err != nil {
			return r.invalid(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxNesting {
			return r.invalid(errors.New("it is nested too deeply"))
		}
		if depth == 0 {
			return nil
		}
	}
}

func (r *reader) weightMap(visit func(tensor, file string) error) error {
	if err := r.open('{'); err != nil {
		return err
	}
	for r.json.More() {
		tensor, err := r.text()
		if err != nil {
			return err
		}
		file, err := r.text()
		if err != nil {
			return err
		}
		if err := checkName(file); err != nil {
			return err
		}
		if err := visit(tensor, file); err != nil {
			return err
		}
	}
	_, err := r.json.Token()
	if err != nil {
		return r.invalid(err)
	}
	return nil
}

// checkName refuses a file that is not in the folder of the index.
func checkName(name string) error {
	if len(name) > 255 || !filepath.IsLocal(name) || name == "." || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("it names the file %.100q, which is not a name in its folder", name)
	}
	return nil
}
