package format

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// addSidecars adds projectors, drafts and the small files of a repository to the models. A sidecar
// of no model is a model itself.
func (w *walk) addSidecars(c *contents, models []model) []model {
	isGGUF := func(m *model) bool { return hasExtension(m.weights[0].path, ".gguf") }
	for _, name := range slices.Sorted(maps.Keys(c.weights)) {
		role := sidecarRole(name)
		if role == "" || c.attached[name] {
			continue
		}
		owners := ownersOf(name, models, c.rest)
		for _, i := range owners {
			models[i].others = append(models[i].others, member{c.weights[name], role})
		}
		if len(owners) == 0 && (w.only == nil || w.only[name]) {
			models = append(models, model{weights: []place{c.weights[name]}})
		}
	}
	used := false
	for i := range models {
		m := &models[i]
		repository := w.layout || slices.ContainsFunc(slices.Collect(maps.Keys(c.small)), describesModel)
		if w.attach && isGGUF(m) || repository && hasExtension(m.weights[0].path, ".safetensors") {
			used = true
			for _, name := range slices.Sorted(maps.Keys(c.small)) {
				m.others = append(m.others, member{c.small[name], smallRole(name)})
			}
		}
	}
	for _, at := range c.small {
		switch {
		case used:
		case w.opaque:
			models = append(models, model{weights: []place{at}})
		default:
			w.count.others++
		}
	}
	return models
}

// ownersOf returns the GGUF models of a projector or draft: those with its name, or else all of the
// folder, as mmproj-F16.gguf belongs to each quantization. Some have it already. rest are the names of
// weights of the folder that are not among the models.
func ownersOf(name string, models []model, rest []string) (all []int) {
	stem := stemOf(name)
	hasStem := func(base string) bool { return stem != "-" && strings.Contains(stemOf(base), stem) }
	isOwner := func(base string) bool { return hasExtension(base, ".gguf") && sidecarRole(base) == "" }
	var named []int
	for i := range models {
		base := filepath.Base(models[i].weights[0].path)
		if !isOwner(base) || models[i].name != "" {
			continue
		}
		if all = append(all, i); hasStem(base) {
			named = append(named, i)
		}
	}
	if len(named) > 0 || slices.ContainsFunc(rest, func(base string) bool { return isOwner(base) && hasStem(base) }) {
		return named
	}
	return all
}

var (
	notWord     = regexp.MustCompile(`[^a-z0-9]+`)
	genericWord = regexp.MustCompile(`-(mmproj|mtp|model|f16|f32|bf16|q8-0)(-(mmproj|mtp|model|f16|f32|bf16|q8-0))*-`)
)

// stemOf returns the words of a file's name without those of sidecars and their types: "-own-" for
// mmproj-own-f16.gguf.
func stemOf(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".gguf")
	return genericWord.ReplaceAllString("-"+notWord.ReplaceAllString(name, "-")+"-", "-")
}
