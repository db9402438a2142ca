package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// maxFitting is how many models an AmbiguousError holds.
const maxFitting = 20

// AmbiguousError says that a reference fits several models.
type AmbiguousError struct {
	Reference string
	Models    []Summary // the first ones by ID, without metadata
	More      int       // how many others fit
}

// Error lists the id, the names and the first file of each model.
func (e *AmbiguousError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s fits %d models: name one by its id", quoted(e.Reference), len(e.Models)+e.More)
	for _, m := range e.Models {
		fmt.Fprintf(&text, "\n  %d  %s", m.ID, Printable(short(strings.Join(m.AllNames(), ", "), 80)))
		if len(m.Files) > 0 {
			fmt.Fprintf(&text, "  %s", Printable(short(m.Files[0].Path, 200)))
		}
	}
	if e.More > 0 {
		fmt.Fprintf(&text, "\n  and %d more", e.More)
	}
	return text.String()
}

// quoted quotes a reference for a message.
func quoted(reference string) string { return fmt.Sprintf("%q", short(reference, 200)) }

// short leaves out the middle of a text of more than most characters.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most/2]) + "…" + string(runes[len(runes)-(most-1)/2:])
}

// FindModel returns the model that reference means: its ID, one of its names, such a name without
// ":latest", or the SHA-256 of one of its files or the start of it. 64 digits, or 6 to 64 digits after
// sha256:, only mean content, because anybody can give a model such a name; fewer digits mean a name
// first. If nothing of this fits, reference may be the path, URI, file name or repository of a model.
// If several models fit, the error is an *AmbiguousError; if none does, ErrNotFound, wrapped.
func FindModel(ctx context.Context, reader Reader, reference string) (Summary, error) {
	m, _, _, err := find(ctx, reader, reference)
	return m, err
}

// FindNamed is FindModel for a command that removes or renames. name is the name that reference means;
// it is empty for an ID or a SHA-256, which mean the whole model. A path, a file name or a repository
// means the name of a model that has only one; for others, the error asks for the name or the ID.
func FindNamed(ctx context.Context, reader Reader, reference string) (m Summary, name string, err error) {
	m, name, loose, err := find(ctx, reader, reference)
	if err != nil || !loose || name != "" {
		return m, name, err
	}
	names := m.AllNames()
	if len(names) > 1 {
		return Summary{}, "", fmt.Errorf(
			"%s fits model %d, which has %d names: give one of them, or the model's id: %s", quoted(reference),
			m.ID, len(names), short(fmt.Sprintf("%q", names), 1000))
	}
	return m, names[0], nil
}

// find returns the model that reference means, and the name that reference is. loose reports whether
// it is neither an ID nor a name nor a SHA-256. If nothing fits, find tries the Unicode normal forms of
// reference: macOS decomposes letters in the names of files, and keyboards compose them.
func find(ctx context.Context, reader Reader, reference string) (m Summary, name string, loose bool, err error) {
	m, name, loose, err = findForm(ctx, reader, reference)
	for _, form := range []norm.Form{norm.NFC, norm.NFD} {
		if !errors.Is(err, ErrNotFound) || form.IsNormalString(reference) {
			continue
		}
		m, name, loose, other := findForm(ctx, reader, form.String(reference))
		if !errors.Is(other, ErrNotFound) {
			return m, name, loose, other
		}
	}
	return m, name, loose, err
}

// findForm is find for one Unicode form of a reference.
func findForm(ctx context.Context, reader Reader, reference string) (m Summary, name string, loose bool, err error) {
	if id, err := strconv.ParseInt(reference, 10, 64); err == nil {
		if m, err := reader.Model(ctx, ModelID(id)); err == nil || !errors.Is(err, ErrNotFound) {
			return m, "", false, err
		}
	}
	fitting, name, contentOnly, err := exact(ctx, reader, reference)
	switch {
	case err != nil:
	case len(fitting) == 1:
		m, err = reader.Model(ctx, fitting[0])
	case len(fitting) > 1:
		err = ambiguous(ctx, reader, reference, fitting)
	case contentOnly:
		err = fmt.Errorf("model %s: %w: no file has this SHA-256 (if it is a model's name, use the model's id)",
			quoted(reference), ErrNotFound)
	default:
		m, name, err = findLoose(ctx, reader, reference)
		return m, name, true, err
	}
	return m, name, false, err
}

// exact returns the models with a name or a SHA-256, and the name.
func exact(ctx context.Context, reader Reader, reference string) (fitting []ModelID, name string, contentOnly bool,
	err error) {
	prefix, isPrefix, contentOnly := digestReference(reference)
	if !contentOnly {
		for _, name := range NamesMeant(reference) {
			fitting, err = reader.ModelsNamed(ctx, name)
			if err != nil || len(fitting) > 0 {
				return fitting, name, false, err
			}
		}
	}
	if isPrefix {
		fitting, err = reader.ModelsWithDigest(ctx, prefix)
	}
	return fitting, "", contentOnly, err
}

// NamesMeant returns the names that reference may be, reference itself first. The default tag of Ollama and
// Docker may be omitted.
func NamesMeant(reference string) []string {
	names := []string{reference}
	if last := reference[strings.LastIndexByte(reference, '/')+1:]; last != "" && !strings.ContainsAny(last, ":@") {
		names = append(names, reference+":latest")
	}
	return names
}

// digestReference parses a reference as the start of a SHA-256. contentOnly is set if it cannot be
// a name.
func digestReference(reference string) (prefix DigestPrefix, isPrefix, contentOnly bool) {
	prefix, err := ParseDigestPrefix(reference)
	labelled := strings.HasPrefix(strings.ToLower(reference), "sha256:")
	return prefix, err == nil, err == nil && (labelled || len(prefix) == 2*len(Digest{}))
}

func ambiguous(ctx context.Context, reader Reader, reference string, fitting []ModelID) error {
	e := &AmbiguousError{Reference: reference}
	for _, id := range fitting {
		if len(e.Models) == maxFitting {
			e.More = len(fitting) - maxFitting
			break
		}
		m, err := reader.Model(ctx, id)
		if err != nil {
			return err
		}
		m.Metadata = nil
		e.Models = append(e.Models, m)
	}
	return e
}
