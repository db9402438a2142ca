package format

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxSidecars is how many projectors and drafts a model may have. llama.cpp loads one of each, and folders
// have a few of different types. Without a limit, a folder of thousands needs memory for all their pairs.
const maxSidecars = 16

// addSidecars adds projectors, drafts and the small files of a repository to the models. A sidecar
// of no model is a model itself.
func (w *walk) addSidecars(c *contents, models []model) []model {
	isGGUF := func(m *model) bool { return hasExtension(m.weights[0].path, ".gguf") }
	candidates := ownersIn(c, models)
	for _, name := range slices.Sorted(maps.Keys(c.weights)) {
		role := sidecarRole(name)
		if role == "" || c.attached[name] {
			continue
		}
		owners := slices.DeleteFunc(ownersOf(name, candidates), func(i int) bool {
			return len(models[i].others) >= maxSidecars
		})
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

// owner is a GGUF that may have projectors and drafts.
type owner struct {
	model int // index of the model; negative for a file of the folder that is not among the models
	stem  string
}

// ownersIn returns the GGUFs of a folder that may have projectors and drafts. Some have them already.
func ownersIn(c *contents, models []model) (all []owner) {
	isOwner := func(base string) bool { return hasExtension(base, ".gguf") && sidecarRole(base) == "" }
	for i := range models {
		if base := filepath.Base(models[i].weights[0].path); isOwner(base) && models[i].name == "" {
			all = append(all, owner{i, stemOf(base)})
		}
	}
	for _, base := range c.rest {
		if isOwner(base) {
			all = append(all, owner{-1, stemOf(base)})
		}
	}
	return all
}

// ownersOf returns the models of a projector or draft: those with its name, or else all of the folder,
// as mmproj-F16.gguf belongs to each quantization.
func ownersOf(name string, candidates []owner) []int {
	stem := stemOf(name)
	var all, named []int
	isNamed := false
	for _, o := range candidates {
		hasStem := stem != "-" && strings.Contains(o.stem, stem)
		isNamed = isNamed || hasStem
		if o.model >= 0 {
			all = append(all, o.model)
		}
		if o.model >= 0 && hasStem {
			named = append(named, o.model)
		}
	}
	if isNamed {
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
