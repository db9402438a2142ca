package ingest

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fit is how well a loose reference fits a model. The best fit of any model counts.
type fit int

const (
	noFit         fit = iota
	fitLastPart       // the last part of a repository
	fitRepository     // all of it
	fitFileName       // of the weights, or of a split model without the number of the part
	fitPlace          // a path or a URI
)

// findLoose returns the model that reference fits best by its files or the origins of its names. name is
// set if reference is the URI of that name. It reads all models.
func findLoose(ctx context.Context, reader Reader, reference string) (m Summary, name string, err error) {
	absolute, err := filepath.Abs(reference)
	if err != nil {
		absolute = reference // the working folder was deleted
	}
	best, fitting := noFit, &AmbiguousError{Reference: reference}
	for m, err := range reader.Models(ctx) {
		if err != nil {
			return Summary{}, "", err
		}
		its := m.fit(reference, absolute)
		switch {
		case its == noFit || its < best || m.State == ModelRemoving:
			continue
		case its > best:
			best, fitting.Models, fitting.More = its, nil, 0
		}
		if len(fitting.Models) < maxFitting {
			fitting.Models = append(fitting.Models, m)
		} else {
			fitting.More++
		}
	}
	switch len(fitting.Models) {
	case 0:
		return Summary{}, "", notFound(reference)
	case 1:
		m, err = reader.Model(ctx, fitting.Models[0].ID)
		return m, m.nameFrom(reference), err
	}
	return Summary{}, "", fitting
}

// notFound returns the error for a reference that fits no model.
func notFound(reference string) error {
	err := fmt.Errorf("model %s: %w: `ingest list` shows all models, and `ingest list --filter TEXT` those with "+
		"TEXT in a name", quoted(reference), ErrNotFound)
	digits := strings.TrimPrefix(reference, "sha256:")
	if len(digits) < minPrefix && strings.Trim(digits, "0123456789abcdefABCDEF") == "" {
		err = fmt.Errorf("%w (a SHA-256 needs at least %d digits)", err, minPrefix)
	}
	return err
}

// fit returns how well a reference fits the model. absolute is reference as an absolute path.
func (s Summary) fit(reference, absolute string) fit {
	best := noFit
	for i := range s.Files {
		f := &s.Files[i]
		switch {
		case f.Path == reference || f.Path == absolute:
			return fitPlace
		case f.Role == Weights && (f.Name == reference || withoutPart(f.Name) == reference):
			best = fitFileName
		}
	}
	for _, n := range s.Names {
		if isURI(n.URI, reference) {
			return fitPlace
		}
		best = max(best, repositoryFit(n.URI, reference))
	}
	return best
}

// repositoryFit returns how well the repository in the URI of a name fits, also with its revision:
// owner/name@main.
func repositoryFit(uri, reference string) fit {
	repository := repository(uri)
	_, path, _ := strings.Cut(uri, "://")
	switch {
	case reference == "" || repository == "":
	case repository == reference:
		return fitRepository
	case strings.Contains(reference, "@") && strings.HasPrefix(path, reference+"/"):
		return fitRepository
	case strings.HasSuffix(repository, "/"+reference):
		return fitLastPart
	}
	return noFit
}

// isURI reports whether reference is the URI of a name, also without the default tag.
func isURI(uri, reference string) bool {
	return uri != "" && slices.Contains(NamesMeant(reference), uri)
}

// nameFrom returns the model's only name with this URI; empty if there is none.
func (s Summary) nameFrom(reference string) string {
	name := ""
	for _, n := range s.Names {
		if isURI(n.URI, reference) && name != "" {
			return ""
		}
		if isURI(n.URI, reference) {
			name = n.Name
		}
	}
	return name
}

// repository returns the repository in the URI of a name, without tag, revision and file; empty for a
// file outside a layout. It is owner/name for hf://owner/name@main/a.gguf, lmstudio://owner/name/a.gguf
// and oci://owner/name:tag.
func repository(uri string) string {
	scheme, rest, _ := strings.Cut(uri, "://")
	before, _, revision := strings.Cut(rest, "@")
	switch {
	case scheme == "file":
		return ""
	case revision:
		return before
	case scheme == "lmstudio":
		return path.Dir(rest)
	}
	if tag := strings.LastIndexByte(rest, ':'); tag > strings.LastIndexByte(rest, '/') {
		return rest[:tag]
	}
	return rest
}

// partName matches the names of parts of a split model.
var partName = regexp.MustCompile(`^(.+)-[0-9]{5}-of-[0-9]{5}(\.[^.]+)$`)

// withoutPart returns the name of a file of a split model without the number of the part, and any other
// name as it is.
func withoutPart(name string) string { return partName.ReplaceAllString(name, "$1$2") }
