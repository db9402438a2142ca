package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// kinds make the rows of one content each, for a file of some bytes.
var kinds = map[string]func(*registry, int) *content{
	// The hash is that of the content.
	"right": func(r *registry, bytes int) *content {
		name, d := r.file(r.name(), bytes)
		return &content{d, moves, []*otherAtom{r.atom(d, r.path(name), r.says(d, true))}}
	},
	// The hash is that of the path.
	"lying": func(r *registry, bytes int) *content {
		name, d := r.file(r.name(), bytes)
		path := r.path(name)
		return &content{d, moves, []*otherAtom{r.atom(pathHash(path), path, r.says(d, true))}}
	},
	// The hash is that of the path at which the file was registered, and the path has changed.
	"renamed": func(r *registry, bytes int) *content {
		name, d := r.file(r.name(), bytes)
		const old = `C:\Old\model.bin`
		path := fmt.Sprint(old, r.serialOf())
		return &content{d, moves, []*otherAtom{r.atom(pathHash(path), r.path(name),
			fmt.Sprintf(`{"file_path": %q, "load_on_demand": true, "ollama_digest": "sha256:%s"}`, path, d))}}
	},
	// Two rows, one with the hash of the path and one with the right one.
	"twins": func(r *registry, bytes int) *content {
		name, d := r.file(r.name(), bytes)
		path := r.path(name)
		lying, right := r.atom(pathHash(path), path, r.says(d, false)), r.atom(d, "", `{"right": true}`)
		right.modality, right.subtype, right.uri, right.ownCount = lying.modality, "", lying.uri, lying.ownCount
		if r.random.IntN(2) == 0 {
			right.locator = path
		}
		return &content{d, moves, r.shuffled(lying, right)}
	},
	// A row has the payload already.
	"has": func(r *registry, bytes int) *content {
		name, d := r.file(r.name(), bytes)
		a := r.atom(d, r.path(name), r.says(d, true))
		if r.plain {
			return &content{d, moves, []*otherAtom{a}}
		}
		a.payload = r.bytes(name)
		return &content{d, has, []*otherAtom{a}}
	},
	// Files that are not there, or not what the row claims.
	"missing": func(r *registry, _ int) *content {
		return r.bad(r.path(fmt.Sprint("gone", r.serialOf())))
	},
	"missing twins": func(r *registry, _ int) *content {
		c := r.bad(r.local(fmt.Sprint("gone", r.serialOf())))
		right := r.atom(ingest.Sum([]byte(c.rows[0].locator)), "", "")
		c.rows[0].metadata = r.says(right.hash, true)
		right.modality, right.ownCount = c.rows[0].modality, c.rows[0].ownCount
		c.rows = r.shuffled(c.rows[0], right)
		return c
	},
	"not mapped": func(r *registry, _ int) *content { return r.bad(fmt.Sprint(`E:\models\`, r.serialOf())) },
	"relative":   func(r *registry, _ int) *content { return r.bad(fmt.Sprint("models/", r.serialOf())) },
	"folder":     func(r *registry, _ int) *content { return r.bad(r.folder + strings.Repeat("/", 1+r.serialOf())) },
	"device":     func(r *registry, _ int) *content { return r.bad(strings.Repeat("/", 1+r.serialOf()) + "dev/null") },
	"dots": func(r *registry, _ int) *content {
		return r.bad(windowsName(fmt.Sprint("../../etc/", r.serialOf())))
	},
	"outside": func(r *registry, _ int) *content {
		path := filepath.Join(filepath.Dir(r.folder), fmt.Sprint("outside", r.serialOf()))
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			r.Fatal(err)
		}
		return r.bad(path)
	},
	"unreadable": func(r *registry, _ int) *content {
		path := r.local(fmt.Sprint("loop", r.serialOf()))
		if err := os.Symlink(path, path); err != nil { // even root cannot read it
			r.Fatal(err)
		}
		return r.bad(path)
	},
	"other content": func(r *registry, bytes int) *content { // than ContentHash says
		name, _ := r.file(r.name(), bytes)
		if strings.HasPrefix(name, "blobs/") {
			return r.bad(r.local("gone" + filepath.Base(name)))
		}
		path := r.local(name)
		return &content{fate: stays, rows: []*otherAtom{r.atom(ingest.Sum([]byte(path)), path, "")}}
	},
	"other than Metadata": func(r *registry, bytes int) *content {
		name, _ := r.file(r.name(), bytes)
		path := r.local(name)
		return &content{fate: stays, rows: []*otherAtom{
			r.atom(pathHash(path), path, r.says(ingest.Sum([]byte(path)), false))}}
	},
	"other than the name": func(r *registry, _ int) *content {
		c := r.bad(r.local("blobs/sha256-" + ingest.Sum(fmt.Append(nil, r.serialOf())).String()))
		if err := os.WriteFile(c.rows[0].locator, []byte("other"), 0o600); err != nil {
			r.Fatal(err)
		}
		return c
	},
	// Content without a file.
	"text": func(r *registry, _ int) *content {
		text := fmt.Sprint("text ", r.serialOf())
		a := r.atom(ingest.Sum([]byte(text)), "", "")
		a.modality, a.text = "text", text
		return &content{a.hash, untouched, []*otherAtom{a}}
	},
}

// serialOf returns a number that no other call returns.
func (r *registry) serialOf() int {
	r.serial++
	return r.serial
}

// name returns the name of a new file; empty for the digest.
func (r *registry) name() string {
	odd := []string{"", "plain", "with space ", "umlaut-äß", "日本", "😀", "sha256-short", "quote'\"", "percent%5C&"}
	name := odd[r.random.IntN(len(odd))]
	if name != "" {
		name += fmt.Sprint(r.serialOf())
	}
	return name
}

// path returns a row's path of a file.
func (r *registry) path(name string) string {
	if r.random.IntN(2) == 0 {
		return r.local(name)
	}
	return windowsName(name)
}

// says returns Metadata that claim a digest, or none if none is needed.
func (r *registry) says(d ingest.Digest, badToo bool) string {
	switch r.random.IntN(5) {
	case 0:
		return fmt.Sprintf(`{"ollama_digest": "sha256:%s", "size_gb": 4.50, "n": %d}`, d, r.serialOf())
	case 1:
		return fmt.Sprintf(`{"ollama_digest":"sha256-%s", "model_name": "ä 日本"}`, d)
	case 2:
		if badToo {
			return "{bad json"
		}
	case 3:
		if badToo {
			return ""
		}
	}
	return fmt.Sprintf(`{"ollama_digest": "sha256:%s"}`, d)
}

// atom returns a row, with other columns and references at random.
func (r *registry) atom(hash ingest.Digest, locator, metadata string) *otherAtom {
	some := func(of ...string) string { return of[r.random.IntN(len(of))] }
	upTo := func(n int64) int64 { return r.random.Int64N(n + 1) }
	a := &otherAtom{hash: hash, modality: some("model", "text", "image"), subtype: some("", "llm"),
		uri: some("", "ollama://llama4:latest"), sourceType: "ollama_blob", locator: locator, metadata: metadata,
		inactive: r.random.IntN(8) == 0}
	if r.random.IntN(2) == 0 { // gc keeps the payloads of atoms that other programs refer to, in any case
		a.jobs, a.layers, a.tensors, a.embeddings = upTo(2), upTo(1), upTo(2), upTo(2)
	}
	if r.tsql || a.modality != "model" { // in SQLite, ReferenceCount of all models counts this program's rows
		a.ownCount = a.jobs + a.layers + a.tensors + a.embeddings
	}
	return a
}

// bad returns a row for a path from which nothing can be migrated.
func (r *registry) bad(path string) *content {
	return &content{fate: stays, rows: []*otherAtom{r.atom(pathHash(path), path, "")}}
}

func (r *registry) shuffled(a ...*otherAtom) []*otherAtom {
	r.random.Shuffle(len(a), func(i, j int) { a[i], a[j] = a[j], a[i] })
	return a
}

// bytes reads a file.
func (r *registry) bytes(name string) []byte {
	r.Helper()
	content, err := os.ReadFile(r.local(name))
	if err != nil {
		r.Fatal(err)
	}
	return content
}

// fill inserts rows of each kind, times of each. The order is random, but the same in each run.
func (r *registry) fill(times, bytes int) {
	r.Helper()
	var all []*content
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for range times {
			all = append(all, kinds[kind](r, bytes))
		}
	}
	empty := r.write("empty", nil)
	none := ingest.Sum(nil)
	r.add(append(all, &content{none, moves, []*otherAtom{r.atom(pathHash(empty), empty, "")}})...)
}

// add inserts the rows of contents, in a random order.
func (r *registry) add(contents ...*content) {
	r.Helper()
	var rows []*otherAtom
	for _, c := range contents {
		for _, a := range c.rows {
			if (c.fate == moves || c.fate == has) && a.locator != "" {
				r.paths[a.locator] = c.digest
			}
		}
		rows = append(rows, c.rows...)
	}
	r.contents = append(r.contents, contents...)
	r.shuffled(rows...)
	r.outside(func(o *outside) {
		for _, a := range rows {
			o.insert(a)
		}
	})
}
