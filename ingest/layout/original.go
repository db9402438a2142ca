package layout

import (
	"path"
	"regexp"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// Original returns the files of a model at the paths at which they were ingested. It adds the small
// files that layouts need to name the model, and that are not a part of it: the ref of a snapshot of
// the Hugging Face hub, the index of an OCI image layout, and the list of Docker Model Runner.
func Original(m Model) Layout {
	var l Layout
	for i := range m.Under {
		l.Entries = append(l.Entries, stored(m.Under[i].Path, &m.Under[i].StoredFile))
	}
	if ref, ok := hubRef(m); ok {
		l.Entries = append(l.Entries, ref)
	}
	for _, manifest := range m.withRole(ingest.Manifest) {
		folder, kind := path.Split(strings.TrimSuffix(path.Dir(manifest.Path), "/sha256"))
		if path.Base(path.Dir(manifest.Path)) != "sha256" {
			continue
		}
		switch kind {
		case "blobs":
			l.Entries = append(l.Entries, imageLayout(folder),
				imageIndex(folder, m.Alias.Name, descriptor{MediaType: ociManifest, Digest: digestText(manifest.Digest),
					Size: manifest.Bytes}, new(string)))
		case "manifests":
			l.Entries = append(l.Entries, orPresent(folder+"layout.json", `{"version":"1.0.0"}`),
				runnerList(folder, m, manifest))
		}
	}
	return l
}

// splitNumber matches the number of a part in the name of a split model.
var splitNumber = regexp.MustCompile(`-[0-9]{5}-of-[0-9]{5}(\.[A-Za-z]+)$`)

// hubRef returns the ref that names the snapshot of a model from a hub cache:
// models--<owner>--<name>/refs/<revision> has the commit.
func hubRef(m Model) (ref Entry, ok bool) {
	uri, isHub := strings.CutPrefix(m.Alias.URI, "hf://")
	_, revision, named := strings.Cut(uri, "@")
	if !isHub || !named || len(m.Under) == 0 {
		return Entry{}, false
	}
	repository, rest, inSnapshot := strings.Cut(m.Under[0].Path, "/snapshots/")
	commit, weights, below := strings.Cut(rest, "/")
	revision = withoutPath(revision, weights)
	if !inSnapshot || !below || revision == "" || revision == commit {
		return Entry{}, false
	}
	return made(repository+"/refs/"+revision, []byte(commit)), true
}

// withoutPath returns the revision at the start of <revision>/<path>. The path is that of the weights,
// without the number of a part, or of their folder.
func withoutPath(text, weights string) string {
	for _, end := range []string{weights, splitNumber.ReplaceAllString(weights, "$1"), path.Dir(weights)} {
		if revision, ok := strings.CutSuffix(text, "/"+end); ok {
			return revision
		}
	}
	if strings.Contains(weights, "/") {
		return ""
	}
	return text
}
