package huggingface

import "strings"

// Repository returns the name of the repository whose folder in a hub cache has this name:
// demo/model for models--demo--model, and model for models--model. Datasets and spaces have other
// prefixes.
func Repository(folder string) (name string, ok bool) {
	name, ok = strings.CutPrefix(folder, "models--")
	name = strings.Replace(name, "--", "/", 1)
	return name, ok && name != ""
}

// URI returns the URI that HfFileSystem of huggingface_hub gives a file, or all of a repository if
// path is empty: hf://demo/model@main/a.gguf.
func URI(repository, revision, path string) string { return "hf://" + Name(repository, revision, path) }

// Name returns the name of a file of a repository at a revision.
func Name(repository, revision, path string) string {
	name := repository
	if revision != "" {
		name += "@" + revision
	}
	if path != "" {
		name += "/" + path
	}
	return name
}
