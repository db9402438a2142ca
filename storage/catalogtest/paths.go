package catalogtest

import (
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// at returns the source with a path relative to the folder that was ingested.
func (s source) at(name string) source {
	s.Name = name
	return s
}

// pathsOf returns the relative paths of the files of a name, with the files' indexes, in their order.
func pathsOf(s ingest.Summary, name string) (paths string) {
	for _, n := range s.Names {
		for i, f := range s.Files {
			for _, named := range n.Files {
				if n.Name == name && named.ID == f.ID {
					paths += fmt.Sprintf("%d:%s ", i, named.Path)
				}
			}
		}
	}
	return paths
}

var pathTests = []test{
	{name: "each name has paths of its own", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("one", gguf("/m.gguf", "m").at("x/m.gguf"), small("/t", "t", ingest.Template).at(hostile)))
		r.take(newWork("two", gguf("/n.gguf", "m").at("y/n.gguf"), small("/u", "t", ingest.Template)))
		s := r.summary(id)
		want(t, "paths of the first name", pathsOf(s, "one"), "0:x/m.gguf 1:"+hostile+" ")
		want(t, "paths of the second name", pathsOf(s, "two"), "0:y/n.gguf 1: ")
		r.check()
	}},
	{name: "equal files of a model keep their paths", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		twice := func(name string, equal ...string) work {
			files := []source{gguf("/"+name+".gguf", "m").at("m.gguf")}
			for _, path := range equal {
				files = append(files, small("/"+name+path, "{}", "tokenizer").at(path))
			}
			return newWork(name, files...)
		}
		id := r.take(twice("one", "a.json"))
		r.take(twice("two", "b.json", "c.json"))
		s := r.summary(id)
		want(t, "files", len(s.Files), 3)
		want(t, "paths of the first name", pathsOf(s, "one"), "0:m.gguf 1:a.json ")
		want(t, "paths of the second name", pathsOf(s, "two"), "0:m.gguf 1:b.json 2:c.json ")
		other := r.take(newWork("other", gguf("/o.gguf", "o")))
		for range 2 {
			must(t, r.Attach(t.Context(), r.lease, other, ingest.Alias{Name: "three"}, []ingest.NamedFile{
				{ID: r.summary(other).Files[0].ID, Path: "o.gguf"}, {ID: s.Files[1].ID, Path: "d.json"},
				{ID: s.Files[2].ID, Path: "e.json"}}))
			want(t, "paths of the attached name", pathsOf(r.summary(other), "three"), "0:o.gguf 1:d.json 2:e.json ")
		}
		r.check()
	}},
	{name: "a name that is ingested again has the new paths", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("one", gguf("/m.gguf", "m").at("x/m.gguf"), small("/t", "t", ingest.Template).at("t")))
		weights := r.summary(id).Files[0].ID
		must(t, r.Attach(t.Context(), r.lease, id, ingest.Alias{Name: "one"},
			[]ingest.NamedFile{{ID: weights, Path: "m.gguf"}}))
		want(t, "paths", pathsOf(r.summary(id), "one"), "0:m.gguf ")
		e := r.begin(newWork("new", gguf("/n.gguf", "n").at("old/n.gguf")))
		again := newWork("new", gguf("/n.gguf", "n").at("n.gguf"))
		want(t, "resumed", r.begin(again).ID, e.ID)
		want(t, "paths", pathsOf(r.summary(e.ID), "new"), "0:n.gguf ")
		r.check()
	}},
	{name: "registered files have paths, and keep them when the model is stored", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		files := []source{gguf("/m.gguf", "m").at("x/m.gguf"), small("/t", "{}", ingest.Template).at("x/t"),
			small("/u", "{}", ingest.Template).at("x/u")}
		id := r.register(newWork("one", files...))
		want(t, "paths", pathsOf(r.summary(id), "one"), "0:x/m.gguf 1:x/t 2:x/u ")
		stored := r.take(newWork("two", files...))
		want(t, "paths of the stored model", pathsOf(r.summary(stored), "one"), "0:x/m.gguf 1:x/t 2:x/u ")
		r.check()
	}},
}
