package gc

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// rows is a catalogue whose rows have these names for all digests that were asked for.
type rows struct {
	ingest.Catalog
	names []string
}

func (r rows) Referenced(_ context.Context, digests []ingest.Digest) (map[ingest.Digest][]string, error) {
	names := map[ingest.Digest][]string{}
	for _, digest := range digests {
		names[digest] = r.names
	}
	return names, nil
}

// TestNeeded: rows keep the payloads that they name, and no other encoding of the same digest.
func TestNeeded(t *testing.T) {
	digest := ingest.Sum([]byte("original"))
	raw := digest.String()
	encoded := raw + "-" + ingest.Sum([]byte("encoded")).String()
	folder := "sha256/" + raw[:2] + "/"
	const position, hidden = "1/2/3.bin", "trash/17-0123456789abcdef/"
	all := []string{raw, encoded, position}
	for name, test := range map[string]struct{ names, needed []string }{
		"no row":                        {nil, nil},
		"a raw payload in a folder":     {[]string{"dir:" + folder + raw}, []string{raw}},
		"an encoded one in a folder":    {[]string{"dir:" + folder + encoded}, []string{encoded}},
		"both":                          {[]string{"dir:" + encoded, "dir:" + raw}, []string{raw, encoded}},
		"a raw payload in memory":       {[]string{"memory:" + raw}, []string{raw}},
		"an encoded one in memory":      {[]string{"memory:" + encoded}, []string{encoded}},
		"a raw payload in a container":  {[]string{"https://a.example/c/" + folder + raw}, []string{raw}},
		"an encoded one in a container": {[]string{"https://a.example/c/" + folder + encoded}, []string{encoded}},
		"a payload that is not there":   {[]string{"dir:" + folder + raw + "-" + raw}, nil},
		"a name by position":            {[]string{position}, []string{position}},
		"another name by position":      {[]string{"2/2/3.bin"}, nil},
		"a row without a URI":           {[]string{""}, all},
		"the URI of a blob by position": {[]string{"https://a.example/c/" + position}, all},
		"a URI with a query":            {[]string{"https://a.example/c/" + folder + raw + "?x"}, all},
		"the URI of another program":    {[]string{"https://a.example/model.gguf"}, all},
		"the URI of another folder":     {[]string{"file:///store/" + folder + encoded}, []string{encoded}},
		"a URI with another ending":     {[]string{"dir:" + folder + raw + "x"}, all},
	} {
		s := &sweep{Collector: &Collector{Catalog: rows{names: test.names}}}
		for _, object := range []string{
			raw, folder + raw, hidden + raw, encoded, folder + encoded, hidden + encoded, position,
		} {
			o := ingest.Object{Digest: digest, Name: object}
			needed, _, err := s.needed(t.Context(), []ingest.Object{o})
			want := slices.Contains(test.needed, strings.TrimPrefix(strings.TrimPrefix(object, folder), hidden))
			if err != nil || needed(o) != want {
				t.Errorf("%s: %s is needed: %v, want %v, %v", name, object, !want, want, err)
			}
		}
		leftover := ingest.Object{Name: "tmp/17-0123456789abcdef"}
		if needed, _, err := s.needed(t.Context(), []ingest.Object{leftover}); err != nil || needed(leftover) {
			t.Errorf("%s: a leftover is needed, %v", name, err)
		}
	}
}
