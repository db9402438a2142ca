package ollama

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// The host and the namespace that Ollama omits from names.
const (
	defaultHost      = "registry.ollama.ai"
	defaultNamespace = "library"
)

// The parts of a name, and their maximum lengths. Only a host may contain a colon, before its port;
// otherwise it separates the tag.
var (
	hostPart  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:-]*$`)
	otherPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

const (
	maxHost = 350
	maxPart = 128
)

// Name returns the name of the model with a manifest at this path, which is relative to the manifests
// folder and uses slashes: "llama3:latest" for "registry.ollama.ai/library/llama3/latest".
func Name(manifest string) (string, error) {
	parts := strings.Split(manifest, "/")
	if len(parts) != 4 {
		return "", fmt.Errorf("a manifest is at manifests/<host>/<namespace>/<model>/<tag>, not at %q", manifest)
	}
	for i, part := range parts {
		pattern, longest := otherPart, maxPart
		if i == 0 {
			pattern, longest = hostPart, maxHost
		}
		if len(part) > longest || !pattern.MatchString(part) {
			return "", fmt.Errorf("%q is not a valid part of an Ollama model's name", part)
		}
	}
	host, namespace, model := parts[0], parts[1], parts[2]+":"+parts[3]
	switch {
	case host == defaultHost && namespace == defaultNamespace:
		return model, nil
	case host == defaultHost:
		return namespace + "/" + model, nil
	default:
		return host + "/" + namespace + "/" + model, nil
	}
}

// Path is the inverse of Name: the path of the manifest of a model.
func Path(name string) (string, error) {
	folder, model := path.Split(name)
	base, tag, ok := strings.Cut(model, ":")
	if !ok {
		return "", fmt.Errorf("%q is not the name of an Ollama model with a tag", name)
	}
	host, namespace := defaultHost, defaultNamespace
	switch parts := strings.Split(strings.TrimSuffix(folder, "/"), "/"); {
	case folder == "":
	case len(parts) == 1:
		namespace = parts[0]
	default:
		host, namespace = parts[0], strings.Join(parts[1:], "/")
	}
	at := host + "/" + namespace + "/" + base + "/" + tag
	if back, err := Name(at); err != nil || back != name {
		return "", fmt.Errorf("%q is not the name of an Ollama model", name)
	}
	return at, nil
}

// URI returns the URI of a model with this name.
func URI(name string) string { return "ollama://" + name }

// BlobDigest returns the digest in a blob's file name. Old versions of Ollama write it with a
// colon.
func BlobDigest(name string) (ingest.Digest, bool) {
	digest, err := parseDigest(name)
	return digest, err == nil
}

// BlobNames returns the file names that the blob of digest may have, the usual one first.
func BlobNames(digest ingest.Digest) []string {
	upper := strings.ToUpper(digest.String())
	return []string{"sha256-" + digest.String(), "sha256:" + digest.String(), "sha256-" + upper, "sha256:" + upper}
}
