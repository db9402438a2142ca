package format

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// splitName matches the parts of a split GGUF: part 1 of 3 of "x" is x-00001-of-00003.gguf.
var splitName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})(\.(?i:gguf))$`)

// splitSet is what the names of all parts of one model have in common.
type splitSet struct {
	folder, name, extension string
	count                   int
}

// parseSplit parses the name of a part. number counts from 1.
func parseSplit(path string) (set splitSet, number int, ok bool) {
	fields := splitName.FindStringSubmatch(filepath.Base(path))
	if fields == nil {
		return splitSet{}, 0, false
	}
	number, _ = strconv.Atoi(fields[2]) // five digits
	count, _ := strconv.Atoi(fields[3])
	set = splitSet{folder: filepath.Dir(path), name: fields[1], extension: fields[4], count: count}
	return set, number, number >= 1 && number <= count
}

// path returns the path of a part.
func (s splitSet) path(number int) string {
	return filepath.Join(s.folder, fmt.Sprintf("%s-%05d-of-%05d%s", s.name, number, s.count, s.extension))
}

// siblings adds the other parts of at's split GGUF. If at is a link, the other parts may be links
// into the same folder.
func (f *finder) siblings(at place) error {
	set, _, ok := parseSplit(at.path)
	if !ok {
		return f.ctx.Err()
	}
	entries, err := os.ReadDir(set.folder)
	if err != nil {
		return f.ctx.Err() // the source is then refused because parts are missing
	}
	folder := folderAt(set.folder)
	t := append(tree{folder.real, filepath.Dir(at.real)}, f.given...)
	for _, entry := range entries {
		path := filepath.Join(set.folder, entry.Name())
		if other, _, ok := parseSplit(path); !ok || other != set {
			continue
		}
		part, err := t.lookup(folder, entry.Name())
		if err == nil {
			err = source.CheckRegular(part.info.Mode())
		}
		switch {
		case path == at.path:
		case err != nil:
			f.refuse(path, err)
		default:
			f.add(part)
		}
	}
	return f.ctx.Err()
}

// parts has the parts found of one split model, in order.
type parts struct {
	splitSet
	found []numbered
}

type numbered struct {
	number int
	place  place
}

// extractSplits removes the parts of split models from the plain files and returns them.
func (f *finder) extractSplits() []parts {
	sets := map[splitSet][]numbered{}
	for key, at := range f.plain {
		if set, number, ok := parseSplit(at.path); ok {
			sets[set] = append(sets[set], numbered{number, at})
			delete(f.plain, key)
		}
	}
	var splits []parts
	for set, found := range sets {
		slices.SortFunc(found, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
		splits = append(splits, parts{set, found})
	}
	return splits
}

// first returns the path of the first part found.
func (s parts) first() string { return s.found[0].place.path }

// source returns one source of all parts. A missing part is an error.
func (s parts) source() (ingest.Source, error) {
	source := ingest.Source{URI: fileURI(s.first())}
	for i, part := range s.found {
		if want := i + 1; part.number != want {
			return ingest.Source{}, s.missing(want)
		}
		source.Files = append(source.Files, sourceFile(part.place))
	}
	if len(s.found) < s.count {
		return ingest.Source{}, s.missing(len(s.found) + 1)
	}
	return source, nil
}

func (s parts) missing(number int) error {
	err := fmt.Errorf("part %d of %d is missing: %s", number, s.count, ingest.Printable(s.path(number)))
	if more := s.count - len(s.found) - 1; more > 0 {
		err = fmt.Errorf("%w, and %d more", err, more)
	}
	return err
}
