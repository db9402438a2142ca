package layout

import (
	"path"
	"regexp"
	"strings"
)

var (
	notInName     = regexp.MustCompile(`[^a-z0-9_.-]+`)
	hubName       = regexp.MustCompile(`^([^@/]+/)?([^@/]+)@([^/]+)(?:/(.+))?$`)
	nameExtension = regexp.MustCompile(`(?i)\.(gguf|safetensors|bin)$`)
)

// maxNamePart is the maximum size of a part of a name in Ollama.
const maxNamePart = 80

// OllamaName returns a valid name in Ollama for the name of a model from elsewhere, in lower case. A
// GGUF file of a repository has the name of the repository, and the file as its tag.
func OllamaName(name string) string {
	name = nameExtension.ReplaceAllString(name, "")
	tag := "latest"
	if parts := hubName.FindStringSubmatch(name); parts != nil {
		name = parts[1] + parts[2]
		if tag = parts[3]; parts[4] != "" {
			tag = path.Base(parts[4])
		}
	}
	if before, after, ok := strings.Cut(path.Base(name), ":"); ok {
		name, tag = path.Join(path.Dir(name), before), after
	}
	folder, model := path.Split(name)
	namespace := path.Base(path.Clean("/" + folder))
	if namespace == "/" {
		return namePart(model, ".") + ":" + namePart(tag, ".")
	}
	return namePart(namespace, "") + "/" + namePart(model, ".") + ":" + namePart(tag, ".")
}

// namePart replaces what a part of a name must not have. A namespace has no dots.
func namePart(part, dot string) string {
	part = notInName.ReplaceAllString(strings.ToLower(part), "-")
	if dot == "" {
		part = strings.ReplaceAll(part, ".", "-")
	}
	part = strings.Trim(part, ".-")
	if part == "" {
		return "model"
	}
	return strings.TrimRight(part[:min(len(part), maxNamePart)], ".-")
}
