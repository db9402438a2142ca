package storage

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// DescriptionFolder is the folder of the descriptions in a store.
const DescriptionFolder = "descriptions"

// maxSequence leaves numbers for later descriptions.
const maxSequence = 1 << 62

// DescriptionName returns the name of a description in a store: the folder, its sequence in 19 digits, and
// its SHA-256. So the order of names is that of sequences.
func DescriptionName(d ingest.Description) string {
	return fmt.Sprintf("%s/%019d-%s", DescriptionFolder, d.Sequence, d.Content)
}

// ParseDescription parses the result of DescriptionName. The size remains to be set.
func ParseDescription(name string) (ingest.Description, bool) {
	sequence, digest, _ := strings.Cut(strings.TrimPrefix(name, DescriptionFolder+"/"), "-")
	var d ingest.Description
	var err error
	if d.Sequence, err = strconv.ParseInt(sequence, 10, 64); err != nil {
		return ingest.Description{}, false
	}
	if err := d.Content.UnmarshalText([]byte(digest)); err != nil {
		return ingest.Description{}, false
	}
	return d, d.Sequence >= 0 && d.Sequence <= maxSequence && DescriptionName(d) == name
}
