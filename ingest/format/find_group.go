package format

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// contents are the files of one folder that may belong to models, by name.
type contents struct {
	folder    place
	folders   []string
	weights   map[string]place
	rest      []string         // other weights, if only some files are to be found
	small     map[string]place // files that a model can have beside its weights
	manifests []place          // of llama.cpp's cache
	opaque    []place          // other files, if they are to be found
	bad       map[string]error // weights that are skipped or refused, and have been reported
	aria2     map[string]bool  // files that aria2c has not completed
	attached  map[string]bool  // projectors that a manifest of llama.cpp's cache names
}

func newContents(folder place) *contents {
	return &contents{folder: folder, weights: map[string]place{}, small: map[string]place{},
		bad: map[string]error{}, aria2: map[string]bool{}, attached: map[string]bool{}}
}

// exclude notes that a name is skipped, so that the file which it will be is not missing.
func (c *contents) exclude(name string, reason error) {
	if reason != errUnfinished {
		return
	}
	whole := strings.TrimSuffix(name, filepath.Ext(name))
	if strings.EqualFold(filepath.Ext(name), aria2) {
		c.aria2[whole] = true
	}
	c.bad[whole] = errUnfinished
}

// model is a source without a manifest. Its first weights have not been read.
type model struct {
	name, uri string // from the layout; empty if it gives none
	weights   []place
	others    []member
}

// member is another file of a model.
type member struct {
	place
	role ingest.Role
}

// shards are the files of one model, by name, that must all be there.
type shards struct {
	names []string
	index string // the file that lists them; empty if their own names say how many there are
	set   splitSet
}

func (s shards) count() int {
	if s.index != "" {
		return len(s.names)
	}
	return s.set.count
}

func (s shards) part(i int) string {
	if s.index != "" {
		return s.names[i]
	}
	return s.set.part(i + 1)
}

// splitName matches the parts of a split model: part 1 of 3 of "x" is x-00001-of-00003.gguf.
var splitName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})(\.(?i:gguf|safetensors|bin))$`)

// splitSet is what the names of all parts of one model have in common.
type splitSet struct {
	name, extension string
	count           int
}

// parseSplit parses the name of a part. number counts from 1.
func parseSplit(name string) (set splitSet, number int, ok bool) {
	fields := splitName.FindStringSubmatch(name)
	if fields == nil {
		return splitSet{}, 0, false
	}
	number, _ = strconv.Atoi(fields[2]) // five digits
	count, _ := strconv.Atoi(fields[3])
	set = splitSet{name: fields[1], extension: fields[4], count: count}
	return set, number, number >= 1 && number <= count
}

// part returns the name of a part.
func (s splitSet) part(number int) string {
	return fmt.Sprintf("%s-%05d-of-%05d%s", s.name, number, s.count, s.extension)
}

// group divides the weights of a folder into models, as the programs do that load them:
//
//   - the files that an index names, and the parts of a split model, are one model;
//   - a projector or a draft belongs to the GGUF models beside it;
//   - config.json, tokenizers and licences belong to the safetensors models beside them;
//   - any other weights are a model.
func (w *walk) group(c *contents) []model {
	sets := w.indexed(c)
	inSet := map[string]bool{}
	for _, s := range sets {
		for _, name := range s.names {
			inSet[name] = true
		}
	}
	sets = append(sets, splits(c, inSet)...)
	if w.only != nil {
		sets = slices.DeleteFunc(sets, func(s shards) bool {
			return !w.only[s.index] && !slices.ContainsFunc(s.names, w.isOnly)
		})
		w.keepOnly(c, sets)
	}
	w.check(c)
	models := w.whole(c, sets, inSet)
	w.nameByCache(c, models)
	models = w.addSidecars(c, models)
	for _, at := range c.opaque {
		models = append(models, model{weights: []place{at}})
	}
	return models
}

func (w *walk) isOnly(name string) bool { return w.only[name] }

// keepOnly moves the weights that do not belong to the files to find from weights to rest.
func (w *walk) keepOnly(c *contents, sets []shards) {
	keep := maps.Clone(w.only)
	for _, s := range sets {
		for _, name := range s.names {
			keep[name] = true
		}
	}
	maps.DeleteFunc(c.weights, func(name string, _ place) bool {
		if keep[name] || sidecarRole(name) != "" {
			return false
		}
		c.rest = append(c.rest, name)
		return true
	})
}

// check removes what is not weights.
func (w *walk) check(c *contents) {
	for _, name := range slices.Sorted(maps.Keys(c.weights)) {
		at := c.weights[name]
		var reason error
		keep := true
		switch {
		case c.aria2[name]:
			reason = besideAria2(at.path)
			c.bad[name] = reason
			w.skip(at.path, reason)
		case isParsed(name) || isParsed(at.real) || w.only[name]:
			continue
		default:
			if keep, reason = sniff(at); reason != nil {
				c.bad[name] = reason
				w.refuse(at.path, reason)
			}
		}
		switch {
		case reason == nil && keep:
			continue
		case reason == nil && w.opaque:
			c.opaque = append(c.opaque, at)
		case reason == nil:
			w.count.others++
		}
		delete(c.weights, name)
	}
}

// indexed returns the sets that the indexes of the folder name.
func (w *walk) indexed(c *contents) (sets []shards) {
	for _, name := range slices.Sorted(maps.Keys(c.small)) {
		if smallRole(name) != roleIndex {
			continue
		}
		names, err := readIndex(c.small[name])
		if err != nil {
			w.refuse(c.small[name].path, err)
			continue
		}
		here := func(name string) bool { return c.weights[name].path != "" || c.bad[name] != nil }
		if slices.ContainsFunc(names, here) { // else the weights were never downloaded
			sets = append(sets, shards{names: names, index: name})
		}
	}
	return sets
}

// splits returns the split models of the folder that no index names.
func splits(c *contents, indexed map[string]bool) (sets []shards) {
	found := map[splitSet][]string{}
	for name := range c.weights {
		if set, _, ok := parseSplit(name); ok && !indexed[name] {
			found[set] = append(found[set], name)
		}
	}
	for set, names := range found {
		slices.Sort(names)
		sets = append(sets, shards{names: names, set: set})
	}
	return sets
}

// whole returns the models of complete sets and of the weights in none.
func (w *walk) whole(c *contents, sets []shards, inSet map[string]bool) (models []model) {
	for _, set := range sets {
		for _, name := range set.names {
			inSet[name] = true
		}
		if m, ok := w.wholeSet(c, set); ok {
			models = append(models, m)
		}
	}
	for name, at := range c.weights {
		if !inSet[name] && sidecarRole(name) == "" {
			models = append(models, model{weights: []place{at}})
		}
	}
	slices.SortFunc(models, func(a, b model) int { return cmp.Compare(a.weights[0].path, b.weights[0].path) })
	return models
}

// wholeSet returns the model of a set. It refuses a set with missing files, and skips one with
// files that are not complete.
func (w *walk) wholeSet(c *contents, set shards) (m model, ok bool) {
	report := filepath.Join(c.folder.path, cmp.Or(set.index, set.names[0]))
	count, missing, reason := set.count(), 0, ""
	for i := range count {
		if missing > 0 && set.index == "" { // known already, and count may be large
			break
		}
		name := set.part(i)
		if c.bad[name] != nil {
			note := w.skip // the note about the part says what to do
			if c.bad[name] == errLeftOut {
				note = w.refuse
			}
			note(report, fmt.Errorf("part %d of %d, %s: %w", i+1, count, ingest.Printable(name), c.bad[name]))
			return model{}, false
		}
		at, found := c.weights[name]
		if found {
			m.weights = append(m.weights, at)
			continue
		}
		if missing++; missing == 1 {
			reason = fmt.Sprintf("part %d of %d is missing: %s", i+1, count,
				ingest.Printable(filepath.Join(c.folder.path, name)))
		}
	}
	if missing == 0 {
		return m, true
	}
	if set.index == "" {
		missing = count - len(set.names)
	}
	if missing > 1 {
		reason = fmt.Sprintf("%s, and %d more", reason, missing-1)
	}
	w.refuse(report, errors.New(reason))
	return model{}, false
}
