package azureblob

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Prefixes of names in the container, and the blob with its owner.
const (
	catalogs    = "catalogs/"
	ownerRecord = "owner"
)

// The metadata of a blob. Other programs read the first four in the position layout.
const (
	metaModel   = "ModelId"
	metaLayer   = "LayerId"
	metaOrdinal = "SegmentOrdinal"
	metaType    = "QuantizationType"
	metaDigest  = "Sha256"
	metaCRC     = "Crc64"   // of the payload, as in x-ms-content-crc64; blobs of earlier versions may lack it
	metaCatalog = "Catalog" // in the position layout: the catalogue whose numbers are in the name
	metaHidden  = "Hidden"  // the mark of the Delete that has hidden the blob
)

const contentType = "application/octet-stream"

// headerText matches valid header values. Other metadata is left out.
var headerText = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

// metadata of a blob. The service keeps the case of names but ignores it.
type metadata map[string]*string

func (m metadata) get(name string) string {
	for key, value := range m {
		if value != nil && strings.EqualFold(key, name) {
			return *value
		}
	}
	return ""
}

// with sets a value under our spelling of the name.
func (m metadata) with(name, value string) metadata {
	for key := range m {
		if strings.EqualFold(key, name) {
			delete(m, key)
		}
	}
	if headerText.MatchString(value) {
		m[name] = &value
	}
	return m
}

// parseContent parses the name of a payload in the content layout.
func parseContent(name string) (storage.Payload, bool) {
	p, ok := storage.ParsePayload(path.Base(name))
	return p, ok && p.Name() == name
}

// positionName is the blob of a row.
func positionName(p ingest.Key) string {
	if p.Layer == 0 {
		return fmt.Sprintf("%d/files/%d/%d.bin", p.Model, p.File, p.Ordinal)
	}
	return fmt.Sprintf("%d/%d/%d.bin", p.Model, p.Layer, p.Ordinal)
}

// fileNames matches the names of blobs that are named like a file. Except for the owner's record,
// all other names have a folder.
var fileNames = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,299}$`)

// fileName returns the blob name for a file name. It replaces characters that a URL escapes by
// underscores, and keeps the last 300 characters.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && fileNames.MatchString("x"+string(r)) {
			return r
		}
		return '_'
	}, name)
	name = strings.TrimLeft(strings.TrimRight(name[max(0, len(name)-300):], "."), ".")
	if name == "" || name == ownerRecord {
		name = "_" + name
	}
	return name
}

// parsePosition parses a name of positionName, which does not contain the type.
func parsePosition(name string) (ingest.Key, bool) {
	var p ingest.Key
	parts := strings.Split(strings.TrimSuffix(name, ".bin"), "/")
	last, ok := number(parts[len(parts)-1])
	model, okModel := number(parts[0])
	if len(parts) < 3 || len(parts) > 4 || !ok || !okModel {
		return p, false
	}
	owner, ok := number(parts[len(parts)-2])
	p.Model, p.Ordinal = ingest.ModelID(model), int(last)
	if len(parts) == 3 {
		p.Layer = ingest.LayerID(owner)
	} else {
		p.File = ingest.FileID(owner)
	}
	return p, ok && positionName(p) == name
}

func number(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0
}

// positionMetadata describes a row to other programs.
func positionMetadata(p ingest.Key) metadata {
	m := metadata{}
	m.with(metaModel, strconv.FormatInt(int64(p.Model), 10))
	m.with(metaOrdinal, strconv.Itoa(p.Ordinal))
	if p.Layer != 0 {
		m.with(metaLayer, strconv.FormatInt(int64(p.Layer), 10))
		m.with(metaType, p.Type)
	}
	return m
}

// urlOf returns the address of a blob without a query, or of the container if name is empty.
func (s *Store) urlOf(name string) string {
	if name == "" {
		return s.url
	}
	return s.url + "/" + name
}

func (s *Store) containerName() string { return s.url[strings.LastIndexByte(s.url, '/')+1:] }

func (s *Store) address(name string, bytes int64, tag *azcore.ETag, modified *time.Time) ingest.Address {
	a := ingest.Address{URI: s.urlOf(name), Container: s.containerName(), Name: name, ETag: plainTag(tag), Bytes: bytes}
	if modified != nil {
		a.Modified = modified.UTC()
	}
	return a
}

// quoted is the reverse of plainTag.
func quoted(tag string) azcore.ETag { return azcore.ETag(`"` + tag + `"`) }

// plainTag is an ETag without quotes. Answers have quotes, lists do not, and other programs store
// none.
func plainTag(tag *azcore.ETag) string {
	if tag == nil {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(string(*tag), "W/"), `"`)
}

var errNoName = errors.New("not a name of this store")

// nameAt returns the blob of a row's payload. If the row was written for another kind of store and
// has no name, it is the blob by content. Names that the store does not give are refused: an
// encoded payload is only stored by content.
func nameAt(digest ingest.Digest, address ingest.Address) (string, error) {
	if address.Name == "" {
		return storage.PayloadOf(digest, address.Encoding).Name(), nil
	}
	_, ok := parseContent(address.Name)
	if !ok && address.Codec == "" {
		_, ok = parsePosition(address.Name)
		ok = ok || fileNames.MatchString(address.Name) && address.Name != ownerRecord
	}
	if ok {
		return address.Name, nil
	}
	return "", fmt.Errorf("blob %s: %w", ingest.Printable(address.Name), errNoName)
}
