package format

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/huggingface"
)

// The flat cache of llama.cpp up to 2026 (common/download.cpp and common/arg.cpp):
//
//	<owner>_<name>_<path, with _ for />      a file of a repository
//	<the same>.etag, <the same>.json         of its download
//	manifest=<owner>=<name>=<tag>.json       names the model and the projector of -hf <owner>/<name>:<tag>

func isCacheManifest(name string) bool {
	return strings.HasPrefix(name, "manifest=") && strings.HasSuffix(name, ".json") && strings.Count(name, "=") == 3
}

// nameByCache names the models that the manifests of llama.cpp's cache name, and adds their projectors.
func (w *walk) nameByCache(c *contents, models []model) {
	for _, at := range c.manifests {
		parts := strings.Split(strings.TrimSuffix(filepath.Base(at.path), ".json"), "=")
		owner, name, tag := parts[1], parts[2], parts[3]
		var manifest struct{ GGUFFile, MMProjFile struct{ RFilename string } }
		text, err := readSmall(at, maxRefBytes)
		if err == nil {
			err = json.Unmarshal(text, &manifest)
		}
		if err != nil {
			w.refuse(at.path, err)
			continue
		}
		local := func(path string) string {
			return owner + "_" + name + "_" + strings.ReplaceAll(path, "/", "_")
		}
		weights := local(manifest.GGUFFile.RFilename)
		i := slices.IndexFunc(models, func(m model) bool { return filepath.Base(m.weights[0].path) == weights })
		if i < 0 || models[i].name != "" {
			w.count.others++
			continue
		}
		models[i].name = owner + "/" + name + ":" + tag
		models[i].uri = huggingface.URI(owner+"/"+name, "", manifest.GGUFFile.RFilename)
		beside := local(manifest.MMProjFile.RFilename)
		if projector, found := c.weights[beside]; manifest.MMProjFile.RFilename != "" && found {
			c.attached[beside] = true
			models[i].others = append(models[i].others, member{projector, ingest.Projector})
		}
	}
}

// studioFolders are the names of LM Studio's folder. Its models are in
// models/<publisher>/<repository>/<file>.
var studioFolders = []string{".lmstudio", "lmstudio", "lm-studio"}

// studioName returns the name of a model in LM Studio's folder; empty if it is not in one.
func studioName(weights []place) (name, uri string) {
	parts := strings.Split(filepath.ToSlash(weights[0].path), "/")
	n := len(parts)
	if n < 5 || parts[n-4] != "models" || !slices.Contains(studioFolders, strings.ToLower(parts[n-5])) {
		return "", ""
	}
	file := parts[n-1]
	if set, _, ok := parseSplit(file); ok {
		file = set.name + set.extension
	}
	name = parts[n-3] + "/" + parts[n-2] + "/" + file
	return name, "lmstudio://" + name
}
